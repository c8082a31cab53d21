"""Under which key a network's measurement is kept, so that searches and profiles find each other's."""

from __future__ import annotations

from typing import Any

from osanas.errors import Unavailable
from osanas.machine.device import DeviceIdentity
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.measurement import measurement_key
from osanas.measure.protocol import MeasurementProtocol


def network_key(
    identity: DeviceIdentity,
    protocol: MeasurementProtocol,
    input_shape: tuple[int, int, int],
    meter: EnergyMeter | Unavailable | None,
    *,
    num_classes: int,
    stem_reduction: int,
) -> dict[str, Any]:
    """The measurement key, and what else makes one architecture different networks.

    Args:
        identity: From ``identify``.
        protocol: All its settings are part of the key.
        input_shape: Channels, height, width.
        meter: From ``open_meter``.
        num_classes: Outputs of the classifier.
        stem_reduction: By how much the stem reduces the image: 1, 2 or 4.
    """
    return measurement_key(identity, protocol, input_shape, meter) | {
        "num_classes": num_classes,
        "stem_reduction": stem_reduction,
    }
