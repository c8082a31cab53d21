from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from osanas.strategy.history import CandidateState, History
from osanas.strategy.outlook import Outlook, outlook
from osanas.strategy.surrogate import RowCache, fit
from tests.strategy.helpers import FEATURES, accuracy, history, members, seen

RUNGS = (1, 3, 9)
REFERENCE = (0.1, 10.0)
ALL = members(60)
LADDER = [seen(member, RUNGS[: 1 + (number % 3 == 0) + (number % 9 == 0)]) for number, member in enumerate(ALL[:30])]


def told(
    known: Sequence[CandidateState], target: int, reference: tuple[float, ...] | None = REFERENCE
) -> Outlook | None:
    told_of: History = replace(history(known, RUNGS), reference=reference)
    found = fit(told_of, RowCache(FEATURES))
    assert found is not None
    return outlook(found, told_of, ALL[30:], target)


def test_a_search_that_has_trained_its_share_has_all_of_its_end() -> None:
    """A fifth of 20 candidates reaches the highest rung, and four have."""
    assert sum(9 in member.scores for member in LADDER) == 4
    assert told(LADDER, target=20) == Outlook(1.0, is_settled=True)


def test_the_more_is_left_the_less_is_reached() -> None:
    found = [told(LADDER, target) for target in (20, 40, 100, 400)]
    shares = [one.share for one in found if one is not None]
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) > 2
    assert 0 < shares[-1] < 1


def test_without_a_full_training_nothing_is_settled() -> None:
    first = [seen(member, (1,)) for member in ALL[:30]]
    found = told(first, target=30)
    assert found is not None
    assert not found.is_settled


def test_a_better_member_at_hand_unsettles() -> None:
    """Where only the worst were trained, the rest promises much."""
    order = sorted(ALL, key=lambda member: accuracy(member, 9))
    worst = [seen(member, RUNGS) for member in order[:12]]
    ladder = replace(history(worst, RUNGS), reference=REFERENCE)
    model = fit(ladder, RowCache(FEATURES))
    assert model is not None
    found = outlook(model, ladder, order[12:], 400)
    assert found is not None
    assert not found.is_settled
    assert found.share < 0.99


@pytest.mark.parametrize("reference", [None, (0.99, 10.0), (0.1, 1e-6)])
def test_nothing_is_said_without_a_reference_or_anything_beyond_it(reference: tuple[float, ...] | None) -> None:
    assert told(LADDER, 100, reference) is None
