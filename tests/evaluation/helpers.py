"""A meter that tells what a test wants, and a protocol that takes milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from osanas.machine.device import identify
from osanas.measure.energy.meter import EnergyMeter, EnergyReading, EnergySource, Load
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.setup import Setup

CPU = torch.device("cpu")

QUICK = MeasurementProtocol(
    warmup_min_seconds=0.001,
    warmup_max_seconds=0.002,
    block_seconds=0.0001,
    interval_target=0.5,
    min_blocks=6,
    min_seconds=0.001,
    max_seconds=0.01,
)


@dataclass
class Meter(EnergyMeter):
    """Gives one reading, and notes the protocols that it was asked with: one for each measurement with energy."""

    joules: float | None = 0.005
    reading_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    asked: list[MeasurementProtocol] = field(default_factory=list)
    source: ClassVar[EnergySource] = "rapl"

    @property
    def method(self) -> str:
        return "counter"

    def describe(self) -> dict[str, Any]:
        return {"source": self.source}

    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        self.asked.append(protocol)
        return EnergyReading(self.source, self.method, self.joules, 2.5, None, notes=self.reading_notes)


def quick_setup(meter: EnergyMeter | None = None, protocol: MeasurementProtocol = QUICK) -> Setup:
    return Setup(CPU, identify(CPU), protocol, Meter() if meter is None else meter)
