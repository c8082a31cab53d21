"""Choosing an energy meter, apart from the device that computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from osanas.errors import Unavailable, UsageError
from osanas.machine.clock import Clock, SystemClock
from osanas.machine.device import device_uuid
from osanas.measure.energy.estimate import EstimateMeter
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.energy.nvml_meter import open_nvml
from osanas.measure.energy.rapl import POWERCAP_ROOT, open_rapl
from osanas.validation import did_you_mean

_CHOICES = ("auto", "measured", "nvml", "rapl", "estimated", "none")


@dataclass(frozen=True)
class MeterSources:
    """Where meters come from; the defaults are this machine's."""

    clock: Clock
    nvml_module: Any | None = None
    """A stand-in for ``pynvml``; None imports it."""
    powercap_root: Path = POWERCAP_ROOT
    """Linux's powercap tree."""


def open_meter(choice: str, device: torch.device, *, sources: MeterSources | None = None) -> EnergyMeter | Unavailable:
    """The meter that a user chose.

    Args:
        choice: ``auto`` (the computing device's own meter, otherwise the estimate), ``measured`` (``auto`` without the
            estimate), ``nvml`` (the computing GPU's board), ``nvml:INDEX``, ``nvml:UUID``, ``rapl``, ``estimated`` or
            ``none``.
        device: The device that computes.
        sources: Where meters come from.

    Returns:
        A meter, or for ``none`` the reason why there is none.

    Raises:
        UsageError: The choice is unknown, or the meter that was asked for is not here.
        EnvironmentFailure: The board is lost.
    """
    places = MeterSources(SystemClock()) if sources is None else sources
    kind, _, selector = choice.partition(":")
    if kind not in _CHOICES or (selector and kind != "nvml") or (":" in choice and not selector):
        raise UsageError(
            f"Unknown energy meter '{choice}'.",
            f"{did_you_mean(kind, _CHOICES)} A board is named as nvml:INDEX or nvml:UUID.",
        )
    if kind == "none":
        return Unavailable("energy is not measured (--energy none)")
    if kind == "estimated":
        return EstimateMeter(device.type, torch.get_num_threads())
    if kind == "nvml":
        return _named(choice, _nvml(selector, device, places))
    if kind == "rapl":
        return _named(choice, open_rapl(places.clock, places.powercap_root))
    own = _nvml("", device, places) if device.type == "cuda" else open_rapl(places.clock, places.powercap_root)
    if kind == "measured" or isinstance(own, EnergyMeter):
        return _named(choice, own)
    why = f"energy is estimated, not measured: {own.reason}"
    return EstimateMeter(device.type, torch.get_num_threads(), (why,))


def _nvml(selector: str, device: torch.device, places: MeterSources) -> EnergyMeter | Unavailable:
    uuid = device_uuid(device)
    return open_nvml(selector or uuid, places.clock, places.nvml_module, computing_uuid=uuid)


def _named(choice: str, meter: EnergyMeter | Unavailable) -> EnergyMeter:
    if isinstance(meter, Unavailable):
        raise UsageError(f"The energy meter '{choice}' is not available: {meter.reason.rstrip('.')}.", meter.fix)
    return meter
