from __future__ import annotations

from itertools import pairwise

from osanas.tasks.task import epoch_seed


def test_seeds_are_independent() -> None:
    seeds = [epoch_seed(seed, number) for seed in range(20) for number in range(20)]
    assert len(set(seeds)) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert all(second != first + 1 for first, second in pairwise(seeds))
