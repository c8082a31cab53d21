"""The members that a space names for a start: which are due, which are left for later, which are over a limit."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cached_property

from osanas.genotype.architecture import Architecture
from osanas.genotype.blocks import CONVS
from osanas.genotype.members import SpaceAt
from osanas.strategy.history import History
from osanas.study.objectives import Limits

FIRST_START = 5
"""Candidates before the first starting point: they tell what a training takes."""
START_SHARE = 0.05
"""Of the whole search's time: a starting point whose first rung would take more is left for later."""


def first_start(target: int) -> int:
    """Candidates before the first starting point, of ``target`` in all: a tenth, so that a front is there first.

    They are at least ``FIRST_START``, and at most half.
    """
    return min(max(FIRST_START, target // 10), target // 2)


def over_by_count(architecture: Architecture, at: SpaceAt, limits: Limits) -> str | None:
    """The limits on parameters and multiply-adds that a network breaks in words, or None."""
    if limits.max_parameters is None and limits.max_multiply_adds is None:
        return None
    costs = at.costs(architecture)
    counts = Limits(max_parameters=limits.max_parameters, max_multiply_adds=limits.max_multiply_adds)
    return counts.broken_by(
        {"latency_ms": None, "energy_mj": None, "parameters": costs.parameters, "multiply_adds": costs.multiply_adds}
    )


def none_fits(at: SpaceAt, limits: Limits) -> str | None:
    """The limits that even the smallest network of a space breaks, in words; None if some may fit.

    Parameters and multiply-adds of dense networks rise in every dimension but the form of the stem. Those of modules
    that reduce their input do not (a wider layer may save the reduction), so nothing is said of spaces that hold any.
    """
    smallest = at.space.smallest()
    if CONVS[smallest.conv].reduces_input:
        return None
    forms = {leaf.name: leaf.values for leaf in at.space.leaves}["stem.downsample"]
    reasons = []
    for form in forms:
        document = smallest.to_dict()
        document["stem"]["downsample"] = form
        reasons.append(over_by_count(Architecture.from_dict(document), at, limits))
    return reasons[0] if all(reasons) else None


@dataclass(frozen=True)
class StartingPoints:
    """The members that a space names for a start. Those over a limit by count are left out."""

    at: SpaceAt
    limits: Limits

    def due(
        self, history: History, target: int, epoch_seconds: Callable[[Architecture], float | None]
    ) -> Architecture | None:
        """The starting point that comes next, the cheapest first, or None where none is left that is worth its time.

        Args:
            history: What is known.
            target: Candidates that the study should train.
            epoch_seconds: Expected seconds of an epoch of a network; None while nothing is known.
        """
        waiting = self._cheapest_first({member.digest for member in history.seen})
        if not waiting or len(history.seen) < first_start(target):
            return None
        return waiting[0] if _is_affordable(epoch_seconds(waiting[0]), history, target) else None

    def waiting(self, seen: Set[str]) -> list[str]:
        """Names of those that are not among the digests of the study's candidates."""
        waiting = {member.digest for member in self._cheapest_first(seen)}
        return [name for name, member in self.at.space.start_from if self.at.canonical(member).digest in waiting]

    def _cheapest_first(self, seen: Set[str]) -> list[Architecture]:
        waiting = [member for member in self._fitting if member.digest not in seen]
        return sorted(waiting, key=lambda member: self.at.costs(member).multiply_adds)

    @property
    def left_out(self) -> list[str]:
        """Those over a limit by count: name and reason."""
        reasons = [(name, over_by_count(member, self.at, self.limits)) for name, member in self.at.space.start_from]
        return [f"{name} ({reason})" for name, reason in reasons if reason is not None]

    @cached_property
    def _fitting(self) -> tuple[Architecture, ...]:
        members = [self.at.canonical(member) for _, member in self.at.space.start_from]
        fitting = [member for member in members if over_by_count(member, self.at, self.limits) is None]
        return tuple({member.digest: member for member in fitting}.values())


def _is_affordable(epoch_s: float | None, history: History, target: int) -> bool:
    """Whether a first rung takes no more than ``START_SHARE`` of the whole search, as far as is known."""
    begun = sum(bool(member.scores) for member in history.seen)
    if epoch_s is None or begun == 0:
        return True
    spent_s = sum(max(member.seconds.values(), default=0.0) for member in history.seen)
    return epoch_s * history.rungs[0] <= START_SHARE * spent_s / begun * target
