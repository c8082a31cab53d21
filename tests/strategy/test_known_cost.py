from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping

import pytest

from osanas.genotype.architecture import Architecture
from osanas.strategy.history import CandidateState
from osanas.strategy.known_cost import KnownCost
from osanas.study.objectives import Limits
from tests.strategy.helpers import FEATURES, costs, history, members, seen

FULL = (9,)


def test_the_first_candidates_are_unlike_each_other_and_worth_nothing_yet() -> None:
    strategy = KnownCost(FEATURES, seed=1)
    known: list[CandidateState] = []
    for _ in range(5):
        member, worth = strategy.best_new(history(known, FULL))
        assert member is not None
        assert worth == 0.0
        known.append(seen(member, FULL))
    assert len({one.digest for one in known}) == 5


def test_proposes_better_than_chance() -> None:
    known = [seen(member, FULL) for member in members(30)]
    strategy = KnownCost(FEATURES)
    found = strategy.surrogate(history(known, FULL))
    assert found is not None
    member, worth = strategy.best_new(history(known, FULL))
    assert member is not None
    assert member.digest not in {one.digest for one in known}
    at_random = found.gains_of(members(200, seed=7))
    assert worth >= at_random.max()


@pytest.mark.parametrize("seed", [0, 1])
def test_equal_histories_give_equal_proposals(seed: int) -> None:
    known = [seen(member, FULL) for member in members(20)]
    first, second = (KnownCost(FEATURES, seed).best_new(history(known, FULL)) for _ in range(2))
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


def test_measures_the_best_few_only_while_predictions_are_poor() -> None:
    asked: list[Architecture] = []

    def price(member: Architecture) -> Mapping[str, float | None]:
        asked.append(member)
        return costs(member)

    known = [seen(member, FULL) for member in members(40)]
    KnownCost(FEATURES).propose(history(known, FULL), price)
    assert asked == []
    noise = random.Random(0)
    noisy = [
        CandidateState(one.digest, one.architecture, {**one.costs, "latency_ms": noise.uniform(0.2, 0.9)}, one.scores)
        for one in known
    ]
    chosen = KnownCost(FEATURES).propose(history(noisy, FULL), price)
    assert 0 < len(asked) <= 6
    assert chosen in asked


def test_a_member_that_cannot_be_measured_is_no_choice() -> None:
    noise = random.Random(0)
    known = [
        CandidateState(m.digest, m, {**costs(m), "latency_ms": noise.uniform(0.2, 0.9)}, seen(m, FULL).scores)
        for m in members(30)
    ]
    first: list[str] = []

    def price(member: Architecture) -> Mapping[str, float | None]:
        first.append(member.digest)
        return dict.fromkeys(costs(member)) if len(first) == 1 else costs(member)

    chosen = KnownCost(FEATURES).propose(history(known, FULL), price)
    assert chosen is not None
    assert chosen.digest != first[0]


def test_two_costs_and_none() -> None:
    known = [seen(member, FULL) for member in members(20)]
    both = history(known, FULL, objectives=("accuracy", "latency_ms", "energy_mj"))
    alone = history(known, FULL, objectives=("accuracy",))
    assert KnownCost(FEATURES).propose(both) is not None
    assert KnownCost(FEATURES).propose(alone) is not None


@pytest.mark.slow
def test_finds_a_better_front_than_random_members_at_a_lower_cost() -> None:
    strategy = KnownCost(FEATURES, seed=2)
    known: list[CandidateState] = []
    for _ in range(16):
        member = strategy.propose(history(known, FULL))
        assert member is not None
        known.append(seen(member, FULL))

    def score(one: CandidateState) -> float:
        return one.scores[9] - 0.1 * float(one.costs["latency_ms"] or 0)

    best = statistics.fmean(sorted(map(score, known))[-5:])
    at_random = statistics.fmean(sorted(score(seen(member, FULL)) for member in members(25, seed=11))[-5:])
    assert best > at_random


def test_asking_twice_costs_once() -> None:
    known = [seen(member, FULL) for member in members(40)]
    strategy = KnownCost(FEATURES)
    first = strategy.best_new(history(known, FULL))
    started = time.process_time()
    assert strategy.best_new(history(list(known), FULL)) is first
    assert time.process_time() - started < 0.5
