from __future__ import annotations

import math
from dataclasses import replace

import pytest

from osanas.strategy.history import CandidateState, History
from osanas.strategy.surrogate import FIRST, RowCache, Surrogate, fit
from osanas.study.objectives import Limits
from tests.strategy.helpers import FEATURES, accuracy, history, members, seen

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


def test_the_dearest_known_candidate_lies_within_the_reference() -> None:
    found = fitted(history([seen(member, FULL) for member in members(20)], FULL))
    assert found.reference[1] == pytest.approx(1.1 * found.costs.max())
    assert found.full.all()


def test_a_reference_of_the_study_goes_before() -> None:
    known = replace(history([seen(member, FULL) for member in members(20)], FULL), reference=(0.1, 3.5))
    assert fitted(known).reference[1] == pytest.approx(3.5)


def test_a_limit_that_was_relaxed_goes_before_the_reference_of_a_tight_one() -> None:
    seen_all = [seen(member, FULL) for member in members(20)]
    known = replace(history(seen_all, FULL, Limits(max_latency_ms=7.5)), reference=(0.1, 0.5))
    assert fitted(known).reference[1] == pytest.approx(7.5)


def test_what_was_trained_to_the_end_adds_next_to_nothing_and_a_better_one_something() -> None:
    everyone = sorted(members(30), key=lambda member: accuracy(member, 9))
    found = fitted(history([*(seen(member, FULL) for member in everyone[:-1]), seen(everyone[-1], [])], FULL))
    known = max(found.gains().values())
    assert 0 <= known < found.gains_of(everyone[-1:])[0]
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


def test_seconds_are_learned_from_the_candidates_and_until_then_only_rank() -> None:
    everyone = members(20)
    known = [seen(member, FULL) for member in everyone]
    silent = fitted(history(known, FULL))
    rows = FEATURES.training(everyone)
    assert silent.epoch_time is None
    assert silent.epoch_seconds(everyone) == pytest.approx(rows[:, 1] + 0.25 * rows[:, 0])
    timed = [
        replace(one, seconds={9: 9 * (0.1 + 0.02 * layers + 0.3 * cost)}, overhead_s=2.0)
        for one, (layers, cost) in zip(known, rows, strict=True)
    ]
    found = fitted(history(timed, FULL))
    assert found.epoch_seconds(everyone) == pytest.approx(0.1 + 0.02 * rows[:, 0] + 0.3 * rows[:, 1], rel=0.01)
    assert found.overhead_s == 2.0
