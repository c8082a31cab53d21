"""Short stretches of real training: what an epoch takes, and what the device draws meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from osanas.errors import EnvironmentFailure, TrainingStopped
from osanas.evaluation.evaluator import Trainer
from osanas.genotype.architecture import Architecture
from osanas.measure.energy.meter import EnergyMeter, Load
from osanas.measure.protocol import MeasurementProtocol
from osanas.study.records import CurvePoint

_FEWEST_STEPS = 2
"""The first step is slower than all that follow, so at least one more is needed."""
_POLL_S = 0.002
_STALLED_S = 60.0
_ENDLESS = 1_000_000


@dataclass(frozen=True)
class EpochTime:
    """What training a network takes.

    Attributes:
        seconds: One epoch with its validation, the slower start of the first step left out.
        setup_s: From asking for a training to its first step.
        step_s: Mean of the steps after the first; None where they were not seen.
        steps: From how many steps ``seconds`` was extrapolated; None if the epoch was trained to its end.
    """

    seconds: float
    setup_s: float
    step_s: float | None
    steps: int | None


@dataclass
class _Watch:
    """Notes when a training asks whether to go on, which it does at every step."""

    limit_s: float | None
    clock: Callable[[], float]
    started_s: float
    asked_s: list[float] = field(default_factory=list)
    ended_s: float | None = None

    def should_stop(self) -> bool:
        now = self.clock()
        if self.ended_s is None:
            self.asked_s.append(now)
        steps = len(self.asked_s) - 1
        return self.limit_s is not None and steps >= _FEWEST_STEPS and now - self.asked_s[0] > self.limit_s

    def on_epoch(self, _point: CurvePoint) -> None:
        self.ended_s = self.clock()


def time_epoch(
    trainer: Trainer,
    architecture: Architecture,
    *,
    steps: int | None,
    limit_s: float,
    overhead: float = 1.0,
    clock: Callable[[], float] = time.perf_counter,
) -> EpochTime:
    """Trains a network for one epoch, or for a part of it that is long enough to tell.

    Args:
        steps: Steps of an epoch; None if that is not known, and then the epoch is trained to its end.
        limit_s: After which the training is stopped, in seconds; two steps are always trained.
        overhead: An epoch's time over that of its steps, for an extrapolation: the validation's share.
        clock: Tells the time in seconds.

    Raises:
        CandidateError: The network cannot be trained.
        EnvironmentFailure: The device failed.
    """
    watch = _Watch(None if steps is None else limit_s, clock, started_s=clock())
    with contextlib.suppress(TrainingStopped):  # which is raised after a whole epoch, too
        trainer.train(architecture, epochs=1, checkpoint=None, on_epoch=watch.on_epoch, should_stop=watch.should_stop)
    ended = clock() if watch.ended_s is None else watch.ended_s
    asked = watch.asked_s or [watch.started_s]
    setup_s = asked[0] - watch.started_s
    step_s = (asked[-1] - asked[1]) / (len(asked) - 2) if len(asked) > _FEWEST_STEPS else None
    if watch.ended_s is None and step_s is not None and steps is not None:
        return EpochTime(step_s * steps * overhead, setup_s, step_s, len(asked) - 1)
    slow_start_s = 0.0 if step_s is None else max(0.0, asked[1] - asked[0] - step_s)
    return EpochTime(ended - asked[0] - slow_start_s, setup_s, step_s, None)


def training_power_w(
    trainer: Trainer,
    architecture: Architecture,
    meter: EnergyMeter,
    protocol: MeasurementProtocol,
    *,
    step_s: float,
) -> float:
    """Mean power in watts that a meter shows while a network trains, idle power included.

    The meter reads in a thread of its own; the training runs here until it has seen enough.

    Args:
        protocol: Length and number of the meter's windows.
        step_s: Seconds of a step.

    Raises:
        EnvironmentFailure: The meter gives no reading, or the device failed.
        CandidateError: The network cannot be trained.
    """
    progress = _Progress()
    with ThreadPoolExecutor(1, "osanas-training-power") as pool:
        reading = pool.submit(meter.measure, Load(lambda steps: partial(progress.run, steps), step_s), protocol)
        reading.add_done_callback(lambda _: progress.finish())
        try:
            progress.is_wanted.wait()  # a meter looks at the idle device first
            if not progress.is_over.is_set():
                _train_until_over(trainer, architecture, progress)
        finally:
            progress.has_ended.set()
    power_w = reading.result().power_w
    if power_w is None:
        raise EnvironmentFailure(f"The energy meter ({meter.source}) shows no power.", "See 'osanas doctor'.")
    return power_w


def _train_until_over(trainer: Trainer, architecture: Architecture, progress: _Progress) -> None:
    with contextlib.suppress(TrainingStopped):
        trainer.train(
            architecture, epochs=_ENDLESS, checkpoint=None, on_epoch=lambda _: None, should_stop=progress.step
        )


@dataclass
class _Progress:
    """Steps of a training under way, as a load that a meter waits for."""

    steps: int = 0
    is_wanted: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)
    has_ended: threading.Event = field(default_factory=threading.Event)

    def step(self) -> bool:
        """Counts a step; whether to stop."""
        self.steps += 1
        return self.is_over.is_set()

    def finish(self) -> None:
        """The meter has a reading, or has failed."""
        self.is_over.set()
        self.is_wanted.set()

    def run(self, iterations: int) -> None:
        """Waits for so many steps."""
        self.is_wanted.set()
        goal, end = self.steps + iterations, time.monotonic() + _STALLED_S * max(1, iterations)
        while self.steps < goal:
            if self.has_ended.wait(_POLL_S) or time.monotonic() > end:
                raise EnvironmentFailure(
                    "The training ended before its power was known.", "Run the same command again."
                )
