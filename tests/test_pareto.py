from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.pareto import Direction, front, hypervolume, rank

Points = list[tuple[float, ...]]
Case = tuple[Points, list[Direction]]


@st.composite
def _cases(draw: st.DrawFn, *, max_points: int = 12) -> Case:
    columns = draw(st.integers(1, 4))
    # few distinct values: ties and duplicates are the hard part
    value = st.integers(-3, 3).map(float) | st.floats(-10, 10)
    points = draw(st.lists(st.tuples(*[value] * columns), max_size=max_points))
    directions: list[Direction] = draw(
        st.lists(st.sampled_from(["maximize", "minimize"]), min_size=columns, max_size=columns)
    )
    return points, directions


def _losses(point: Sequence[float], directions: Sequence[Direction]) -> tuple[float, ...]:
    return tuple(-v if d == "maximize" else v for v, d in zip(point, directions, strict=True))


def _dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _brute_front(points: Points, directions: list[Direction]) -> list[int]:
    losses = [_losses(point, directions) for point in points]
    return [i for i, mine in enumerate(losses) if not any(_dominates(other, mine) for other in losses)]


def _brute_hypervolume(points: Points, directions: list[Direction], reference: tuple[float, ...]) -> float:
    """Sum over the grid cells that the coordinates cut."""
    bound = _losses(reference, directions)
    losses = [p for p in (_losses(point, directions) for point in points) if all(map(float.__lt__, p, bound))]
    axes = [sorted({p[k] for p in losses} | {bound[k]}) for k in range(len(bound))]
    total = 0.0
    for cell in itertools.product(*(itertools.pairwise(axis) for axis in axes)):
        corner = tuple(low for low, _ in cell)
        if any(all(x <= c for x, c in zip(p, corner, strict=True)) for p in losses):
            total += math.prod(high - low for low, high in cell)
    return total


@given(_cases())
def test_front_is_what_nothing_dominates(case: Case) -> None:
    points, directions = case
    assert front(points, directions) == _brute_front(points, directions)


@given(_cases())
def test_rank_peels_fronts(case: Case) -> None:
    points, directions = case
    ranks = rank(points, directions)
    left = list(range(len(points)))
    expected = [0] * len(points)
    for level in itertools.count():
        if not left:
            break
        peeled = {left[i] for i in _brute_front([points[i] for i in left], directions)}
        for index in peeled:
            expected[index] = level
        left = [index for index in left if index not in peeled]
    assert ranks == expected


@given(_cases(max_points=6), st.data())
def test_hypervolume_equals_the_sum_of_cells(case: Case, data: st.DataObject) -> None:
    points, directions = case
    reference = tuple(data.draw(st.lists(st.floats(-5, 5), min_size=len(directions), max_size=len(directions))))
    expected = _brute_hypervolume(points, directions, reference)
    assert hypervolume(points, directions, reference) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(_cases(max_points=6), st.data())
def test_hypervolume_never_shrinks_with_another_point(case: Case, data: st.DataObject) -> None:
    points, directions = case
    reference = tuple(5.0 if direction == "minimize" else -5.0 for direction in directions)
    extra = tuple(data.draw(st.lists(st.floats(-10, 10), min_size=len(directions), max_size=len(directions))))
    before = hypervolume(points, directions, reference)
    after = hypervolume([*points, extra], directions, reference)
    assert after >= before * (1 - 1e-12)
    kept = [points[i] for i in front(points, directions)]
    assert hypervolume(kept, directions, reference) == pytest.approx(before)


def test_a_known_front() -> None:
    points = [(0.9, 5.0), (0.8, 2.0), (0.8, 3.0), (0.9, 5.0), (0.1, 1.0)]
    directions: list[Direction] = ["maximize", "minimize"]
    assert front(points, directions) == [0, 1, 3, 4]
    assert rank(points, directions) == [0, 0, 1, 0, 0]
    assert hypervolume(points, directions, (0.0, 10.0)) == pytest.approx(0.9 * 5 + 0.8 * 3 + 0.1 * 1)


def test_points_at_or_beyond_the_reference_add_nothing() -> None:
    assert hypervolume([(1.0, 0.5), (2.0, 2.0)], ["minimize", "minimize"], (1.0, 1.0)) == 0.0


def test_nothing() -> None:
    assert front([], ["minimize"]) == []
    assert rank([], ["minimize", "maximize"]) == []
    assert hypervolume([], ["minimize", "maximize"], (1, 0)) == 0.0


def test_order_of_points_does_not_matter() -> None:
    rng = random.Random(0)
    points = [tuple(rng.random() for _ in range(3)) for _ in range(200)]
    directions: list[Direction] = ["maximize", "minimize", "minimize"]
    shuffled = rng.sample(points, len(points))
    assert {points[i] for i in front(points, directions)} == {shuffled[i] for i in front(shuffled, directions)}
    reference = (0.0, 1.0, 1.0)
    assert hypervolume(points, directions, reference) == pytest.approx(hypervolume(shuffled, directions, reference))


@pytest.mark.parametrize("function", [front, rank, lambda p, d: hypervolume(p, d, (0.0, 0.0))])
@pytest.mark.parametrize(
    ("points", "directions", "message"),
    [
        (
            [(0, 0), (1, math.nan)],
            ["minimize", "minimize"],
            "objective 1 of point 1 is nan; only finite values compare",
        ),
        ([(math.inf, 0)], ["minimize", "minimize"], "objective 0 of point 0 is inf"),
        ([(0, 0), (0, 0, 0)], ["minimize", "minimize"], "point 1 has 3 values for 2 objectives"),
        ([(0, 0)], ["minimize", "up"], "directions must be 'maximize' or 'minimize', at least one, got"),
        ([(0, 0)], [], "directions must be 'maximize' or 'minimize', at least one, got"),
    ],
)
def test_refuses_what_does_not_compare(
    function: Callable[..., Any], points: Any, directions: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        function(points, directions)


@pytest.mark.parametrize("reference", [(math.nan, 0.0), (0.0, -math.inf), (0.0,)])
def test_refuses_a_reference_that_does_not_compare(reference: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="the reference"):
        hypervolume([(0.0, 0.0)], ["minimize", "minimize"], reference)
