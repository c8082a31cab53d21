from __future__ import annotations

import math
import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from osanas.strategy.noise import PRIOR_DEGREES, PRIOR_DEVIATION, SeedNoise, pooled_noise, seed_noise

TRAININGS = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), max_size=6)


def test_nothing_is_known_without_a_repeat() -> None:
    assert pooled_noise([]) is None
    assert pooled_noise([(0.5,), (0.9,)]) is None
    assert seed_noise([(0.5,), (0.9,)]) == SeedNoise(PRIOR_DEVIATION, PRIOR_DEGREES)


def test_a_pair_has_one_degree_of_freedom() -> None:
    found = pooled_noise([(0.5, 0.52)])
    assert found is not None
    assert found.degrees_of_freedom == 1
    assert found.deviation == pytest.approx(0.02 / math.sqrt(2))


def test_candidates_are_pooled_by_their_degrees_and_their_differences_do_not_matter() -> None:
    first, second, third = (0.1, 0.12, 0.14), (0.9, 0.94), (0.5,)
    found = pooled_noise([first, second, third])
    assert found is not None
    assert found.degrees_of_freedom == 3
    assert found.deviation**2 == pytest.approx((2 * 0.02**2 + 0.04**2 / 2) / 3)
    moved = pooled_noise([first, tuple(score - 0.3 for score in second), third])
    assert moved is not None
    assert moved.deviation == pytest.approx(found.deviation)


@given(trainings=TRAININGS)
def test_a_few_repeats_move_the_assumption_and_many_replace_it(trainings: list[list[float]]) -> None:
    known, reckoned = pooled_noise(trainings), seed_noise(trainings)
    bounds = sorted([PRIOR_DEVIATION, PRIOR_DEVIATION if known is None else known.deviation])
    assert bounds[0] - 1e-12 <= reckoned.deviation <= bounds[1] + 1e-12
    if known is not None:
        many = seed_noise(trainings * 1000)
        assert many.deviation == pytest.approx(known.deviation, rel=0.01, abs=PRIOR_DEVIATION / 20)


def test_a_mean_is_known_better_the_more_trainings_are_behind_it() -> None:
    noise = SeedNoise(0.01, 7)
    assert noise.half_width(1) == pytest.approx(0.01 * stats.t.ppf(0.975, 7))
    assert noise.half_width(4) == pytest.approx(noise.half_width(1) / 2)
    assert noise.half_width_of_difference(1, 1) == pytest.approx(noise.half_width(1) * math.sqrt(2))
    assert noise.half_width_of_difference(2, 3) == pytest.approx(noise.half_width(1) * math.sqrt(1 / 2 + 1 / 3))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng, held, tries = random.Random(0), 0, 2000
    for _ in range(tries):
        trainings = [[rng.gauss(mean, PRIOR_DEVIATION) for _ in range(2)] for mean in (0.2, 0.5, 0.7, 0.9)]
        half = seed_noise(trainings).half_width(2)
        held += abs(fmean(trainings[0]) - 0.2) <= half
    assert 0.93 < held / tries < 0.985
