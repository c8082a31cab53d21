"""What the models make of a history: scores at full training, costs, seconds, and what more training is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osanas.genotype.architecture import Architecture
from osanas.pareto import REFERENCE_MARGIN, front, score_and_costs
from osanas.strategy import accuracy, cost
from osanas.strategy.acquisition import expected_improvement
from osanas.strategy.features import Features
from osanas.strategy.history import CandidateState, History
from osanas.strategy.noise import seed_noise

Array = NDArray[np.float64]

FIRST = 5
"""Candidates with a score, at whatever rung, before the models are asked."""
LAYER_MULTIPLY_ADDS = 0.25
"""Millions of multiply-adds that take as long as a layer does, before a study has shown its own times."""
_MOST_POINTS = 500
"""Points of the accuracy model, whose cost rises with their cube."""


class RowCache:
    """The feature rows ``accuracy``, ``cost`` and ``training`` of architectures, each computed once."""

    def __init__(self, features: Features) -> None:
        self.accuracy = _once(features.accuracy)
        self.cost = _once(features.cost)
        self.training = _once(features.training)


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
        model: Of the score.
        known: Candidates with a score and known costs.
        mean: Their expected scores at full training ``[n]``.
        std: Standard deviations of these expectations ``[n]``, without the noise of one more training.
        costs: Their cost objectives ``[n, k]``.
        full: Which of them are fully trained, or are being trained to the end now ``[n]``.
        reference: Score and costs that are just worth nothing ``[1 + k]``.
        cost_models: One a cost objective.
        epoch_time: Seconds of an epoch; None while too few are known.
        overhead_s: What a new candidate takes besides its training.
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
    epoch_time: cost.CostModel | None
    overhead_s: float

    def gains(self) -> dict[str, float]:
        """What each known candidate would add to the fully trained, were it trained to the end; by digest."""
        gained = self._improvement(self.mean, self.std, self.costs)
        return dict(zip((member.digest for member in self.known), map(float, gained), strict=True))

    def gains_of(self, architectures: Sequence[Architecture]) -> Array:
        """What unseen members would add ``[n]``, their costs predicted."""
        if not architectures:
            return np.empty(0)
        mean, std = self.model.predict(self.rows.accuracy(architectures))
        return self._improvement(mean, std, self.predicted_costs(architectures))

    def epoch_seconds(self, architectures: Sequence[Architecture]) -> Array:
        """Seconds of an epoch ``[n]``; before any is known, in a unit of its own."""
        return epoch_seconds(self.epoch_time, self.rows.training(architectures))

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
        """With costs in logarithms: halving the latency is worth as much at 1 ms as at 10."""
        full, reference = self.full, self.reference.copy()
        reference[1:] = np.log(reference[1:])
        return expected_improvement(mean, std, np.log(costs), self.mean[full], np.log(self.costs[full]), reference)


def epoch_seconds(model: cost.CostModel | None, rows: Array) -> Array:
    """Seconds of an epoch from rows of ``Features.training``; without a model, in a unit of its own."""
    return rows @ np.array([LAYER_MULTIPLY_ADDS, 1.0]) if model is None else model.predict(rows)


def epoch_time(history: History, rows: RowCache) -> cost.CostModel | None:
    """The model of the seconds that an epoch takes, or None while too few are known."""
    timed = [member for member in history.seen if member.seconds and all(member.seconds.values())]
    if len(timed) < cost.FEWEST:
        return None
    epochs = [max(member.seconds) for member in timed]
    seconds = [member.seconds[most] / most for member, most in zip(timed, epochs, strict=True)]
    return cost.CostModel(rows.training([member.architecture for member in timed]), seconds)


def fit(history: History, rows: RowCache) -> Surrogate | None:
    """Fits the models, or gives None while too little is known.

    Args:
        history: What is known.
        rows: Feature rows.
    """
    known = [m for m in history.seen if m.scores and not m.is_closed and history.cost_values(m) is not None]
    costly = [member for member in history.seen if history.cost_values(member) is not None]
    if len(known) < FIRST or len(costly) < cost.FEWEST:
        return None
    full = history.rungs[-1]
    forecasts = accuracy.forecasts(known, history.rungs, seed_noise(history.full_trainings).deviation)
    chosen = _most_telling(known, full)
    known_rows = rows.accuracy([member.architecture for member in known])
    model = accuracy.AccuracyModel(known_rows[chosen], [forecasts[known[index].digest] for index in chosen])
    mean, std = model.predict(known_rows)
    mean[chosen], std[chosen] = model.known()
    costs = _costs(known, history)
    blocks = rows.cost([member.architecture for member in costly])
    overheads = [member.overhead_s for member in history.seen if member.overhead_s is not None]
    return Surrogate(
        rows=rows,
        model=model,
        known=tuple(known),
        mean=mean,
        std=std,
        costs=costs,
        full=np.array([full in member.scores or member.running == full for member in known]),
        reference=np.array([_floor(mean), *_worth_nothing(costs, history)]),
        cost_models=tuple(cost.CostModel(blocks, list(column)) for column in _costs(costly, history).T),
        epoch_time=epoch_time(history, rows),
        overhead_s=float(np.median(overheads)) if overheads else 0.0,
    )


def _costs(members: Sequence[CandidateState], history: History) -> Array:
    return np.array([history.cost_values(member) for member in members]).reshape(len(members), -1)


def _worth_nothing(costs: Array, history: History) -> Array:
    """The limit of this run; without one the study's reference, or beyond the costliest candidate.

    A limit may have been relaxed since the reference was stored.
    """
    beyond: Array = REFERENCE_MARGIN * costs.max(axis=0)
    given = beyond if history.reference is None else np.array(history.reference[1:])
    limits = [getattr(history.limits, f"max_{name}") for name in history.cost_objectives]
    return np.array([value if limit is None else limit for value, limit in zip(given, limits, strict=True)])


def _most_telling(known: Sequence[CandidateState], full: int) -> list[int]:
    """Indices of the candidates for the accuracy model, in their order: the longest trained and the latest."""
    order = sorted(range(len(known)), key=lambda index: (full in known[index].scores, known[index].epochs, index))
    return sorted(order[-_MOST_POINTS:])


def _floor(mean: Array) -> float:
    """The score that is just worth nothing: the lowest, unless it lies far below the others."""
    low, middle, high = np.quantile(mean, [0.1, 0.5, 0.9])
    return float(max(mean.min(), middle - 2 * (high - low)))
