"""What the MODEL arguments of ``osanas profile`` mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from osanas.errors import ConfigError, Problem, UsageError
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.geometry import check_resolution
from osanas.genotype.variants import VARIANTS
from osanas.models.bottleneck import BOTTLENECK_NAME
from osanas.models.build import build
from osanas.models.zoo import TIMM_PREFIX, build_peer, has_timm, peer_names
from osanas.results.study import StudyView
from osanas.store.store import Store
from osanas.validation import did_you_mean

SENET = "timm:seresnet50"
"""The SENet of the comparison: SE-ResNet-50, arXiv 1709.01507."""

PAPER = (
    *("vovnet27_slim", BOTTLENECK_NAME, "vovnet39", "vovnet57"),
    *("densenet121", "densenet161", "densenet201", "resnet50", "resnet101"),
    *("mobilenet_v2", "shufflenet_v2_x1_0", "squeezenet1_0", "alexnet"),
    SENET,
)
"""The networks that the VoVNet paper (arXiv 1904.09730) compares or argues with."""


@dataclass(frozen=True)
class Network:
    """A network to profile: an architecture of ours, or a peer known by name.

    Attributes:
        label: What the user called it.
        architecture: None for a peer.
        store: Where its measurements are kept and found again; None keeps none.
    """

    label: str
    architecture: Architecture | None
    store: Store | None = None

    @property
    def digest(self) -> str | None:
        """The architecture's digest; None for a peer."""
        return None if self.architecture is None else self.architecture.digest

    def identity(self, shape: NetworkShape) -> str:
        """Its name in the store: the digest that a search for this shape would use, or a peer's name."""
        return self.label if self.architecture is None else shape.canonical(self.architecture).digest

    def build(self, shape: NetworkShape) -> nn.Module:
        """The network with random weights, the same each time.

        Raises:
            UsageError: The images are too small for it, there is no such peer, or it cannot be built.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                return self._build(shape)
            except (MemoryError, RuntimeError) as error:
                raise UsageError(
                    f"The network '{self.label}' cannot be built: {' '.join(str(error).split())[:300]}.",
                    "Profile a smaller one.",
                ) from error

    def _build(self, shape: NetworkShape) -> nn.Module:
        classes = shape.num_classes or 1000
        if self.architecture is None:
            return build_peer(self.label, classes, resolution=shape.resolution)
        check_resolution(shape.resolution, shape.stem_reduction, downsample=self.architecture.stem.downsample)
        return build(
            self.architecture,
            num_classes=classes,
            in_channels=shape.in_channels,
            stem_reduction=shape.stem_reduction,
        )


def network(text: str, view: StudyView | None = None, store: Store | None = None) -> Network:
    """The network that a MODEL argument means.

    Args:
        text: A published variant, a peer, ``timm:NAME``, an architecture file, or ``STUDY:TRIAL``.
        view: The study, for ``STUDY:TRIAL``.
        store: Where its measurements are kept.

    Raises:
        UsageError: There is no such network.
        ConfigError: The architecture file is wrong.
    """
    if view is not None:
        return Network(text, view.candidate(int(text.rpartition(":")[2])).architecture, store)
    if text in VARIANTS:
        return Network(text, VARIANTS[text], store)
    if text.endswith(".json") or "/" in text:
        return Network(text, read_architecture(Path(text)), store)
    if text.startswith(TIMM_PREFIX) or text in peer_names():
        return Network(text, None, store)
    raise UsageError(
        f"There is no network '{text}'.",
        f"{did_you_mean(text, [*VARIANTS, *peer_names()])} An architecture file ends in .json, a trial is STUDY:TRIAL.",
    )


def study_of(text: str) -> str | None:
    """The study in ``STUDY:TRIAL``, or None if a MODEL argument is something else."""
    study, _, trial = text.rpartition(":")
    return study if study and trial.isdigit() and f"{study}:" != TIMM_PREFIX else None


def paper_models(names: Sequence[str] = PAPER) -> tuple[list[str], list[str]]:
    """The MODEL arguments of the paper's comparison that can be had here, and a note on those that cannot."""
    if has_timm():
        return list(names), []
    others = [name for name in names if not name.startswith(TIMM_PREFIX)]
    return others, [f"SENet ({SENET}) is left out: timm is not installed (pip install 'osanas[timm]')"]


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
