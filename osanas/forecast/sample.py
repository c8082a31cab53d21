"""A space as random members that stand for it, and how many of them are within the limits."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from osanas.errors import CandidateError
from osanas.evaluation.evaluator import CandidateCosts
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import GenotypeCosts
from osanas.genotype.members import SpaceAt
from osanas.strategy.cost import FEWEST, CostModel
from osanas.strategy.features import Features
from osanas.study.objectives import LIMITED, Limits

SAMPLE = 2000
"""Random members that stand for a space; one that has no more is taken whole."""
MEASURED = 30
"""Random members measured where a limit concerns what has to be measured."""
MEASURING_S = 30.0
"""Seconds after which no further one of them is begun, if there are ``FEWEST_MEASURED``."""
FEWEST_MEASURED = 10

_MEASURABLE = ("latency_ms", "energy_mj")

Measure = Callable[[Architecture], CandidateCosts]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Population:
    """Members of a space and what they cost by counting.

    Attributes:
        at: The space at the input that is searched.
        seed: Of the draw.
    """

    at: SpaceAt
    seed: int

    @cached_property
    def networks(self) -> int:
        """Distinct networks of the space."""
        return self.at.count

    @cached_property
    def features(self) -> Features:
        """Turns members into the inputs of a cost model."""
        return Features(self.at)

    @property
    def is_whole(self) -> bool:
        """Whether ``members`` are all there are."""
        return self.at.space.size <= SAMPLE

    @cached_property
    def members(self) -> list[Architecture]:
        """Members in random order: all of a small space, otherwise drawn uniformly."""
        rng = random.Random(f"plan-{self.seed}")  # noqa: S311 - a draw, not a secret
        if not self.is_whole:
            return [self.at.sample(rng) for _ in range(SAMPLE)]
        members = list(self.at.enumerate())
        rng.shuffle(members)
        return members

    @cached_property
    def costs(self) -> list[GenotypeCosts]:
        """What each of ``members`` costs."""
        return [self.count(member) for member in self.members]

    def count(self, architecture: Architecture) -> GenotypeCosts:
        """What a network costs by counting, built as the evaluator builds it."""
        return self.at.costs(architecture)

    def median(self) -> Architecture:
        """The member in the middle by multiply-adds."""
        order = sorted(range(len(self.members)), key=lambda index: self.costs[index].multiply_adds)
        return self.members[order[len(order) // 2]]


@dataclass(frozen=True)
class _Predicted:
    """What each member costs by a model fitted to measured ones, and its median relative error on others."""

    values: list[float]
    measured: int
    error: float


@dataclass(frozen=True)
class Within:
    """Which members are within the limits.

    Attributes:
        allowed: Places of those that are; all members where it is not known.
        share: Of all members; None where it is not known.
        each: The share within each limit by itself.
        predicted: Costs by a model, by name.
        members: How many were looked at.
        interval: 95 % interval of the share (Wilson); None without limits.
        reason: Why the share is not known, or why it is nothing.
    """

    allowed: list[int]
    share: float | None
    interval: tuple[float, float] | None
    each: dict[str, float | None]
    predicted: dict[str, _Predicted]
    members: int
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "share": self.share,
            "interval": None if self.interval is None else list(self.interval),
            "members": self.members,
            "each": self.each,
            "predicted": {
                name: {"measured": prediction.measured, "median_relative_error": prediction.error}
                for name, prediction in self.predicted.items()
            },
            "reason": self.reason,
        }


def within_limits(
    population: Population, limits: Limits, measure: Measure, say: Say, *, measuring_s: float = MEASURING_S
) -> Within:
    """How many members are within limits: exact for counted figures, by prediction for those to be measured.

    Args:
        measure: Called for some random members if latency or energy is limited.
        say: Told what is being done.
        measuring_s: Seconds after which no further one is begun, if there are ``FEWEST_MEASURED``.

    Raises:
        EnvironmentFailure: From ``measure``.
    """
    total = len(population.members)
    limited = [name for name, limit in limits if limit is not None]
    names = [name for name in _MEASURABLE if f"max_{name}" in limited]
    measured = _measured(population, measure, say, measuring_s) if names else []
    missing = [name for name in names if measured and all(getattr(costs, name) is None for _, costs in measured)]
    if missing:
        why = f"{' and '.join(missing)} cannot be had here, and a limit on it stops every candidate"
        return Within([], 0.0, (0.0, 0.0), {f"max_{name}": 0.0 for name in missing}, {}, total, why)
    predicted, reason = _predicted(population, names, measured)
    columns: dict[str, Sequence[float]] = {
        "parameters": [costs.parameters for costs in population.costs],
        "multiply_adds": [costs.multiply_adds for costs in population.costs],
        **{name: prediction.values for name, prediction in predicted.items()},
    }
    excess = [
        limits.excess({name: columns[name][index] if name in columns else None for name in LIMITED})
        for index in range(total)
    ]
    each = {
        name: None if reason and name.removeprefix("max_") in names else fmean(one[name] <= 0 for one in excess)
        for name in limited
    }
    if reason:
        return Within(list(range(total)), None, None, each, {}, total, reason)
    allowed = [index for index, values in enumerate(excess) if max(values.values()) <= 0]
    interval = _interval(len(allowed), total, is_whole=population.is_whole) if limited else None
    return Within(allowed, len(allowed) / total, interval, each, predicted, total)


def nothing_left(within: Within, *, is_whole: bool) -> str:
    """Says that no member is within the limits, and which of them leaves none."""
    if within.reason is not None:
        return f"The limits leave nothing: {within.reason}. Relax it, or choose another --energy."
    blame = [name for name, share in within.each.items() if share == 0.0]
    whose = "Each limit by itself allows some"
    if blame:
        whose = f"{' and '.join(blame)} alone {'excludes' if len(blame) == 1 else 'each exclude'} all"
    extent = f"none of the {within.members:,} members is within them"
    if not is_whole and within.interval is not None:
        bound = f"{within.interval[1] * 100:.2f} %"
        extent = f"none of {within.members:,} random members is within them, so hardly more than {bound} of all are"
    return f"The limits leave nothing: {extent}. {whose}. Relax a limit, or choose another --space."


def _interval(count: int, total: int, *, is_whole: bool) -> tuple[float, float]:
    if is_whole:
        return count / total, count / total
    from scipy.stats import binomtest

    found = binomtest(count, total).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _predicted(
    population: Population, names: Sequence[str], measured: Sequence[tuple[Architecture, CandidateCosts]]
) -> tuple[dict[str, _Predicted], str | None]:
    """What members cost by models fitted to measured ones; or why that cannot be told."""
    if not names:
        return {}, None
    known = [(member, costs) for member, costs in measured if all(getattr(costs, name) for name in names)]
    if len(known) < FEWEST:
        return {}, f"a prediction takes {FEWEST} measured networks, and there are {len(known)}"
    rows = population.features.cost([member for member, _ in known])
    everyone = population.features.cost(population.members)
    found = {}
    for name in names:
        model = CostModel(rows, [getattr(costs, name) for _, costs in known])
        found[name] = _Predicted([float(value) for value in model.predict(everyone)], len(known), model.error)
    return found, None


def _measured(
    population: Population, measure: Measure, say: Say, measuring_s: float
) -> list[tuple[Architecture, CandidateCosts]]:
    """Random members with their measured costs, as many as the time allows; those that fail are left out."""
    distinct = list({member.digest: member for member in population.members}.values())[:MEASURED]
    found = []
    started = time.perf_counter()
    for number, member in enumerate(distinct):
        if number >= FEWEST_MEASURED and time.perf_counter() - started > measuring_s:
            break
        if number % 10 == 0:
            say(f"measuring random networks to judge the limits: {number + 1} of at most {len(distinct)}")
        try:
            found.append((member, measure(member)))
        except CandidateError:
            continue  # it would fail in the search too, at no greater cost
    return found
