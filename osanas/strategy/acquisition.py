"""Expected hypervolume improvement where only the accuracy is uncertain.

With known costs ``c`` the improvement of a candidate is an integral over the accuracies ``t`` that it may reach: of the
probability of more than ``t``, times the volume of costs between ``c`` and the reference that no point with at least
that accuracy dominates. Both are exact: the second changes only at the accuracies of the front.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]


def expected_improvement(
    mean: Array, std: Array, costs: Array, front_accuracy: Array, front_costs: Array, reference: Array
) -> Array:
    """Expected growth of the hypervolume by each of ``n`` candidates.

    Args:
        mean: Predicted accuracies ``[n]``.
        std: Their standard deviations ``[n]``, not negative.
        costs: Known costs ``[n, k]``; k is 0, 1 or 2.
        front_accuracy: Accuracies of the points reached so far ``[m]``; dominated ones do no harm.
        front_costs: Their costs ``[m, k]``.
        reference: Accuracy and k costs that are just worth nothing ``[1 + k]``.

    Returns:
        ``[n]``, in the product of the objectives' units.
    """
    floor, cost_limit = reference[0], reference[1:]
    inside = (front_accuracy > floor) & np.all(front_costs < cost_limit, axis=1)
    accuracy, points = front_accuracy[inside], front_costs[inside]
    levels = np.concatenate([[floor], np.unique(accuracy)])
    above = np.stack([_excess(mean, std, level) for level in [*levels, np.inf]])
    gained = np.zeros(len(mean))
    for index, level in enumerate([*levels[1:], np.inf]):
        volume = _free_volume(costs, points[accuracy >= level], cost_limit)
        gained += (above[index] - above[index + 1]) * volume
    return gained


def _excess(mean: Array, std: Array, level: float) -> Array:
    """Expectation of what a normal variable has above a level."""
    if np.isinf(level):
        return np.zeros(len(mean))
    spread = np.maximum(std, 1e-12)
    z = (mean - level) / spread
    excess: Array = np.maximum(spread * (np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) + z * ndtr(z)), 0.0)
    return excess


def _free_volume(costs: Array, points: Array, limit: Array) -> Array:
    """Volume between each row of costs and the limit that none of the points dominates."""
    room = np.maximum(limit - costs, 0.0)
    if costs.shape[1] == 0:
        return np.zeros(len(costs)) if len(points) else np.ones(len(costs))
    if costs.shape[1] == 1:
        taken = np.maximum(limit[0] - np.maximum(costs, points[:, 0].min(initial=np.inf)), 0.0)[:, 0]
        free: Array = room[:, 0] - taken
        return free
    if costs.shape[1] > 2:
        raise ValueError(f"at most two costs are supported, got {costs.shape[1]}")
    return np.asarray(room.prod(axis=1) - _staircase_area(costs, points, limit))


def _staircase_area(costs: Array, points: Array, limit: Array) -> Array:
    """Area that the points dominate within the rectangle from each row of costs to the limit."""
    if len(points) == 0:
        return np.zeros(len(costs))
    ordered = points[np.argsort(points[:, 0], kind="stable")]
    left = np.minimum(np.maximum(ordered[:, 0], costs[:, :1]), limit[0])  # [n, m]
    right = np.concatenate([left[:, 1:], np.full((len(costs), 1), limit[0])], axis=1)
    bottom = np.minimum.accumulate(np.maximum(ordered[:, 1], costs[:, 1:]), axis=1)
    area: Array = ((right - left) * np.maximum(limit[1] - bottom, 0.0)).sum(axis=1)
    return area
