"""The known-cost strategy: costs are measured or predicted, accuracy alone is searched.

A candidate is worth what it is expected to add to the hypervolume at full training. Thousands of members are judged so,
most of them variations of the best known ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from osanas.genotype.architecture import Architecture
from osanas.strategy.features import STRUCTURE, Features
from osanas.strategy.history import CandidateState, History
from osanas.strategy.proposals import distinct, mutations, random_members
from osanas.strategy.surrogate import RowCache, Surrogate, fit
from osanas.study.objectives import LIMITED

Array = NDArray[np.float64]
Price = Callable[[Architecture], Mapping[str, float | None]]
"""Measures a member: ``latency_ms``, ``energy_mj``, ``parameters``, ``multiply_adds``; None where one cannot be had."""

_FIRST_POOL = 200
_RANDOM = 800
_PARENTS = 30
_CHILDREN = 20
_ROUNDS = 2
_ELITE = 10
_POOR, _POOR_FOR_LIMITS = 0.1, 0.02
"""Median error of predicted costs above which the best few candidates are measured before one is chosen; the second
where costs are limited, since a candidate over a limit is lost."""
_PRICED = 4


@dataclass
class KnownCost:
    """Proposes members and judges candidates; what it says depends on history, seed and measured prices alone."""

    features: Features
    seed: int = 0
    _priced: dict[str, CandidateState] = field(default_factory=dict)
    _surrogate: tuple[object, Surrogate | None] | None = None
    _best: tuple[object, tuple[Architecture | None, float]] | None = None

    def __post_init__(self) -> None:
        self._rows = RowCache(self.features)

    def propose(self, history: History, price: Price | None = None) -> Architecture | None:
        """As ``best_new``, without its worth."""
        return self.best_new(history, price)[0]

    def best_new(self, history: History, price: Price | None = None) -> tuple[Architecture | None, float]:
        """The unseen member expected to add most to the hypervolume, and how much; None if none is found.

        It is within the limits by all that is known. While too little is known, it is one unlike those seen, of
        worth 0.

        Args:
            history: What is known.
            price: Measures a member without training it; asked about the best few while predicted costs are poor.
        """
        state = _state(history)
        if self._best is None or self._best[0] != state:
            self._best = state, self._searched(history, price)
        return self._best[1]

    def surrogate(self, history: History) -> Surrogate | None:
        """The fitted models, or None while too little is known."""
        state = _state(history)
        if self._surrogate is None or self._surrogate[0] != state:
            self._surrogate = state, fit(history, self._rows, self._priced.values())
        return self._surrogate[1]

    def _searched(self, history: History, price: Price | None) -> tuple[Architecture | None, float]:
        rng = random.Random(f"{self.seed}-{len(history.seen)}")  # noqa: S311 - a draw, not a secret
        found = self.surrogate(history)
        if found is None:
            return self._unlike(history, rng), 0.0
        at = self.features.at
        seen = {member.digest for member in history.seen}
        drawn = [
            *random_members(at, _RANDOM, rng),
            *mutations(found.best(_PARENTS), at, _CHILDREN, rng),
        ]
        members = self._within_limits(distinct(drawn, seen), history, found)
        worth = _worth(members, found)
        for _ in range(_ROUNDS):
            elite = [members[digest] for digest in _ordered(worth)[:_ELITE]]
            children = distinct(mutations(elite, at, _CHILDREN, rng), seen | members.keys())
            fresh = self._within_limits(children, history, found)
            members |= fresh
            worth |= _worth(fresh, found)
        if not worth:
            return self._unlike(history, rng), 0.0
        best = _ordered(worth)
        is_limited = history.limits.max_latency_ms is not None or history.limits.max_energy_mj is not None
        if price is not None and found.cost_error > (_POOR_FOR_LIMITS if is_limited else _POOR):
            chosen = self._measured([members[digest] for digest in best[:_PRICED]], history, found, price)
            if chosen is not None:
                return chosen
        return members[best[0]], worth[best[0]]

    def _measured(
        self, members: list[Architecture], history: History, found: Surrogate, price: Price
    ) -> tuple[Architecture, float] | None:
        """The best of a few by their measured costs, or None if all of them break a limit or cannot be measured."""
        for member in members:
            if member.digest not in self._priced:
                self._priced[member.digest] = CandidateState(member.digest, member, price(member))
        allowed = []
        for member in members:
            priced = self._priced[member.digest]
            if history.cost_values(priced) is not None and history.limits.broken_by(_limited(priced.costs)) is None:
                allowed.append(priced)
        if not allowed:
            return None
        costs = np.array([history.cost_values(member) for member in allowed]).reshape(len(allowed), -1)
        gains = found.gains_of([member.architecture for member in allowed], costs)
        return allowed[int(np.argmax(gains))].architecture, float(gains.max())

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
            **_limited({}),
            "latency_ms": 0.0,
            "energy_mj": 0.0,
            **dict(zip(STRUCTURE, map(float, counts), strict=True)),
        }

    def _unlike(self, history: History, rng: random.Random) -> Architecture | None:
        """The random unseen member that is farthest from all seen ones."""
        drawn = random_members(self.features.at, _FIRST_POOL, rng)
        fresh = distinct(drawn, {member.digest for member in history.seen})
        members = list(self._within_limits(fresh, history, None).values())
        if not members or not history.seen:
            return members[0] if members else None
        seen = self._rows.accuracy([member.architecture for member in history.seen])
        distance = [float(np.square(seen - row).sum(axis=1).min()) for row in self._rows.accuracy(members)]
        return members[int(np.argmax(distance))]


def _worth(members: dict[str, Architecture], found: Surrogate) -> dict[str, float]:
    return dict(zip(members, map(float, found.gains_of(list(members.values()))), strict=True))


def _ordered(worth: Mapping[str, float]) -> list[str]:
    """Digests by falling worth."""
    return sorted(worth, key=lambda digest: -worth[digest])


def _limited(costs: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: costs.get(name) for name in LIMITED}


def _state(history: History) -> object:
    """What a decision depends on."""
    seen = tuple(
        (member.digest, tuple(member.scores.items()), tuple(member.costs.items()), member.running, member.is_closed)
        for member in history.seen
    )
    return history.rungs, history.objectives, history.limits, seen
