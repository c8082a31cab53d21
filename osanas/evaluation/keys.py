"""Under which key a network's measurement is kept, so that searches and profiles find each other's."""

from __future__ import annotations

from typing import Any

from osanas.errors import Unavailable
from osanas.genotype.closed_form import NetworkShape
from osanas.machine.device import DeviceIdentity
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.measurement import measurement_key
from osanas.measure.protocol import MeasurementProtocol


def network_key(
    identity: DeviceIdentity,
    protocol: MeasurementProtocol,
    shape: NetworkShape,
    meter: EnergyMeter | Unavailable | None,
) -> dict[str, Any]:
    """The measurement key, and what else makes one architecture different networks.

    Args:
        identity: From ``identify``.
        protocol: All its settings are part of the key.
        shape: What networks are built for.
        meter: From ``open_meter``.
    """
    images = (shape.in_channels, shape.resolution, shape.resolution)
    return measurement_key(identity, protocol, images, meter) | {
        "num_classes": shape.num_classes,
        "stem_reduction": shape.stem_reduction,
    }
