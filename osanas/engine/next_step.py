"""What a worker does next: train a candidate further, or begin a new one. Read from the database alone."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cached_property

from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.strategy.history import History
from osanas.strategy.known_cost import KnownCost, Price
from osanas.strategy.ladder import Promotion, next_promotion
from osanas.study.config import Limits


@dataclass(frozen=True)
class NextStep:
    """Decides on promotions.

    Attributes:
        strategy: Judges candidates.
        price: Measures a member without training it; None leaves new candidates to a sampler of Optuna's. Such a
            sampler says nothing about what its candidates are worth, so that promotions do not compete with them.
    """

    strategy: KnownCost
    price: Price | None

    def promotion(self, history: Callable[[], History], rungs: tuple[int, ...], *, may_begin: bool) -> Promotion | None:
        """The promotion that comes before anything new, or None.

        Args:
            history: Reads what is known of the study; not asked where there is no ladder.
            rungs: The ladder.
            may_begin: Whether a new candidate might be begun instead.
        """
        if len(rungs) == 1:
            return None
        rivals = may_begin and self.price is not None
        return next_promotion(history(), self.strategy, price=self.price, has_rival=rivals)


DUPLICATES_BEFORE_RANDOM = 20
INFEASIBLE_IN_A_ROW = 200
FAILURES_IN_A_ROW = 5


@dataclass
class Streaks:
    """Counts of this process; each run of a search begins anew. A duplicate ends only the streak of duplicates."""

    duplicates: int = 0
    patience: int = DUPLICATES_BEFORE_RANDOM
    infeasible: int = 0
    failures: int = 0
    failure_kind: str | None = None

    def count(self, status: str, kind: str | None = None) -> None:
        """Counts one more trial.

        Args:
            status: As of a ``Candidate``.
            kind: The word for the reason of a failure.
        """
        if status == "duplicate":
            self.duplicates += 1
            return
        # A random member drawn for a stuck sampler gives it half as many tries to repeat itself as before.
        self.patience = max(1, self.patience // 2) if self.sampler_is_stuck else DUPLICATES_BEFORE_RANDOM
        self.duplicates = 0
        self.infeasible = self.infeasible + 1 if status == "infeasible" else 0
        same = status == "failed" and kind == self.failure_kind
        self.failures = self.failures + 1 if same else int(status == "failed")
        self.failure_kind = kind if status == "failed" else None

    @property
    def sampler_is_stuck(self) -> bool:
        """Whether the sampler repeats itself, so that a random member is drawn instead."""
        return self.duplicates >= self.patience

    @property
    def fails_alike(self) -> bool:
        """Whether too many candidates in a row failed for one reason."""
        return self.failures >= FAILURES_IN_A_ROW

    @property
    def nothing_fits(self) -> bool:
        """Whether too many candidates in a row broke a limit."""
        return self.infeasible >= INFEASIBLE_IN_A_ROW


AT_ONCE = 8
"""Starting points before the sampler has its first turn; further ones take turns with it."""


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

    Parameters and multiply-adds of dense networks rise in every dimension but the form of the stem. Those of depthwise
    ones do not (a reduction may be saved by a wider layer), so nothing is said of spaces that hold any.
    """
    smallest = at.space.smallest()
    if smallest.conv == "depthwise":
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
    """The members that a space names for a start.

    Those over a limit by count are left out.
    """

    at: SpaceAt
    limits: Limits

    def due(self, seen: Set[str]) -> Architecture | None:
        """The starting point that comes next, or None where it is the sampler's turn or none is left.

        Args:
            seen: Digests of the study's candidates.
        """
        waiting = [member for member in self._fitting if member.digest not in seen]
        done = len(self._fitting) - len(waiting)
        others = len(seen) - done
        return waiting[0] if waiting and done < AT_ONCE + 1 + others else None

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
