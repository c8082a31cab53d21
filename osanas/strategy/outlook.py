"""What is still to be expected of a search: how much of its end it has, and whether the rest is worth waiting for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osanas.genotype.architecture import Architecture
from osanas.pareto import hypervolume, score_and_costs
from osanas.strategy.acquisition import expected_improvement
from osanas.strategy.history import History
from osanas.strategy.surrogate import Surrogate
from osanas.study.rungs import shares

Array = NDArray[np.float64]

SETTLED = 0.005
"""A search is settled where its next tenth is expected to add less than this share of the hypervolume."""
_LOOKED_AT = 60
"""Members with the highest expected improvement; those below add nothing that would be seen."""


@dataclass(frozen=True)
class Outlook:
    """Where a search stands.

    Attributes:
        share: The hypervolume of all that was trained, at whatever rung, over the one that is expected at the end; 0 to
            1.
        is_settled: Whether the next tenth of the search is expected to add less than ``SETTLED``.
    """

    share: float
    is_settled: bool


def outlook(found: Surrogate, history: History, members: Sequence[Architecture], target: int) -> Outlook | None:
    """What a search is expected to add until its end.

    Each full training that is left goes to the member with the highest expected improvement, which is then taken to
    reach what is expected of it.

    Args:
        found: The models.
        history: What they were fitted to.
        members: Unseen ones that might be trained.
        target: Candidates that the study should train.

    Returns:
        None where the study has no reference point, or nothing better than that.
    """
    if history.reference is None:
        return None
    points = [
        (score, *costs)
        for member in history.seen
        if not member.is_closed and (costs := history.cost_values(member)) is not None
        for score in member.scores.values()
    ]
    reached = hypervolume(points, score_and_costs(len(history.cost_objectives)), history.reference)
    if reached == 0:
        return None
    full = int(found.full.sum())
    whole = shares(history.rungs)[-1] * target
    gains = _expected_gains(found, history, members, points, left=max(0, math.ceil(whole) - full))
    tenth = sum(gains[: math.ceil(whole / 10)])
    return Outlook(reached / (reached + sum(gains)), is_settled=full > 0 and tenth < SETTLED * reached)


def _expected_gains(
    found: Surrogate,
    history: History,
    members: Sequence[Architecture],
    points: Sequence[tuple[float, ...]],
    *,
    left: int,
) -> list[float]:
    """What each full training that is left is expected to add, one after the other."""
    waiting = ~found.full
    mean, std = found.model.predict(found.rows.accuracy(members)) if members else (np.empty(0), np.empty(0))
    mean, std = np.concatenate([found.mean[waiting], mean]), np.concatenate([found.std[waiting], std])
    costs = np.concatenate([found.costs[waiting], found.predicted_costs(members)]) if members else found.costs[waiting]
    reference = np.array(history.reference)
    front = np.array(points).reshape(len(points), -1)
    gains: list[float] = []
    for _ in range(left):
        expected = expected_improvement(mean, std, costs, front[:, 0], front[:, 1:], reference)
        if not gains:
            looked_at = np.argsort(-expected)[:_LOOKED_AT]
            mean, std, costs, expected = mean[looked_at], std[looked_at], costs[looked_at], expected[looked_at]
        if len(expected) == 0:
            break
        best = int(np.argmax(expected))
        gains.append(float(expected[best]))
        front = np.vstack([front, [mean[best], *costs[best]]])
        mean, std, costs = np.delete(mean, best), np.delete(std, best), np.delete(costs, best, axis=0)
    return gains
