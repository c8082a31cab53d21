from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from osanas.strategy.proposals import distinct, mutations, random_members
from tests.strategy.helpers import AT, members


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
