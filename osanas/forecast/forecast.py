"""What a search would meet, before anything is spent: its space, its limits, its time and energy. Nothing is stored."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import Any

import numpy as np

from osanas.engine.api import evaluators, workers_at_once
from osanas.errors import CandidateError, EnvironmentFailure, Unavailable
from osanas.evaluation.evaluator import CandidateCosts, Measurer, Trainer
from osanas.forecast.epoch_time import EpochTime, time_epoch, training_power_w
from osanas.forecast.sample import Population, nothing_left, within_limits
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import GenotypeCosts
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.protocol import MeasurementProtocol
from osanas.results.places import storage_url
from osanas.store.database import masked, parse_url
from osanas.study.config import StudyConfig
from osanas.study.events import Listener, Note
from osanas.study.identity import study_identity
from osanas.study.objectives import LIMITED, Limits
from osanas.study.rungs import shares

STRETCH_S = 6.0
"""Longest training of each of the three members, but for the few steps that it takes to tell."""

ASSUMPTION = (
    "Candidates are taken to be like the first ones that the sampler draws. Its own time is not counted, nor are "
    "measuring the final front in full and training candidates again with other seeds."
)

_JOULES_PER_KWH = 3.6e6
_EVENLY = 100
"""Costs that stand for candidates drawn evenly in log cost."""


def plan(
    config: StudyConfig,
    storage: str | None = None,
    *,
    space: SearchSpace | None = None,
    measurer: Measurer | None = None,
    trainer: Trainer | None = None,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """What a search by this configuration would meet, found out in about a minute.

    Args:
        config: Of the search.
        storage: Only named in the answer.
        space: Instead of the configuration's.
        measurer: Says what networks cost, instead of measuring them on this device.
        trainer: Trains networks, instead of on this device.
        listener: Told what is being done, in notes.

    Returns:
        ``search`` (what would run), ``space`` (how large it is), ``members`` (costs of the smallest, median and
        largest), ``within_limits`` (their share), ``prediction`` (trainings, time and energy), ``notes``. A figure that
        cannot be had is None, with its reason beside it.

    Raises:
        UsageError: Something given is wrong.
        EnvironmentFailure: Device or meter failed.
    """
    is_ours = measurer is None and trainer is None
    chosen = space or SearchSpace.load(config.space)
    measurer, trainer = evaluators(config, measurer, trainer)
    workers = workers_at_once(config, measurer, is_ours=is_ours)
    objectives = config.chosen_objectives(trainer.score)
    identity = study_identity(
        chosen.to_dict(), objectives, config.rungs, trainer.score, trainer.identity(), measurer.identity()
    )
    population = Population(SpaceAt(chosen, measurer.shape()), config.seed)
    say = listener or (lambda _: None)
    return _Planner(config, measurer, trainer, identity, population, workers, say).document(storage)


@dataclass(frozen=True)
class _Member:
    """A member of the space. ``costs`` or ``epoch`` is None where it failed, for the reason in ``notes``."""

    label: str
    architecture: Architecture
    counted: GenotypeCosts
    costs: CandidateCosts | None
    epoch: EpochTime | None
    steps_per_epoch: int | None
    notes: tuple[str, ...]

    def document(self, limits: Limits) -> dict[str, Any]:
        measured = {name: None if self.costs is None else getattr(self.costs, name) for name in _FIGURES}
        figures = {**asdict(self.counted), **measured}
        return {
            "member": self.label,
            "digest": self.architecture.digest,
            **figures,
            "epoch_s": None if self.epoch is None else self.epoch.seconds,
            "epoch_from": self._epoch_from(),
            "over_limit": None if self.costs is None else limits.broken_by({name: figures[name] for name in LIMITED}),
            "notes": list(self.notes),
            "architecture": self.architecture.to_dict(),
        }

    def _epoch_from(self) -> str | None:
        if self.epoch is None:
            return None
        return "a whole epoch" if self.epoch.steps is None else f"{self.epoch.steps} of {self.steps_per_epoch} steps"


_FIGURES = ("latency_ms", "energy_mj", "energy_source")


@dataclass
class _Planner:
    config: StudyConfig
    measurer: Measurer
    trainer: Trainer
    identity: Mapping[str, Any]
    population: Population
    workers: int
    listener: Listener
    measuring_s: list[float] = field(default_factory=list)

    def document(self, storage: str | None) -> dict[str, Any]:
        config, population = self.config, self.population
        space = population.at.space
        search = self._search(storage)  # first, as it finds a wrong address of a database
        meter = _meter(self.measurer)
        notes = [] if isinstance(meter, str) else list(meter[0].notes)
        members = self._members()
        within = within_limits(population, config.limits, self._measure, self._say)
        if not within.allowed:
            notes.append(nothing_left(within, is_whole=population.is_whole))
        prediction = self._prediction(members, within.allowed, meter)
        seconds = prediction["seconds"]
        if seconds is not None and config.timeout is not None and config.timeout < seconds:
            notes.append(f"The time limit of {config.timeout:,.0f} s ends the search before it is done.")
        return {
            "search": search,
            "space": {"name": space.name, "members": space.size, "networks": population.networks},
            "members": [member.document(config.limits) for member in members],
            "within_limits": within.document(),
            "prediction": prediction,
            "notes": notes,
        }

    def _search(self, storage: str | None) -> dict[str, Any]:
        config, data = self.config, self.identity.get("data")
        return {
            "study": config.name,
            "storage": masked(parse_url(storage_url(config.name, storage))),
            "start_from": [name for name, _ in self.population.at.space.start_from],
            "sampler": config.sampler,
            "trials": config.trials,
            "rungs": list(config.rungs),
            "objectives": list(self.identity["objectives"]),
            "energy_source": self.identity["energy_source"],
            "device": self.measurer.device().get("name"),
            "data": data.get("name") if isinstance(data, Mapping) else data,
            "resolution": self.population.at.shape.resolution,
            "limits": {name: limit for name, limit in config.limits if limit is not None},
        }

    # three members ----------------------------------------------------------------------------------------------------

    def _members(self) -> list[_Member]:
        at = self.population.at
        steps = _steps(self.identity, self.config.train_batch_size)
        chosen = (
            ("smallest", at.canonical(at.space.smallest())),
            ("median", self.population.median()),
            ("largest", at.canonical(at.space.largest())),
        )
        members: list[_Member] = []
        for label, architecture in chosen:
            whole = [member.epoch for member in members if member.epoch is not None and member.epoch.steps is None]
            members.append(self._member(label, architecture, steps, _overhead(whole[-1], steps) if whole else 1.0))
        return members

    def _member(self, label: str, architecture: Architecture, steps: int | None, overhead: float) -> _Member:
        self._say(f"measuring the {label} network of the space: {architecture}")
        costs = epoch = None
        notes: tuple[str, ...] = ()
        try:
            costs = self._measure(architecture)
            notes = costs.notes
            self._say(f"training the {label} network for an epoch, {STRETCH_S:.0f} s at most")
            epoch = time_epoch(self.trainer, architecture, steps=steps, limit_s=STRETCH_S, overhead=overhead)
        except CandidateError as error:
            notes += (str(error),)
        return _Member(label, architecture, self.population.count(architecture), costs, epoch, steps, notes)

    def _measure(self, architecture: Architecture) -> CandidateCosts:
        started = time.perf_counter()
        costs = self.measurer.measure(architecture)
        self.measuring_s.append(time.perf_counter() - started)
        return costs

    # the search -------------------------------------------------------------------------------------------------------

    def _prediction(
        self, members: Sequence[_Member], allowed: Sequence[int], meter: tuple[EnergyMeter, MeasurementProtocol] | str
    ) -> dict[str, Any]:
        candidates = min(self.config.trials, self.population.networks)
        trainings = expected_trainings(candidates, self.config.rungs)
        epochs = expected_epochs(trainings)
        document: dict[str, Any] = {
            "candidates": candidates,
            "trainings": [{"epochs": rung, "candidates": count} for rung, count in trainings],
            "epochs": epochs,
            "workers": self.workers,
            **dict.fromkeys(("epoch_s", "measuring_s", "training_s", "seconds")),
            **dict.fromkeys(("reason", "energy_kwh", "energy_reason")),
            "assumption": ASSUMPTION,
        }
        timed = [member for member in members if member.epoch is not None]
        if not allowed or not timed:
            why = "no member that was looked at is within the limits" if timed else "no member could be trained"
            return document | {"reason": why, "energy_reason": why}
        epoch_s = self._epoch_s(timed, allowed)
        setup_s = median(member.epoch.setup_s for member in timed if member.epoch is not None)
        measuring_s = candidates * fmean(self.measuring_s)
        training_s = epochs * epoch_s + setup_s * sum(count for _, count in trainings)
        kwh, reason = self._energy_kwh(timed, meter, training_s, measuring_s)
        return document | {
            "epoch_s": epoch_s,
            "measuring_s": measuring_s,
            "training_s": training_s,
            "seconds": measuring_s + training_s / self.workers,
            "energy_kwh": kwh,
            "energy_reason": reason,
        }

    def _epoch_s(self, timed: Sequence[_Member], allowed: Sequence[int]) -> float:
        """Mean seconds of an epoch of the candidates, between the timed members in proportion to multiply-adds.

        The sampler known-cost draws evenly in log multiply-adds up to the cheapest starting point, Optuna's at first
        uniformly among the members.
        """
        points = sorted((member.counted.multiply_adds, member.epoch.seconds) for member in timed if member.epoch)
        sizes, seconds = zip(*points, strict=True)
        costs = [self.population.costs[index].multiply_adds for index in allowed]
        if self.config.sampler == "known-cost":
            at = self.population.at
            ends = [at.space.smallest(), *(member for _, member in at.space.start_from)]
            least, *starts = (self.population.count(at.canonical(member)).multiply_adds for member in ends)
            costs = list(np.geomspace(min(least, *costs), min([*starts, max(costs)]), _EVENLY))
        return float(np.interp(costs, sizes, seconds).mean())

    def _energy_kwh(
        self,
        timed: Sequence[_Member],
        meter: tuple[EnergyMeter, MeasurementProtocol] | str,
        training_s: float,
        measuring_s: float,
    ) -> tuple[float | None, str | None]:
        """Energy of the search at the powers of the middle one of the timed members, or why it is not known."""
        if isinstance(meter, str):
            return None, meter
        if self.workers > 1:
            return None, f"{self.workers} workers train at once, and the power of one says little of theirs"
        middle = timed[len(timed) // 2]
        if middle.epoch is None or middle.epoch.step_s is None or middle.costs is None:
            return None, "an epoch has too few steps to watch"
        self._say(f"reading the power while the {middle.label} network trains")
        try:
            training_w = training_power_w(self.trainer, middle.architecture, *meter, step_s=middle.epoch.step_s)
        except (CandidateError, EnvironmentFailure) as error:
            return None, str(error)
        energy_mj, latency_ms = middle.costs.energy_mj, middle.costs.latency_ms
        measuring_w = training_w
        if energy_mj is not None and latency_ms is not None:
            measuring_w = energy_mj * self.config.batch_size / latency_ms  # millijoules over milliseconds are watts
        return (training_s * training_w + measuring_s * measuring_w) / _JOULES_PER_KWH, None

    def _say(self, text: str) -> None:
        self.listener(Note(text))


def expected_trainings(candidates: int, rungs: Sequence[int]) -> list[tuple[int, int]]:
    """Epochs and candidates of each rung."""
    return [
        (rung, candidates if share == 1 else max(1, round(share * candidates)))
        for rung, share in zip(rungs, shares(rungs), strict=True)
    ]


def expected_epochs(trainings: Sequence[tuple[int, int]]) -> int:
    """Epochs of these trainings, each going on where the one before ended."""
    before = [0, *(rung for rung, _ in trainings)]
    return sum(count * (rung - done) for (rung, count), done in zip(trainings, before, strict=False))


def _overhead(epoch: EpochTime, steps: int | None) -> float:
    """The time of an epoch over that of its steps: more than 1, for the validation."""
    if steps is None or not epoch.step_s:
        return 1.0
    return max(1.0, epoch.seconds / (epoch.step_s * steps))


def _steps(identity: Mapping[str, Any], batch_size: int) -> int | None:
    """Steps of an epoch, where the evaluator tells how many images it trains on."""
    data = identity.get("data")
    if not isinstance(data, Mapping):
        return None
    size = data.get("images_per_epoch", data.get("train_size"))
    return None if size is None else math.ceil(size / batch_size)


def _meter(measurer: Measurer) -> tuple[EnergyMeter, MeasurementProtocol] | str:
    """The meter that can watch a training, with its protocol; or why there is none."""
    from osanas.evaluation.measurer import NetworkMeasurer  # imports torch

    if not isinstance(measurer, NetworkMeasurer):
        return "the evaluator trains nothing here"
    meter = measurer.setup.meter
    if isinstance(meter, Unavailable):
        return meter.reason
    if meter.source == "estimated":
        return "energy is estimated, not measured"
    return meter, measurer.setup.protocol
