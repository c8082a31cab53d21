from __future__ import annotations

import math
import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.strategy.proposals import distinct, evenly_in_cost, mutations, random_members
from tests.strategy.helpers import AT, SHAPE, members


@given(st.integers(0, 1000))
def test_mutations_are_members_that_differ_little(seed: int) -> None:
    parent = members(1, seed)[0]
    before = AT.encode(parent)
    for child in mutations([parent], AT, 5, random.Random(seed)):
        after = AT.encode(child)
        changed = [name for name in before if before[name] != after[name]]
        assert len(changed) <= 4  # three dimensions, and identity where it became inert
        assert child == AT.canonical(child)


def test_random_members_are_canonical_and_repeatable() -> None:
    first, second = (random_members(AT, 20, random.Random(3)) for _ in range(2))
    assert first == second
    assert all(member == AT.canonical(member) for member in first)


def test_distinct_leaves_out_repetitions_and_the_seen() -> None:
    first, second = members(2)
    assert list(distinct([first, second, first], {second.digest})) == [first.digest]


@pytest.mark.parametrize("space", ["vovnet", "vovnet_slim", "vovnet_v2"])
def test_costs_are_spread_evenly_in_log_scale(space: str) -> None:
    at = SpaceAt(SearchSpace.load(space), SHAPE)
    least, most = (
        math.log(at.costs(at.canonical(member)).multiply_adds) for member in (at.space.smallest(), at.space.largest())
    )
    drawn = evenly_in_cost(at, 300, random.Random(0))
    costs = np.log([at.costs(member).multiply_adds for member in drawn])
    shares = np.sort((costs - least) / (most - least))
    even = (np.arange(300) + 0.5) / 300
    assert np.abs(shares - even).max() < 1.63 / math.sqrt(300) + 0.02  # Kolmogorov-Smirnov at 1 %, and steps of costs
    assert all(member == at.canonical(member) and at.contains(member) for member in drawn)
    assert len(distinct(drawn, set())) > 240


@given(st.integers(0, 1000))
def test_costs_keep_their_bounds(seed: int) -> None:
    lower, upper = 2e6, 6e6
    for member in evenly_in_cost(AT, 5, random.Random(seed), lower=lower, upper=upper):
        assert lower <= AT.costs(member).multiply_adds <= upper


def test_members_of_like_cost_differ_in_structure() -> None:
    drawn = evenly_in_cost(AT, 100, random.Random(1), lower=3e6, upper=3.3e6)
    indices = np.array([list(AT.encode(member).values()) for member in drawn])
    ordered = [number for number, found in enumerate(AT.dimensions) if found.name.startswith("st")]
    assert all(len(set(indices[:, number])) > 1 for number in ordered)


def test_drawing_is_repeatable_and_quick() -> None:
    started = time.process_time()
    first, second = (evenly_in_cost(AT, 100, random.Random(3)) for _ in range(2))
    assert time.process_time() - started < 2
    assert first == second
