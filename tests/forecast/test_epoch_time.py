from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from osanas.errors import CandidateError, EnvironmentFailure, TrainingStopped
from osanas.forecast.epoch_time import time_epoch, training_power_w
from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace
from osanas.measure.energy.meter import EnergyMeter, EnergyReading, EnergySource, Load
from osanas.measure.protocol import MeasurementProtocol
from osanas.study.records import CurvePoint, Trained
from tests.fakes import SMALL, TableEvaluator

MEMBER = SearchSpace.from_dict(SMALL).smallest()


@dataclass
class Stepping(TableEvaluator):
    """Trains as the real one does: asks before each step, validates, reports the epoch and asks again."""

    wait: Callable[[float], None] = time.sleep
    steps: int = 100
    step_s: float = 0.001
    first_step_s: float = 0.001
    validation_s: float = 0.0
    setup_s: float = 0.0
    breaks_at: int | None = None
    begun: int = 0
    events: list[str] = field(default_factory=list)

    def train(
        self,
        architecture: Architecture,
        *,
        epochs: int,
        checkpoint: Path | None,
        on_epoch: Callable[[CurvePoint], None],
        should_stop: Callable[[], bool],
        repeat: int = 0,
    ) -> Trained:
        self.events.append("training")
        self.wait(self.setup_s)
        for epoch in range(1, epochs + 1):
            for _ in range(self.steps):
                if should_stop():
                    raise TrainingStopped("told to stop")
                if self.begun == self.breaks_at:
                    raise CandidateError("diverged", "The training loss became nan.")
                self.wait(self.step_s if self.begun else self.first_step_s)
                self.begun += 1
            self.wait(self.validation_s)
            on_epoch(CurvePoint(epoch, 1.0, 1.0, 0.5, 0.1))
            if should_stop():
                raise TrainingStopped("told to stop")
        return Trained(0.5, 0.1)


@dataclass
class Clock:
    """Passes by waiting alone."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_whole_epoch_without_its_slow_start(clock: Clock) -> None:
    evaluator = Stepping(wait=clock.wait, steps=10, step_s=0.1, first_step_s=3.0, validation_s=0.5, setup_s=2.0)
    found = time_epoch(evaluator, MEMBER, steps=10, limit_s=60.0, clock=clock)
    assert found.steps is None
    assert found.seconds == pytest.approx(10 * 0.1 + 0.5)
    assert found.setup_s == pytest.approx(2.0)
    assert found.step_s == pytest.approx(0.1)


def test_part_of_an_epoch(clock: Clock) -> None:
    evaluator = Stepping(wait=clock.wait, steps=1000, step_s=0.1, first_step_s=0.9)
    found = time_epoch(evaluator, MEMBER, steps=1000, limit_s=2.0, overhead=1.25, clock=clock)
    assert found.seconds == pytest.approx(1000 * 0.1 * 1.25)
    assert found.steps == evaluator.begun
    assert 10 <= evaluator.begun <= 14


def test_two_steps_are_trained_however_long_they_take(clock: Clock) -> None:
    evaluator = Stepping(wait=clock.wait, steps=50, step_s=30.0, first_step_s=100.0)
    found = time_epoch(evaluator, MEMBER, steps=50, limit_s=6.0, clock=clock)
    assert (evaluator.begun, found.steps) == (2, 2)
    assert found.seconds == pytest.approx(50 * 30.0)


def test_where_steps_are_not_known_the_epoch_is_trained_to_its_end(clock: Clock) -> None:
    evaluator = Stepping(wait=clock.wait, steps=100, step_s=1.0, first_step_s=1.0)
    found = time_epoch(evaluator, MEMBER, steps=None, limit_s=6.0, clock=clock)
    assert (evaluator.begun, found.steps) == (100, None)
    assert found.seconds == pytest.approx(100.0)


def test_a_table_takes_no_time() -> None:
    found = time_epoch(TableEvaluator(), MEMBER, steps=None, limit_s=6.0)
    assert 0 <= found.seconds < 0.5
    assert (found.step_s, found.steps) == (None, None)


@dataclass
class Meter(EnergyMeter):
    """Wants the load a few times and shows a power."""

    events: list[str]
    power_w: float | None = 40.0
    chunks: int = 5
    error: EnvironmentFailure | None = None
    source: ClassVar[EnergySource] = "rapl"

    @property
    def method(self) -> str:
        return "counter"

    def describe(self) -> dict[str, Any]:
        return {"source": self.source}

    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        self.events.append("idle")
        if self.error is not None:
            raise self.error
        for _ in range(self.chunks):
            load.launch(3)()
        self.events.append("read")
        return EnergyReading(self.source, self.method, 1.0, self.power_w, None)


def power(evaluator: Stepping, meter: Meter) -> float:
    try:
        return training_power_w(evaluator, MEMBER, meter, MeasurementProtocol(), step_s=0.001)
    finally:
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("osanas-training-power")]


def test_power_is_read_while_it_trains_and_not_before() -> None:
    evaluator = Stepping()
    assert power(evaluator, Meter(evaluator.events)) == 40.0
    assert evaluator.events == ["idle", "training", "read"]
    assert evaluator.begun >= 15


def test_epochs_follow_each_other_while_a_meter_reads() -> None:
    evaluator = Stepping(steps=4)
    assert power(evaluator, Meter(evaluator.events, chunks=10)) == 40.0
    assert evaluator.begun >= 30


def test_a_meter_that_fails_ends_the_training() -> None:
    evaluator = Stepping()
    failure = EnvironmentFailure("The board is lost.", "Look at it.")
    with pytest.raises(EnvironmentFailure, match="The board is lost"):
        power(evaluator, Meter(evaluator.events, error=failure))
    assert evaluator.events == ["idle"]
    with pytest.raises(EnvironmentFailure, match="shows no power"):
        power(evaluator, Meter(evaluator.events, power_w=None))


def test_a_training_that_fails_ends_the_reading() -> None:
    evaluator = Stepping(breaks_at=7)
    with pytest.raises(CandidateError, match="became nan"):
        power(evaluator, Meter(evaluator.events))
    assert "read" not in evaluator.events
