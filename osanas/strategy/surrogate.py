"""What the models make of a history: expected accuracies at full training, costs, and what more is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osanas.genotype.architecture import Architecture
from osanas.pareto import REFERENCE_MARGIN, front, score_and_costs
from osanas.strategy import accuracy, cost
from osanas.strategy.acquisition import expected_improvement
from osanas.strategy.features import Features
from osanas.strategy.history import CandidateState, History

Array = NDArray[np.float64]

FIRST = 10
"""Candidates with an accuracy before the models are asked."""
_MOST_POINTS = 500
"""Points of the accuracy model, whose cost rises with their cube."""


class RowCache:
    """The feature rows ``accuracy`` and ``cost`` of architectures, each computed once."""

    def __init__(self, features: Features) -> None:
        self.accuracy = _once(features.accuracy)
        self.cost = _once(features.cost)


def _once(rows_of: Callable[[Sequence[Architecture]], Array]) -> Callable[[Sequence[Architecture]], Array]:
    known: dict[str, Array] = {}

    def rows(architectures: Sequence[Architecture]) -> Array:
        missing = {member.digest: member for member in architectures if member.digest not in known}
        known.update(zip(missing, rows_of(list(missing.values())), strict=True))
        return np.array([known[member.digest] for member in architectures])

    return rows


@dataclass(frozen=True)
class Surrogate:
    """The models fitted to a history.

    Attributes:
        rows: Feature rows.
        model: Of accuracy.
        known: Candidates with a score and known costs.
        mean: Their expected scores at full training ``[n]``.
        std: Standard deviations of these expectations ``[n]``, without the noise of one more training.
        costs: Their cost objectives ``[n, k]``.
        full: Which of them are fully trained, or are being trained to the end now ``[n]``.
        reference: Accuracy and costs that are just worth nothing ``[1 + k]``.
        cost_models: One a cost objective.
    """

    rows: RowCache
    model: accuracy.AccuracyModel
    known: tuple[CandidateState, ...]
    mean: Array
    std: Array
    costs: Array
    full: NDArray[np.bool_]
    reference: Array
    cost_models: tuple[cost.CostModel, ...]

    @property
    def cost_error(self) -> float:
        """The largest median relative error of predicted costs."""
        return max((model.error for model in self.cost_models), default=0.0)

    def gains(self) -> dict[str, float]:
        """What each known candidate would add to the fully trained, were it trained to the end; by digest."""
        gained = self._improvement(self.mean, self.std, self.costs)
        return dict(zip((member.digest for member in self.known), map(float, gained), strict=True))

    def gains_of(self, architectures: Sequence[Architecture], costs: Array | None = None) -> Array:
        """What unseen members would add ``[n]``.

        Args:
            architectures: In canonical form.
            costs: Their cost objectives ``[n, k]`` where they are known; None predicts them.
        """
        if not architectures:
            return np.empty(0)
        mean, std = self.model.predict(self.rows.accuracy(architectures))
        return self._improvement(mean, std, self.predicted_costs(architectures) if costs is None else costs)

    def predicted_costs(self, architectures: Sequence[Architecture]) -> Array:
        """Cost objectives by the cost models ``[n, k]``."""
        blocks = self.rows.cost(architectures)
        columns = [model.predict(blocks) for model in self.cost_models]
        return np.array(columns).T.reshape(len(architectures), len(columns))

    def best(self, count: int) -> list[Architecture]:
        """The front by expectation, then the front of what remains, and so on."""
        rest = list(range(len(self.known)))
        chosen: list[int] = []
        directions = score_and_costs(self.costs.shape[1])
        while rest and len(chosen) < count:
            points = [[self.mean[index], *self.costs[index]] for index in rest]
            layer = {rest[index] for index in front(points, directions)}
            chosen += sorted(layer)
            rest = [index for index in rest if index not in layer]
        return [self.known[index].architecture for index in chosen[:count]]

    def _improvement(self, mean: Array, std: Array, costs: Array) -> Array:
        full = self.full
        return expected_improvement(mean, std, costs, self.mean[full], self.costs[full], self.reference)


def fit(history: History, rows: RowCache, priced: Iterable[CandidateState] = ()) -> Surrogate | None:
    """Fits the models, or gives None while too little is known.

    Args:
        history: What is known.
        rows: Feature rows.
        priced: Members measured without being candidates; the cost models learn from them too.
    """
    known = [m for m in history.seen if m.scores and not m.is_closed and history.cost_values(m) is not None]
    measured = {member.digest: member for member in (*priced, *history.seen)}
    costly = [member for member in measured.values() if history.cost_values(member) is not None]
    if len(known) < FIRST or len(costly) < cost.FEWEST:
        return None
    full = history.rungs[-1]
    forecasts = accuracy.forecasts(known, history.rungs)
    chosen = _most_telling(known, full)
    known_rows = rows.accuracy([member.architecture for member in known])
    model = accuracy.AccuracyModel(known_rows[chosen], [forecasts[known[index].digest] for index in chosen])
    mean, std = model.predict(known_rows)
    costs = _costs(known, history)
    blocks = rows.cost([member.architecture for member in costly])
    return Surrogate(
        rows=rows,
        model=model,
        known=tuple(known),
        mean=mean,
        std=std,
        costs=costs,
        full=np.array([full in member.scores or member.running == full for member in known]),
        reference=np.array([_floor(mean), *(REFERENCE_MARGIN * costs.max(axis=0))]),
        cost_models=tuple(cost.CostModel(blocks, list(column)) for column in _costs(costly, history).T),
    )


def _costs(members: Sequence[CandidateState], history: History) -> Array:
    return np.array([history.cost_values(member) for member in members]).reshape(len(members), -1)


def _most_telling(known: Sequence[CandidateState], full: int) -> list[int]:
    """Indices of the candidates for the accuracy model, in their order: the longest trained and the latest."""
    order = sorted(range(len(known)), key=lambda index: (full in known[index].scores, known[index].epochs, index))
    return sorted(order[-_MOST_POINTS:])


def _floor(mean: Array) -> float:
    """The accuracy that is just worth nothing: the lowest, unless it lies far below the others."""
    low, middle, high = np.quantile(mean, [0.1, 0.5, 0.9])
    return float(max(mean.min(), middle - 2 * (high - low)))
