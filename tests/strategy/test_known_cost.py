from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from osanas.genotype.architecture import Architecture
from osanas.strategy.history import CandidateState
from osanas.strategy.known_cost import DESIGN, KnownCost
from osanas.study.objectives import Limits
from tests.strategy.helpers import FEATURES, costs, history, members, seen

FULL = (9,)


def proposals(strategy: KnownCost, count: int) -> list[CandidateState]:
    known: list[CandidateState] = []
    for _ in range(count):
        member = strategy.propose(history(known, FULL))
        assert member is not None
        known.append(seen(member, FULL))
    return known


def test_the_first_candidates_cover_the_costs_a_cheap_one_first() -> None:
    known = proposals(KnownCost(FEATURES, seed=1), 5)
    assert len({one.digest for one in known}) == 5
    sizes = [float(one.costs["multiply_adds"] or 0) for one in known]
    by_place = sorted(range(5), key=DESIGN.__getitem__)
    assert sorted(range(5), key=sizes.__getitem__) == by_place


def test_proposes_better_than_chance() -> None:
    known = [seen(member, FULL) for member in members(30)]
    strategy = KnownCost(FEATURES)
    found = strategy.surrogate(history(known, FULL))
    assert found is not None
    member = strategy.propose(history(known, FULL))
    assert member is not None
    assert member.digest not in {one.digest for one in known}

    def rate(some: list[Architecture]) -> float:
        return float((found.gains_of(some) / found.epoch_seconds(some)).max())

    assert rate([member]) >= rate(members(200, seed=7))


def test_of_equal_gains_the_one_that_trains_faster_goes_first() -> None:
    """Seconds are what is spent: where time rises with size, smaller networks are proposed."""
    everyone = members(40)
    known = [seen(member, FULL) for member in everyone]
    rows = FEATURES.training(everyone)
    flat = [replace(one, seconds={9: 1.0}) for one in known]
    steep = [replace(one, seconds={9: float(row[1]) ** 2 * 10}) for one, row in zip(known, rows, strict=True)]
    free, dear = (KnownCost(FEATURES).propose(history(some, FULL)) for some in (flat, steep))
    assert free is not None
    assert dear is not None
    assert FEATURES.training([dear])[0, 1] < FEATURES.training([free])[0, 1]


@pytest.mark.parametrize("count", [19, 39])
def test_now_and_then_it_looks_where_least_is_known(count: int) -> None:
    known = [seen(member, FULL) for member in members(count)]
    strategy = KnownCost(FEATURES)
    first = strategy.propose(history(known, FULL))
    lucky = [replace(one, scores={9: one.scores[9] + 0.1 * (place % 2)}) for place, one in enumerate(known)]
    assert strategy.propose(history(lucky, FULL)) == first  # whatever the models say


@pytest.mark.parametrize("seed", [0, 1])
def test_equal_histories_give_equal_proposals(seed: int) -> None:
    known = [seen(member, FULL) for member in members(20)]
    first, second = (KnownCost(FEATURES, seed).propose(history(known, FULL)) for _ in range(2))
    assert first == second


def test_limits_are_kept_by_count_and_by_prediction() -> None:
    known = [seen(member, FULL) for member in members(30)]
    limits = Limits(max_parameters=60_000, max_latency_ms=0.45)
    member = KnownCost(FEATURES).propose(history(known, FULL, limits))
    assert member is not None
    found = costs(member)
    assert float(found["parameters"] or 0) <= 60_000
    assert float(found["latency_ms"] or 0) <= 0.45 * 1.05


def test_limits_that_nothing_meets_propose_nothing() -> None:
    known = [seen(member, FULL) for member in members(15)]
    assert KnownCost(FEATURES).propose(history(known, FULL, Limits(max_parameters=10))) is None


def test_two_costs_and_none() -> None:
    known = [seen(member, FULL) for member in members(20)]
    both = history(known, FULL, objectives=("accuracy", "latency_ms", "energy_mj"))
    alone = history(known, FULL, objectives=("accuracy",))
    assert KnownCost(FEATURES).propose(both) is not None
    assert KnownCost(FEATURES).propose(alone) is not None


@pytest.mark.slow
def test_finds_a_better_front_than_random_members_at_a_lower_cost() -> None:
    known = proposals(KnownCost(FEATURES, seed=2), 16)

    def score(one: CandidateState) -> float:
        return one.scores[9] - 0.1 * float(one.costs["latency_ms"] or 0)

    best = statistics.fmean(sorted(map(score, known))[-5:])
    at_random = statistics.fmean(sorted(score(seen(member, FULL)) for member in members(25, seed=11))[-5:])
    assert best > at_random


def test_workers_propose_different_members_and_judge_alike() -> None:
    known = history([seen(member, FULL) for member in members(30)], FULL)
    first, second = (KnownCost(FEATURES, 1, worker) for worker in range(2))
    assert first.propose(known) != second.propose(known)
    told = replace(known, reference=(0.1, 10.0))
    assert first.outlook(told, 400) == second.outlook(told, 400) is not None


def test_where_nothing_is_worth_anything_the_best_goes_on() -> None:
    """A reference that everybody lies beyond, as after a change of driver."""
    waiting = [seen(member, (2,)) for member in members(12)]
    known = replace(history(waiting, (2, 8)), reference=(0.99, 1e-6))
    best = max(waiting, key=lambda one: one.scores[2])
    assert KnownCost(FEATURES).best_waiting(waiting, known).digest == best.digest
