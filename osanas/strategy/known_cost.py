"""The known-cost strategy: costs and seconds are predicted, the score alone is searched.

A candidate is worth what it is expected to add to the hypervolume at full training, for each second that it takes.
Thousands of members are judged so: some drawn evenly over the space's costs, most of them variations of the best known.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from osanas.genotype.architecture import Architecture
from osanas.strategy.features import STRUCTURE, Features
from osanas.strategy.history import CandidateState, History
from osanas.strategy.ladder import expected_epochs
from osanas.strategy.outlook import Outlook, outlook
from osanas.strategy.proposals import distinct, evenly_in_cost, mutations, spread_over_costs
from osanas.strategy.surrogate import RowCache, Surrogate, epoch_seconds, epoch_time, fit
from osanas.study.objectives import LIMITED

Array = NDArray[np.float64]

DESIGN = (0.1, 0.4, 0.2, 0.5, 0.0)
"""Where in the range of costs the first candidates lie, from the cheapest (0) to the cheapest starting point (1), in
log multiply-adds: a cheap one first, so that there is something to see."""
_EXPLORE_EVERY = 20
"""One candidate in so many is drawn wherever least is known, whatever the models say.

It costs no more than those of ``DESIGN``, since one near the far end takes many times as long.
"""
_FIRST_POOL = 24
_POOL = 400
_PARENTS = 30
_CHILDREN = 10
_ROUNDS = 2
_ELITE = 10


@dataclass
class KnownCost:
    """Proposes members and judges candidates; what it says depends on history and seed alone."""

    features: Features
    seed: int = 0
    worker: int = 0
    """Workers of one seed propose different members, and judge by the same."""
    _surrogate: tuple[object, Surrogate | None] | None = None
    _pool: list[Architecture] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rows = RowCache(self.features)

    def propose(self, history: History) -> Architecture | None:
        """The unseen member expected to add most to the hypervolume for each second; None if none is found.

        It is within the limits by all that is known. While too little is known, and now and then later, it is one
        unlike those seen.

        Args:
            history: What is known.
        """
        rng = random.Random(f"{self.seed + 1_000_003 * self.worker}-{len(history.seen)}")  # noqa: S311 - a draw, not a secret
        found = self.asked_of(history)
        if found is None:
            return self._unlike(history, rng)
        seen = {member.digest for member in history.seen}
        drawn = [*self._even(), *mutations(found.best(_PARENTS), self.features.at, _CHILDREN, rng)]
        members = self._within_limits(distinct(drawn, seen), history, found)
        worth = worth_of(members, found, history)
        for _ in range(_ROUNDS):
            elite = [members[digest] for digest in _ordered(worth)[:_ELITE]]
            children = distinct(mutations(elite, self.features.at, _CHILDREN, rng), seen | members.keys())
            fresh = self._within_limits(children, history, found)
            members |= fresh
            worth |= worth_of(fresh, found, history)
        return members[_ordered(worth)[0]] if worth else self._unlike(history, rng)

    def asked_of(self, history: History) -> Surrogate | None:
        """The models that the next proposal comes from; None where too little is known, or it explores."""
        count = len(history.seen)
        explores = count < len(DESIGN) or count % _EXPLORE_EVERY == _EXPLORE_EVERY - 1
        return None if explores else self.surrogate(history)

    def surrogate(self, history: History) -> Surrogate | None:
        """The fitted models, or None while too little is known."""
        state = _state(history)
        if self._surrogate is None or self._surrogate[0] != state:
            self._surrogate = state, fit(history, self._rows)
        return self._surrogate[1]

    def best_waiting(self, waiting: list[CandidateState], history: History) -> CandidateState:
        """The candidate whose further training is expected to add most for each second."""
        found = self.surrogate(history)
        gains = {} if found is None else found.gains()
        if found is None or not any(gains.get(member.digest) for member in waiting):
            return max(waiting, key=lambda member: member.scores[member.epochs])
        left = [history.rungs[-1] - member.epochs for member in waiting]
        seconds = found.epoch_seconds([member.architecture for member in waiting]) * np.array(left)
        rates = [gains.get(member.digest, 0.0) / took for member, took in zip(waiting, seconds, strict=True)]
        return waiting[int(np.argmax(rates))]

    def outlook(self, history: History, target: int) -> Outlook | None:
        """What the search is expected to add until ``target`` candidates are trained; None while nothing is known."""
        found = self.surrogate(history)
        if found is None:
            return None
        rng = random.Random(f"{self.seed}-outlook-{len(history.seen)}")  # noqa: S311 - a draw, not a secret
        drawn = [*self._even(), *mutations(found.best(_ELITE), self.features.at, _CHILDREN, rng)]
        members = self._within_limits(distinct(drawn, {member.digest for member in history.seen}), history, found)
        return outlook(found, history, list(members.values()), target)

    def epoch_seconds(self, architectures: list[Architecture], history: History) -> Array | None:
        """Expected seconds of an epoch ``[n]``; None while nothing is known."""
        model = epoch_time(history, self._rows)
        return None if model is None else epoch_seconds(model, self._rows.training(architectures))

    def _even(self) -> list[Architecture]:
        """Members spread over all costs, the same for all proposals: their rows are computed once."""
        if not self._pool:
            rng = random.Random(f"{self.seed}-pool")  # noqa: S311 - a draw, not a secret
            self._pool = spread_over_costs(self.features.at, _POOL, rng)
        return self._pool

    def _within_limits(
        self, members: dict[str, Architecture], history: History, found: Surrogate | None
    ) -> dict[str, Architecture]:
        """Those that break no limit, by count or by prediction."""
        if not members or all(limit is None for _, limit in history.limits):
            return members
        costs = [self._counted(member) for member in members.values()]
        if found is not None:
            for known, row in zip(costs, found.predicted_costs(list(members.values())), strict=True):
                known |= dict(zip(history.cost_objectives, map(float, row), strict=True))
        return {
            digest: member
            for (digest, member), known in zip(members.items(), costs, strict=True)
            if history.limits.broken_by(known) is None
        }

    def _counted(self, member: Architecture) -> dict[str, float | None]:
        """What needs no measuring; the rest is not held against the member."""
        counts = np.rint(np.exp(self.features.structure(member)))
        return {
            **dict.fromkeys(LIMITED),
            "latency_ms": 0.0,
            "energy_mj": 0.0,
            **dict(zip(STRUCTURE, map(float, counts), strict=True)),
        }

    def _unlike(self, history: History, rng: random.Random) -> Architecture | None:
        """The member that is farthest from all seen ones, of some drawn near a place in the range of costs."""
        count = len(history.seen)
        place = DESIGN[count] if count < len(DESIGN) else rng.uniform(0, max(DESIGN))
        low, high = self._range()
        middle = low * (high / low) ** place
        drawn = evenly_in_cost(self.features.at, _FIRST_POOL, rng, lower=middle / 1.5, upper=middle * 1.5)
        seen = {member.digest for member in history.seen}
        members = list(self._within_limits(distinct(drawn, seen), history, None).values())
        if not members:
            anywhere = [*self._even(), *mutations(drawn, self.features.at, _CHILDREN, rng)]
            members = list(self._within_limits(distinct(anywhere, seen), history, None).values())
        if not members or not history.seen:
            return members[0] if members else None
        seen_rows = self._rows.accuracy([member.architecture for member in history.seen])
        distance = [float(np.square(seen_rows - row).sum(axis=1).min()) for row in self._rows.accuracy(members)]
        return members[int(np.argmax(distance))]

    def _range(self) -> tuple[float, float]:
        """Multiply-adds of the smallest member, and of the cheapest starting point or else of the largest member."""
        at = self.features.at
        space = at.space
        least = at.costs(at.canonical(space.smallest())).multiply_adds
        ends = [member for _, member in space.start_from] or [space.largest()]
        most = min(at.costs(at.canonical(member)).multiply_adds for member in ends)
        return least, max(least, most)


def worth_of(members: dict[str, Architecture], found: Surrogate, history: History) -> dict[str, float]:
    """What unseen members are expected to add, by digest, for each second that the ladder gives them."""
    if not members:
        return {}
    architectures = list(members.values())
    seconds = found.overhead_s + expected_epochs(history.rungs) * found.epoch_seconds(architectures)
    return dict(zip(members, map(float, found.gains_of(architectures) / seconds), strict=True))


def _ordered(worth: Mapping[str, float]) -> list[str]:
    """Digests by falling worth."""
    return sorted(worth, key=lambda digest: -worth[digest])


def _state(history: History) -> object:
    """What a decision depends on."""
    seen = tuple(
        (member.digest, tuple(member.scores.items()), tuple(member.costs.items()), member.running, member.is_closed)
        for member in history.seen
    )
    return history.rungs, history.objectives, history.limits, history.reference, history.full_trainings, seen
