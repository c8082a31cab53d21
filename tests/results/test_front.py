from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.genotype.space import SearchSpace
from osanas.results.front import Front, front_of, in_full
from osanas.study.config import StudyConfig
from osanas.study.records import Candidate, MeasurementRecord, Status, StudyRecord
from tests.fakes import SMALL

MEMBER = SearchSpace.from_dict(SMALL).smallest()


def _candidate(
    trial: int,
    accuracy: float | None,
    latency_ms: float | None = 1.0,
    energy_mj: float | None = 1.0,
    status: Status = "complete",
    epochs: int = 1,
    parameters: int = 100,
    key: str | None = None,
) -> Candidate:
    return Candidate(
        trial=trial,
        digest=f"a1:{trial}",
        status=status,
        epochs=epochs,
        score=accuracy,
        latency_ms=latency_ms,
        energy_mj=energy_mj,
        energy_source="estimated",
        parameters=parameters,
        multiply_adds=1000,
        memory_access_elements=10,
        reason=None,
        training_seconds=1.0,
        architecture=MEMBER,
        measurement_key=key,
    )


def _record(objectives: tuple[str, ...] = ("accuracy", "latency_ms"), **options: Any) -> StudyRecord:
    """A study with limits; ``score`` is another than accuracy."""
    identity: dict[str, Any] = {"objectives": list(objectives)}
    if "score" in options:
        identity["score"] = options.pop("score")
    return StudyRecord(1, "s", identity, StudyConfig.model_validate(options), {}, time.time())


def _trials(candidates: tuple[Candidate, ...]) -> list[int | None]:
    return [candidate.trial for candidate in candidates]


def test_a_small_front() -> None:
    candidates = [_candidate(0, 0.9, 10.0), _candidate(1, 0.5, 5.0), _candidate(2, 0.4, 6.0), _candidate(3, 0.2, 1.0)]
    found = front_of(candidates, _record())
    assert _trials(found.candidates) == [3, 1, 0]  # by rising cost
    assert found.reference_point == (0.0, 11.0)
    # strips between latencies 1, 5, 10 and the reference at 11
    assert found.hypervolume == pytest.approx(0.2 * 4 + 0.5 * 5 + 0.9 * 1)


def test_a_candidate_is_on_the_front_by_the_mean_of_its_trainings() -> None:
    lucky, steady, costly = _candidate(0, 0.9, 5.0), _candidate(1, 0.7, 4.0), _candidate(2, 0.8, 6.0)
    again = replace(_candidate(3, 0.4, 5.0), digest=lucky.digest, repeat=1)
    assert _trials(front_of([lucky, steady, costly], _record()).candidates) == [1, 0]
    found = front_of([lucky, steady, costly, again], _record())
    assert [(one.trial, one.score) for one in found.candidates] == [(1, 0.7), (2, 0.8)]
    assert found.hypervolume == pytest.approx(0.7 * (6.6 - 4) + 0.1 * (6.6 - 6))
    better = replace(again, score=0.8)
    (_, member) = front_of([lucky, steady, costly, better], _record()).candidates
    assert (member.trial, member.repeat) == (0, 0)
    assert member.score == pytest.approx(0.85)
    assert front_of([lucky, replace(again, measurement_key="k")], _record()).other_key == 0


def test_one_objective_has_the_best_alone() -> None:
    candidates = [_candidate(0, 0.9), _candidate(1, 0.5), _candidate(2, 0.9)]
    found = front_of(candidates, _record(("accuracy",)))
    assert _trials(found.candidates) == [0, 2]
    assert found.hypervolume == pytest.approx(0.9)


def test_three_objectives() -> None:
    candidates = [_candidate(0, 0.8, 4.0, 2.0), _candidate(1, 0.8, 5.0, 1.0), _candidate(2, 0.7, 5.0, 2.0)]
    found = front_of(candidates, _record(("accuracy", "latency_ms", "energy_mj")))
    assert _trials(found.candidates) == [0, 1]
    assert found.reference_point == pytest.approx((0.0, 5.5, 2.2))
    assert found.hypervolume == pytest.approx(0.8 * (1.5 * 0.2 + 0.5 * 1.2 - 0.5 * 0.2))


def test_a_task_may_name_its_score() -> None:
    record = _record(("latency_ms", "dice"), score={"name": "dice", "unit": "mean Dice"})
    found = front_of([_candidate(0, 0.9, 10.0), _candidate(1, 0.5, 5.0), _candidate(2, 0.4, 6.0)], record)
    assert _trials(found.candidates) == [1, 0]
    assert found.reference_point == pytest.approx((11.0, 0.0))
    assert found.hypervolume == pytest.approx(0.5 * 6 + 0.4 * 1)


def test_nothing_is_on_an_empty_front() -> None:
    found = front_of([_candidate(0, None, status="running")], _record())
    assert (found.candidates, found.reference_point, found.hypervolume) == ((), (), 0.0)


@pytest.mark.parametrize("status", ["running", "waiting", "infeasible", "failed", "duplicate"])
def test_only_complete_candidates_compare(status: Status) -> None:
    candidates = [_candidate(0, 0.5), _candidate(1, 0.9, 0.1, status=status)]
    assert _trials(front_of(candidates, _record()).candidates) == [0]


