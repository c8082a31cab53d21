from __future__ import annotations

import math
import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.measure.statistics import (
    interquartile_ratio,
    mean_relative_half_width,
    median_interval,
    percentiles,
    relative_half_width,
)

values = st.lists(st.floats(0.1, 1e3), min_size=6, max_size=200)


@given(values)
def test_the_interval_holds_the_median_and_lies_within_the_samples(samples: list[float]) -> None:
    low, high = median_interval(samples)
    assert min(samples) <= low <= median(samples) <= high <= max(samples)


@given(values, st.floats(0.5, 100))
def test_the_relative_width_has_no_unit(samples: list[float], factor: float) -> None:
    scaled = [value * factor for value in samples]
    assert relative_half_width(scaled) == pytest.approx(relative_half_width(samples), abs=1e-9)


@pytest.mark.parametrize(("count", "rank"), [(6, 0), (8, 0), (9, 1), (20, 5), (30, 9), (100, 39), (1001, 469)])
def test_ranks_are_those_of_the_binomial_tables(count: int, rank: int) -> None:
    low, high = median_interval([float(value) for value in range(count)])
    assert (low, high) == (rank, count - 1 - rank)


@given(st.integers(6, 3000))
def test_the_rank_is_the_largest_that_the_level_allows(count: int) -> None:
    """Counted in whole numbers: a fortieth of all 2**count outcomes may lie beyond either end."""
    low, _ = median_interval(range(count))
    below = sum(math.comb(count, number) for number in range(int(low) + 1))
    assert 40 * below <= 2**count < 40 * (below + math.comb(count, int(low) + 1))


def test_the_interval_covers_the_median_as_often_as_it_says() -> None:
    generator = random.Random(3)
    covered = 0
    for _ in range(400):
        low, high = median_interval([generator.lognormvariate(0.0, 1.0) for _ in range(25)])
        covered += low <= 1.0 <= high
    assert covered / 400 >= 0.93


def test_five_samples_make_no_interval() -> None:
    with pytest.raises(ValueError, match="6 samples are needed"):
        median_interval([1.0] * 5)
    assert relative_half_width([1.0] * 5) == math.inf


def test_the_mean_of_windows_uses_students_t() -> None:
    assert mean_relative_half_width([1.0]) == math.inf
    assert mean_relative_half_width([1.0, 1.0, 1.0]) == 0.0
    assert mean_relative_half_width([0.9, 1.0, 1.1]) == pytest.approx(4.302653 * 0.1 / math.sqrt(3))


def test_the_spread_is_quartiles_over_the_median() -> None:
    assert interquartile_ratio([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("count", "found"),
    [
        (99, {}),
        (100, {"p90": 90}),
        (199, {"p90": 180}),
        (200, {"p90": 180, "p95": 190}),
        (999, {"p90": 900, "p95": 950}),
        (1000, {"p90": 900, "p95": 950, "p99": 990}),
    ],
)
def test_percentiles_have_ten_samples_beyond(count: int, found: dict[str, int]) -> None:
    assert percentiles([float(value) for value in range(count, 0, -1)]) == found
