"""Where and how networks are measured, made ready once for a run: device, runtime, meter and protocol."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from osanas.errors import Unavailable
from osanas.machine.device import DeviceIdentity, identify, resolve_device
from osanas.measure.energy.choose import open_meter
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.runtimes import check_runtime, resolve_runtime


@dataclass(frozen=True)
class Setup:
    """Where and how networks are measured: the device that computes, and the meter of energy or why there is none."""

    device: torch.device
    identity: DeviceIdentity
    protocol: MeasurementProtocol
    meter: EnergyMeter | Unavailable

    @property
    def energy_source(self) -> str | None:
        """``nvml``, ``rapl`` or ``estimated``; None where energy is not measured."""
        return self.meter.source if isinstance(self.meter, EnergyMeter) else None


def set_up(device: str, runtime: str, energy: str, protocol: MeasurementProtocol) -> Setup:
    """Makes ready what the user named, and tries it.

    Args:
        device: As for ``resolve_device``.
        runtime: As for ``resolve_runtime``; it takes the place of the protocol's.
        energy: As for ``open_meter``.
        protocol: How each network is measured.

    Raises:
        UsageError: Device, runtime or meter is unknown or not here, or the device cannot do what the protocol asks.
        EnvironmentFailure: The device is here and does not work, or the board is lost.
    """
    where = resolve_device(device)
    chosen = protocol.model_copy(update={"runtime": resolve_runtime(runtime, where)})
    check_runtime(chosen.runtime, chosen.precision, where)
    before = torch.get_num_threads()
    torch.set_num_threads(protocol.threads or before)
    try:
        return Setup(where, identify(where), chosen, open_meter(energy, where))
    finally:
        torch.set_num_threads(before)
