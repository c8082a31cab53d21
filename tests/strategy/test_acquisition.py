from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from osanas.pareto import Direction, hypervolume
from osanas.strategy.acquisition import expected_improvement

QUANTILES = norm.ppf((np.arange(400) + 0.5) / 400)
UNIT = st.floats(0.0, 1.0)


@given(st.integers(0, 2), st.data())
def test_equals_the_mean_growth_of_the_hypervolume(costs: int, data: st.DataObject) -> None:
    point = st.tuples(*[UNIT] * (1 + costs))
    drawn = data.draw(st.lists(point, max_size=5))
    front = np.array(drawn).reshape(-1, 1 + costs)
    mean, *cost = data.draw(point)
    std = data.draw(st.floats(0.01, 0.3))
    reference = [0.1, *[0.9] * costs]
    directions: list[Direction] = ["maximize"]
    directions += ["minimize"] * costs
    before = hypervolume(drawn, directions, reference)
    grown = [
        hypervolume([*drawn, (accuracy, *cost)], directions, reference) - before for accuracy in mean + std * QUANTILES
    ]
    found = expected_improvement(
        np.array([mean]),
        np.array([std]),
        np.array([cost]).reshape(1, costs),
        front[:, 0],
        front[:, 1:],
        np.array(reference),
    )
    assert found[0] == pytest.approx(np.mean(grown), abs=4e-3)


@given(UNIT, UNIT)
def test_a_certain_point_adds_what_it_adds(accuracy: float, cost: float) -> None:
    points, reference = [[0.5, 0.5], [0.8, 0.7]], [0.2, 1.0]
    front = np.array(points)
    found = expected_improvement(
        np.array([accuracy]), np.array([0.0]), np.array([[cost]]), front[:, 0], front[:, 1:], np.array(reference)
    )
    directions: list[Direction] = ["maximize", "minimize"]
    grown = hypervolume([*points, [accuracy, cost]], directions, reference)
    grown -= hypervolume(points, directions, reference)
    assert found[0] == pytest.approx(grown, abs=1e-9)


def test_more_certain_of_less_is_worth_less() -> None:
    nothing = np.empty((0, 1))
    found = expected_improvement(
        np.array([0.5, 0.6, 0.6]),
        np.array([0.01, 0.01, 0.01]),
        np.array([[0.3], [0.3], [0.6]]),
        np.empty(0),
        nothing,
        np.array([0.1, 1.0]),
    )
    assert found[1] > found[0]
    assert found[1] > found[2]


def test_more_than_two_costs_are_refused() -> None:
    with pytest.raises(ValueError, match="at most two costs"):
        expected_improvement(np.ones(1), np.ones(1), np.ones((1, 3)), np.ones(1), np.ones((1, 3)), np.full(4, 2.0))
