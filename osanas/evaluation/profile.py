"""Costs, latency and energy of any list of networks: searched, published, or peers, all through the same code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from osanas.arch import VARIANTS, Architecture
from osanas.costs import count_costs
from osanas.errors import CandidateError, ConfigError, Problem, UsageError
from osanas.measure.device import DeviceIdentity
from osanas.measure.measurement import measure, measurement_key, peak_memory_bytes
from osanas.measure.meter import EnergyMeter, Unavailable
from osanas.measure.protocol import MeasurementProtocol
from osanas.models.analytic import check_resolution, stem_reduction_for
from osanas.models.build import build
from osanas.models.zoo import TIMM_PREFIX, build_peer, peer_names
from osanas.store.view import StudyView
from osanas.validation import did_you_mean

IN_CHANNELS = 3


@dataclass(frozen=True)
class Subject:
    """A network to profile: an architecture of ours, or a peer known by name."""

    label: str
    architecture: Architecture | None

    def check(self, resolution: int) -> None:
        """Refuses now what ``build`` would refuse, so that no other network is measured in vain.

        Raises:
            UsageError: The images are too small for it, or there is no such peer.
        """
        if self.architecture is not None:
            reduction = stem_reduction_for(resolution)
            check_resolution(resolution, reduction, downsample=self.architecture.stem.downsample)
        elif self.label.startswith(TIMM_PREFIX):  # torchvision's names are known to ``subject``
            build_peer(self.label)

    def build(self, resolution: int, num_classes: int) -> nn.Module:
        """The network with random weights, for images of ``resolution`` pixels.

        Raises:
            UsageError: The images are too small for it, or there is no such peer.
        """
        if self.architecture is None:
            return build_peer(self.label, num_classes)
        self.check(resolution)
        return build(
            self.architecture,
            num_classes=num_classes,
            in_channels=IN_CHANNELS,
            stem_reduction=stem_reduction_for(resolution),
        )


def subject(text: str, view: StudyView | None = None) -> Subject:
    """The network that a MODEL argument means.

    Args:
        text: A published variant, a peer of torchvision's, ``timm:NAME``, an architecture file, or ``STUDY:TRIAL``.
        view: The study, for ``STUDY:TRIAL``.

    Raises:
        UsageError: There is no such network.
        ConfigError: The architecture file is wrong.
    """
    if view is not None:
        return Subject(text, view.candidate(int(text.rpartition(":")[2])).architecture)
    if text in VARIANTS:
        return Subject(text, VARIANTS[text])
    if text.endswith(".json") or "/" in text:
        return Subject(text, read_architecture(Path(text)))
    if text.startswith(TIMM_PREFIX) or text in peer_names():
        return Subject(text, None)
    raise UsageError(
        f"There is no network '{text}'.",
        f"{did_you_mean(text, [*VARIANTS, *peer_names()])} An architecture file ends in .json, a trial is STUDY:TRIAL.",
    )


def study_of(text: str) -> str | None:
    """The study in ``STUDY:TRIAL``, or None if a MODEL argument is something else."""
    study, _, trial = text.rpartition(":")
    return study if study and trial.isdigit() and f"{study}:" != TIMM_PREFIX else None


def read_architecture(path: Path) -> Architecture:
    """Reads an architecture's JSON file; that of ``osanas show STUDY TRIAL --json`` will do as well.

    Raises:
        UsageError: It cannot be read.
        ConfigError: It holds no architecture.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"The architecture file {path} cannot be read: {error.strerror}.", "Name a readable JSON file."
        ) from None
    except ValueError as error:
        raise ConfigError(str(path), [Problem("", f"not valid JSON: {error}")]) from None
    if isinstance(document, dict) and isinstance(document.get("architecture"), dict):
        document = document["architecture"]
    return Architecture.from_dict(document, str(path))


@dataclass(frozen=True)
class Profiler:
    """Measures networks one after the other under one protocol.

    Attributes:
        meter: The energy meter, or why there is none.
    """

    device: torch.device
    identity: DeviceIdentity
    protocol: MeasurementProtocol
    meter: EnergyMeter | Unavailable
    resolution: int
    num_classes: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        return IN_CHANNELS, self.resolution, self.resolution

    def key(self) -> dict[str, Any]:
        """The measurement key that all these figures share."""
        return measurement_key(self.identity, self.protocol, self.input_shape, self.meter)

    def profile(self, network: Subject) -> dict[str, Any]:
        """The row of a network: costs, latency, energy. What cannot be had is None with a note.

        Raises:
            UsageError: The network does not take such images.
            EnvironmentFailure: Device or meter failed.
        """
        model = network.build(self.resolution, self.num_classes)
        costs = count_costs(model, self.input_shape)
        row: dict[str, Any] = {
            "model": network.label,
            "digest": None if network.architecture is None else network.architecture.digest,
            "parameters": costs.parameters,
            "multiply_adds": costs.multiply_adds,
            "memory_access_elements": costs.memory_access_elements,
            "memory_access_bound": costs.memory_access_bound,
        }
        notes = [f"not counted: {', '.join(costs.uncounted)}"] if costs.uncounted else []
        try:
            result = measure(model, self.input_shape, self.device, self.protocol, self.meter, costs=costs)
            memory: int | None = peak_memory_bytes(model, self.input_shape, self.device, self.protocol, costs=costs)
        except CandidateError as error:
            return {**row, **dict.fromkeys(_MEASURED), "flags": [], "notes": [*notes, str(error)]}
        seconds = result.latency_ms / 1e3
        return {
            **row,
            "peak_memory_bytes": memory,
            "latency_ms": result.latency_ms,
            "latency_interval_ms": list(result.latency_interval_ms),
            "images_per_second": self.protocol.batch_size / seconds,
            "multiply_adds_per_second": costs.multiply_adds * self.protocol.batch_size / seconds,
            "energy_mj": result.energy_mj,
            "energy_source": result.energy_source,
            "energy_method": result.energy_method,
            "power_w": result.power_w,
            "idle_power_w": result.idle_power_w,
            "flags": list(result.flags),
            "notes": [*notes, *result.notes],
        }


_MEASURED = (
    "peak_memory_bytes",
    "latency_ms",
    "latency_interval_ms",
    "images_per_second",
    "multiply_adds_per_second",
    "energy_mj",
    "energy_source",
    "energy_method",
    "power_w",
    "idle_power_w",
)
