from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osanas.strategy.history import CandidateState
from osanas.strategy.known_cost import KnownCost
from osanas.strategy.ladder import Promotion, next_promotion
from tests.strategy.helpers import FEATURES, accuracy, history, members, seen

RUNGS = (1, 3, 9)


def test_nobody_waits_nobody_goes() -> None:
    strategy = KnownCost(FEATURES)
    everyone = members(4)
    known = [
        seen(everyone[0], RUNGS),
        seen(everyone[1], [1], running=3),
        seen(everyone[2], [1], closed=True),
        seen(everyone[3], []),
    ]
    for has_rival in (True, False):
        assert next_promotion(history(known), strategy, has_rival=has_rival) is None


def test_the_first_candidates_are_trained_in_full_since_the_models_start_from_them() -> None:
    member = members(1)[0]
    found = next_promotion(history([seen(member, [1])]), KnownCost(FEATURES), has_rival=True)
    assert found == Promotion(member.digest, member, 3)


def test_without_a_rival_one_of_three_goes_on_and_it_is_the_one_that_adds_most() -> None:
    strategy = KnownCost(FEATURES)
    everyone = sorted(members(5), key=lambda member: accuracy(member, 1))
    two = [seen(member, [1]) for member in everyone[:2]]
    assert next_promotion(history(two), strategy, has_rival=False) is None
    three = [seen(member, [1]) for member in everyone[:3]]
    found = next_promotion(history(three), strategy, has_rival=False)
    assert found == Promotion(everyone[2].digest, everyone[2], 3)


def test_the_highest_rung_goes_first() -> None:
    strategy = KnownCost(FEATURES)
    everyone = members(12)
    known = [seen(member, [1, 3]) for member in everyone[:3]] + [seen(member, [1]) for member in everyone[3:]]
    found = next_promotion(history(known), strategy, has_rival=False)
    assert found is not None
    assert found.epochs == 9


def test_a_hopeless_candidate_yields_to_a_new_one_and_a_promising_one_does_not() -> None:
    everyone = members(60)
    known = [seen(member, RUNGS) for member in everyone[:30]]
    strategy = KnownCost(FEATURES)
    surrogate = strategy.surrogate(history(known))
    assert surrogate is not None
    gains = surrogate.gains_of(everyone[30:])
    worst, (best, _) = everyone[30 + int(gains.argmin())], strategy.best_new(history(known))
    assert best is not None
    hopeless = replace(seen(worst, [1]), scores={1: 0.05}, losses={1: 3.0})
    assert next_promotion(history([*known, hopeless]), strategy, has_rival=True) is None
    reached = {epochs: accuracy(best, epochs) + 0.05 for epochs in (1, 3)}
    grown = replace(seen(best, [1, 3]), scores=reached, losses={e: 1.0 - value for e, value in reached.items()})
    found = next_promotion(history([*known, grown]), strategy, has_rival=True)
    assert found == Promotion(best.digest, best, 9)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.booleans())
def test_a_search_by_promotions_alone_ends_and_trains_nobody_twice(seed: int, has_rival: bool) -> None:
    rng = random.Random(seed)
    known: dict[str, CandidateState] = {}
    for member in members(rng.randint(1, 14), seed):
        known[member.digest] = seen(member, [1], closed=rng.random() < 0.2)
    trained: set[tuple[str, int]] = set()
    while (
        found := next_promotion(history(list(known.values())), KnownCost(FEATURES), has_rival=has_rival)
    ) is not None:
        assert (found.digest, found.epochs) not in trained
        trained.add((found.digest, found.epochs))
        before = known[found.digest]
        assert not before.is_closed
        assert found.epochs == min(rung for rung in RUNGS if rung > before.epochs)
        known[found.digest] = seen(before.architecture, [*before.scores, found.epochs])
    assert len(trained) <= 2 * len(known)


@pytest.mark.parametrize("has_rival", [True, False])
def test_it_is_a_pure_function_of_the_history(has_rival: bool) -> None:
    everyone = members(30)
    known = [seen(member, RUNGS) for member in everyone[:12]] + [seen(member, [1]) for member in everyone[12:]]
    first, second = (next_promotion(history(known), KnownCost(FEATURES), has_rival=has_rival) for _ in range(2))
    assert first == second