def test_candidates_beyond_the_present_limits_are_left_out() -> None:
    candidates = [_candidate(0, 0.9, 9.0), _candidate(1, 0.5, 2.0), _candidate(2, 0.4, 1.0, parameters=200)]
    record = _record(max_latency_ms=5.0, max_parameters=150)
    found = front_of(candidates, record)
    assert _trials(found.candidates) == [1]
    assert found.reference_point == pytest.approx((0.0, 2.2))


def test_a_figure_that_was_not_measured_is_left_out() -> None:
    candidates = [_candidate(0, 0.9, None), _candidate(1, 0.5, 2.0), _candidate(2, 0.7, 3.0, None)]
    assert _trials(front_of(candidates, _record()).candidates) == [1, 2]
    assert _trials(front_of(candidates, _record(("accuracy", "energy_mj"))).candidates) == [0]


def test_only_the_highest_rung_compares_unless_all_are_asked_for() -> None:
    candidates = [
        _candidate(0, 0.6, 1.0, epochs=1),
        _candidate(1, 0.5, 2.0, epochs=9),
        _candidate(2, 0.7, 3.0, epochs=9),
    ]
    assert _trials(front_of(candidates, _record()).candidates) == [1, 2]
    assert _trials(front_of(candidates, _record(), all_rungs=True).candidates) == [0, 2]


def test_a_limit_may_empty_the_highest_rung() -> None:
    candidates = [_candidate(0, 0.6, 1.0, epochs=1), _candidate(1, 0.9, 9.0, epochs=9)]
    assert _trials(front_of(candidates, _record(max_latency_ms=5.0)).candidates) == [0]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 100)), min_size=1, max_size=12),
    st.tuples(st.floats(0, 1), st.floats(0.01, 100)),
)
def test_one_more_candidate_never_takes_from_the_front_without_beating_it(
    points: list[tuple[float, float]], more: tuple[float, float]
) -> None:
    candidates = [_candidate(index, *point) for index, point in enumerate(points)]
    before = {candidate.trial for candidate in front_of(candidates, _record()).candidates}
    after = {c.trial for c in front_of([*candidates, _candidate(99, *more)], _record()).candidates}
    assert after <= before | {99}
    if 99 not in after:
        assert after == before
    for trial in before - after:
        assert trial is not None
        accuracy, latency_ms = points[trial]
        assert more[0] >= accuracy
        assert more[1] <= latency_ms


# keys and protocols -------------------------------------------------------------------------------------------------


def _keyed(search: str | None = "new", final: str | None = "final") -> StudyRecord:
    return replace(_record(), search_key=search, final_key=final)


def _final(**figures: tuple[float | None, float | None]) -> dict[str, MeasurementRecord]:
    """Full figures by trial: ``t0=(latency, energy)``."""
    return {
        f"a1:{name[1:]}": MeasurementRecord({"latency_ms": latency, "energy_mj": energy}, 0.0)
        for name, (latency, energy) in figures.items()
    }


def test_different_keys_never_meet() -> None:
    candidates = [_candidate(0, 0.9, 9.0, key="new"), _candidate(1, 0.95, 0.1, key="old"), _candidate(2, 0.99, 0.1)]
    found = front_of(candidates, _keyed())
    assert _trials(found.candidates) == [0]
    assert (found.other_key, found.measured) == (2, "search")
    assert found.reference_point == pytest.approx((0.0, 9.9))
    empty = front_of(candidates[1:], _keyed())
    assert (empty.candidates, empty.other_key) == ((), 2)


def test_another_key_does_not_raise_the_highest_rung() -> None:
    candidates = [_candidate(0, 0.6, 1.0, epochs=1, key="new"), _candidate(1, 0.9, 1.0, epochs=9, key="old")]
    assert _trials(front_of(candidates, _keyed()).candidates) == [0]


def _three() -> Front:
    candidates = [
        _candidate(0, 0.9, 3.0, key="new"),
        _candidate(1, 0.8, 2.0, key="new"),
        _candidate(2, 0.7, 1.0, key="new"),
    ]
    return front_of(candidates, _keyed())


def test_full_figures_rank_the_members_among_themselves() -> None:
    full = in_full(_three(), _keyed(), _final(t0=(1.9, 8.0), t1=(2.0, 8.0), t2=(1.1, 8.0)))
    assert _trials(full.candidates) == [2, 0]  # the second is slower and worse than the first
    assert [(c.latency_ms, c.energy_mj, c.measurement_key) for c in full.candidates] == [
        (1.1, 8.0, "final"),
        (1.9, 8.0, "final"),
    ]
    assert (full.measured, full.overtaken) == ("full", 1)
    assert full.reference_point == _three().reference_point
    assert full.hypervolume == pytest.approx(0.7 * (1.9 - 1.1) + 0.9 * (3.3 - 1.9))


@pytest.mark.parametrize(
    "final", [_final(), _final(t0=(1.0, 1.0), t2=(1.0, 1.0)), _final(t0=(1.0, None), t1=(1.0, 1.0), t2=(1.0, 1.0))]
)
def test_a_member_without_full_figures_leaves_all_by_those_of_the_search(final: dict[str, MeasurementRecord]) -> None:
    assert in_full(_three(), _keyed(), final) == _three()


def test_one_key_for_both_protocols_is_full_at_once() -> None:
    record = _keyed("same", "same")
    found = front_of([_candidate(0, 0.9, key="same")], record)
    assert in_full(found, record, {}) == replace(found, measured="full")
    nothing = front_of([], record)
    assert in_full(nothing, record, {}) == nothing
