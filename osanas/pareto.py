"""Dominance, front, ranks and hypervolume of points given as plain numbers. The algorithms are moocore's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

Direction = Literal["maximize", "minimize"]

REFERENCE_MARGIN = 1.1
"""A reference point lies this factor beyond the largest cost, so that the costliest member still counts."""


def score_and_costs(costs: int) -> list[Direction]:
    """Directions of points that are a score and so many costs."""
    lower: list[Direction] = ["minimize"] * costs
    return ["maximize", *lower]


def front(points: Sequence[Sequence[float]], directions: Sequence[Direction]) -> list[int]:
    """Indices of the points that no other point dominates, ascending; equal points are all kept.

    A point dominates another if it is at least as good in every objective and better in one.

    Args:
        points: One row per point, one column per objective.
        directions: Which way each objective is better.

    Raises:
        ValueError: A value is NaN or infinite, or rows and directions differ in length.
    """
    import moocore

    losses = _losses(points, directions)
    if losses.shape[1] == 1:  # moocore asks for two objectives
        return [int(index) for index in np.flatnonzero(losses[:, 0] == losses.min(initial=np.inf))]
    if len(losses) == 0:
        return []
    return [int(index) for index in np.flatnonzero(moocore.is_nondominated(losses, keep_weakly=True))]


def rank(points: Sequence[Sequence[float]], directions: Sequence[Direction]) -> list[int]:
    """Non-dominated rank of each point: 0 on the front, 1 on the front of what remains without it, and so on.

    Equal points have equal ranks.

    Args:
        points: One row per point, one column per objective.
        directions: Which way each objective is better.

    Raises:
        ValueError: A value is NaN or infinite, or rows and directions differ in length.
    """
    import moocore

    losses = _losses(points, directions)
    if len(losses) == 0:
        return []
    if losses.shape[1] == 1:
        # the place of the value among the distinct ones
        return [int(place) for place in np.unique(losses[:, 0], return_inverse=True)[1]]
    return [int(position) for position in moocore.pareto_rank(losses)]


def hypervolume(
    points: Sequence[Sequence[float]], directions: Sequence[Direction], reference: Sequence[float]
) -> float:
    """Volume that the points dominate up to the reference point, in the product of the objectives' units.

    Points that are not better than the reference in every objective add nothing.

    Args:
        points: One row per point, one column per objective; none at all has volume 0.
        directions: Which way each objective is better.
        reference: A point worse than those worth counting, one value per objective.

    Raises:
        ValueError: A value is NaN or infinite, or rows, reference and directions differ in length.
    """
    import moocore

    losses = _losses(points, directions)
    bound = _losses([reference], directions, called="the reference")[0]
    inside = losses[np.all(losses < bound, axis=1)]
    if len(inside) == 0:
        return 0.0
    if inside.shape[1] == 1:
        return float(bound[0] - inside.min())
    return float(moocore.hypervolume(inside, ref=bound))


def _losses(
    points: Sequence[Sequence[float]], directions: Sequence[Direction], called: str = "point {}"
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The points [N, objectives] with every objective to be minimised."""
    unknown = [direction for direction in directions if direction not in ("maximize", "minimize")]
    if unknown or not directions:
        raise ValueError(f"directions must be 'maximize' or 'minimize', at least one, got {list(directions)!r}")
    for index, point in enumerate(points):
        if len(point) != len(directions):
            raise ValueError(f"{called.format(index)} has {len(point)} values for {len(directions)} objectives")
    values = np.asarray(points, dtype=np.float64).reshape(len(points), len(directions))
    for index, column in np.argwhere(~np.isfinite(values)):
        received = values[index, column]
        raise ValueError(f"objective {column} of {called.format(index)} is {received}; only finite values compare")
    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
    losses: np.ndarray[Any, np.dtype[np.float64]] = values * signs
    return losses
