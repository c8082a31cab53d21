from __future__ import annotations

import math

import numpy as np
import pytest

from osanas.strategy.history import CandidateState, History
from osanas.strategy.surrogate import FIRST, RowCache, Surrogate, fit
from tests.strategy.helpers import FEATURES, accuracy, costs, history, members, seen

FULL = (9,)


def fitted(known: History) -> Surrogate:
    found = fit(known, RowCache(FEATURES))
    assert found is not None
    return found


def test_nothing_is_fitted_to_too_few() -> None:
    known = [seen(member, FULL) for member in members(FIRST)]
    assert fit(history(known[1:], FULL), RowCache(FEATURES)) is None
    assert fit(history(known, FULL), RowCache(FEATURES)) is not None


def test_closed_candidates_teach_no_accuracy_and_those_without_costs_teach_nothing() -> None:
    known = [seen(member, FULL) for member in members(FIRST)]
    closed = [seen(member, [], closed=True) for member in members(20, seed=5)]
    unmeasured = [
        CandidateState(one.digest, one.architecture, {**one.costs, "latency_ms": None}, one.scores)
        for one in (seen(member, FULL) for member in members(5, seed=6))
    ]
    assert fitted(history([*known, *closed, *unmeasured], FULL)).known == tuple(known)


def test_costs_of_members_that_are_no_candidates_are_learned_too() -> None:
    rows, known = RowCache(FEATURES), [seen(member, FULL) for member in members(FIRST)]
    priced = [CandidateState(member.digest, member, costs(member)) for member in members(40, seed=1)]
    ahead = members(60, seed=3)
    truth = [costs(member)["latency_ms"] for member in ahead]

    def error(found: Surrogate | None) -> float:
        assert found is not None
        return float(np.median(np.abs(found.predicted_costs(ahead)[:, 0] / np.array(truth, dtype=float) - 1)))

    assert error(fit(history(known, FULL), rows, priced)) < error(fit(history(known, FULL), rows))


def test_the_dearest_known_candidate_lies_within_the_reference() -> None:
    found = fitted(history([seen(member, FULL) for member in members(20)], FULL))
    assert found.reference[1] == pytest.approx(1.1 * found.costs.max())
    assert found.full.all()


def test_what_was_trained_to_the_end_adds_next_to_nothing_and_a_better_one_something() -> None:
    everyone = sorted(members(30), key=lambda member: accuracy(member, 9))
    found = fitted(history([*(seen(member, FULL) for member in everyone[:-1]), seen(everyone[-1], [])], FULL))
    known = max(found.gains().values())
    assert 0 <= known < found.gains_of(everyone[-1:], np.array([[found.costs.min()]]))[0]
    assert found.gains_of([]).tolist() == []


def test_the_best_are_taken_front_by_front() -> None:
    found = fitted(history([seen(member, FULL) for member in members(30)], FULL))
    points = {
        member.architecture.digest: (mean, cost)
        for member, mean, (cost,) in zip(found.known, found.mean, found.costs, strict=True)
    }
    best = [points[member.digest] for member in found.best(30)]
    assert len(best) == 30
    assert math.isclose(max(mean for mean, _ in points.values()), max(mean for mean, _ in best[:10]))
    for later, (mean, cost) in enumerate(best):  # none dominates one of an earlier front
        assert not any(mean > other and cost < price for other, price in best[:later])
