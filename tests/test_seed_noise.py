"""The figures of ``benchmarks/seed_noise.py``."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.seed_noise import deviations, foretold, members, without_cost
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace

AT = SpaceAt(SearchSpace.load("vovnet"), NetworkShape(24, 1, 10, 2))


def test_deviations_are_told_apart() -> None:
    generator = np.random.default_rng(0)
    accuracies = generator.normal(0.8, 0.03, (20_000, 1)) + generator.normal(0, 0.01, (20_000, 2))
    between, within = deviations(accuracies)
    assert between == pytest.approx(0.03, rel=0.03)
    assert within == pytest.approx(0.01, rel=0.03)
    assert deviations(generator.normal(0, 0.01, (20_000, 2)))[0] < 0.002


def test_what_cost_explains_is_taken_out_and_counted() -> None:
    generator = np.random.default_rng(1)
    costs = generator.uniform(0, 3, 2_000)
    own = generator.normal(0, 0.02, (2_000, 1))
    accuracies = 0.5 + 0.2 * costs[:, None] - 0.05 * costs[:, None] ** 2 + own + generator.normal(0, 0.01, (2_000, 2))
    between, within = deviations(without_cost(accuracies, costs, 2), 3)
    assert between == pytest.approx(0.02, rel=0.1)
    assert within == pytest.approx(0.01, rel=0.1)
    assert deviations(without_cost(accuracies, costs, 1), 2)[0] > 1.3 * between
    few = [
        deviations(without_cost(noise, np.arange(6.0), 2), 3)[0] ** 2 for noise in generator.normal(0, 1, (4_000, 6, 2))
    ]
    assert np.mean(few) < 0.35  # nothing but noise, cut off at 0


def test_the_first_rung_is_compared_with_the_other_seed() -> None:
    early = np.array([[0.1, 0.3], [0.2, 0.2], [0.3, 0.1]])
    assert foretold(early, early) == -1
    assert foretold(early, early[:, ::-1]) == 1


def test_members_are_even_in_log_cost() -> None:
    found = members(AT, 10, 12e6)
    costs = np.log([AT.costs(member).multiply_adds for member in found])
    edges = np.linspace(np.log(AT.costs(AT.canonical(AT.space.smallest())).multiply_adds), np.log(12e6), 11)
    assert np.all((edges[:-1] <= costs) & (costs <= edges[1:]))
