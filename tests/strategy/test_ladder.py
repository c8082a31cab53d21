from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osanas.strategy.history import CandidateState, History
from osanas.strategy.known_cost import KnownCost
from osanas.strategy.ladder import Promotion, expected_epochs, next_promotion
from osanas.study.rungs import shares
from tests.strategy.helpers import FEATURES, accuracy, history, members, seen

RUNGS = (1, 3, 9)


class ByScore:
    """Judges candidates by their latest score."""

    def best_waiting(self, waiting: list[CandidateState], history: History) -> CandidateState:
        return max(waiting, key=lambda member: member.scores[member.epochs])


def test_a_fifth_reaches_the_last_rung_and_less_than_half_the_one_before() -> None:
    assert shares((8,)) == [1.0]
    assert shares((2, 8)) == [1.0, pytest.approx(0.2)]
    assert shares((2, 4, 8)) == [1.0, pytest.approx(0.447, abs=0.001), pytest.approx(0.2)]
    assert expected_epochs((8,)) == 8
    assert expected_epochs((2, 8)) == pytest.approx(2 + 0.2 * 6)


def test_nobody_waits_nobody_goes() -> None:
    everyone = members(4)
    known = [
        seen(everyone[0], RUNGS),
        seen(everyone[1], [1], running=3),
        seen(everyone[2], [1], closed=True),
        seen(everyone[3], []),
    ]
    for may_begin in (True, False):
        assert next_promotion(history(known), ByScore(), may_begin=may_begin) is None


def test_the_best_goes_on_once_its_rung_lacks_one() -> None:
    everyone = sorted(members(5), key=lambda member: accuracy(member, 1))
    two = [seen(member, [1]) for member in everyone[:2]]
    assert next_promotion(history(two), ByScore(), may_begin=True) is None
    three = [seen(member, [1]) for member in everyone[:3]]
    found = next_promotion(history(three), ByScore(), may_begin=True)
    assert found == Promotion(everyone[2].digest, everyone[2], 3)


def test_where_nothing_new_may_begin_at_least_one_goes_all_the_way() -> None:
    member = members(1)[0]
    for reached, following in (([1], 3), ([1, 3], 9)):
        found = next_promotion(history([seen(member, reached)]), ByScore(), may_begin=False)
        assert found == Promotion(member.digest, member, following)


def test_the_highest_rung_goes_first() -> None:
    everyone = members(12)
    known = [seen(member, [1, 3]) for member in everyone[:3]] + [seen(member, [1]) for member in everyone[3:]]
    found = next_promotion(history(known), ByScore(), may_begin=True)
    assert found is not None
    assert found.epochs == 9


def test_the_model_judges_and_not_a_lucky_figure() -> None:
    """A candidate whose structure promises much goes before one that was lucky in its first epoch."""
    everyone = sorted(members(60), key=lambda member: accuracy(member, 9))
    known = [seen(member, RUNGS) for member in everyone[5:55]]
    strategy = KnownCost(FEATURES)
    poor, good = everyone[0], everyone[-1]
    lucky = CandidateState(poor.digest, poor, seen(poor, []).costs, {1: accuracy(good, 1) + 0.01})
    solid = CandidateState(good.digest, good, lucky.costs, {1: accuracy(good, 1)})
    found = strategy.surrogate(history([*known, lucky, solid]))
    assert found is not None
    assert found.mean[-1] > found.mean[-2]
    gains = found.gains()
    assert gains[good.digest] > gains[poor.digest]  # at equal costs


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.booleans())
def test_a_search_by_promotions_alone_ends_and_trains_nobody_twice(seed: int, may_begin: bool) -> None:
    rng = random.Random(seed)
    known: dict[str, CandidateState] = {}
    for member in members(rng.randint(1, 40), seed):
        known[member.digest] = seen(member, [1], closed=rng.random() < 0.2)
    trained: set[tuple[str, int]] = set()
    while (found := next_promotion(history(list(known.values())), ByScore(), may_begin=may_begin)) is not None:
        assert (found.digest, found.epochs) not in trained
        trained.add((found.digest, found.epochs))
        before = known[found.digest]
        assert not before.is_closed
        assert found.epochs == min(rung for rung in RUNGS if rung > before.epochs)
        known[found.digest] = seen(before.architecture, [*before.scores, found.epochs])
    for rung, share in list(zip(RUNGS, shares(RUNGS), strict=True))[1:]:
        assert sum(rung in member.scores for member in known.values()) <= max(1, round(share * len(known)))


@pytest.mark.parametrize("may_begin", [True, False])
def test_it_is_a_pure_function_of_the_history(may_begin: bool) -> None:
    everyone = members(30)
    known = [seen(member, RUNGS) for member in everyone[:4]] + [seen(member, [1]) for member in everyone[4:]]
    first, second = (next_promotion(history(known), KnownCost(FEATURES), may_begin=may_begin) for _ in range(2))
    assert first is not None
    assert first == second
