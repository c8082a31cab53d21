from __future__ import annotations

from typing import Any

from osanas.genotype.space import SearchSpace
from osanas.strategy.history import History, fits_now, history_of
from osanas.study.config import StudyConfig
from osanas.study.objectives import Limits
from osanas.study.records import Candidate, StudyRecord
from tests.fakes import SMALL

MEMBERS = list(SearchSpace.from_dict(SMALL).enumerate())[:5]
COSTS = {"latency_ms": 2.0, "energy_mj": 3.0, "parameters": 100, "multiply_adds": 1000}


def evaluation(member: int, epochs: int, status: str = "complete", **changes: Any) -> Candidate:
    accuracy = 0.1 * epochs if status == "complete" else None
    document: dict[str, Any] = {
        "trial": None,
        "digest": MEMBERS[member].digest,
        "status": status,
        "epochs": epochs,
        "score": accuracy,
        **COSTS,
        "energy_source": "estimated",
        "memory_access_elements": 10,
        "reason": None,
        "training_seconds": None,
        "architecture": MEMBERS[member],
        "measurement_key": "k",
        "train_loss": None if accuracy is None else 1 - accuracy,
        "evaluation": 10 * member + epochs,
        **changes,
    }
    return Candidate(**document)


def history(*evaluations: Candidate, **limits: float) -> History:
    identity = {"objectives": ["accuracy", "latency_ms"], "rungs": [1, 3, 9]}
    config = StudyConfig.model_validate(limits)
    return history_of(evaluations, StudyRecord(1, "s", identity, config, {}, 0.0, search_key="k"))


def test_rungs_of_a_candidate_are_joined_in_the_order_of_first_claims() -> None:
    found = history(evaluation(1, 1), evaluation(0, 1), evaluation(1, 3), evaluation(1, 9, "running"))
    first, second = found.seen
    assert (first.digest, second.digest) == (MEMBERS[1].digest, MEMBERS[0].digest)
    assert first.scores == {1: 0.1, 3: 0.1 * 3}
    assert first.losses == {1: 0.9, 3: 1 - 0.1 * 3}
    assert (first.running, second.running, first.is_closed) == (9, None, False)
    assert found.cost_values(first) == (2.0,)


def test_repeats_are_scores_of_full_training_and_nothing_else() -> None:
    found = history(
        *(evaluation(0, 1), evaluation(0, 3), evaluation(0, 9), evaluation(1, 1)),
        evaluation(0, 9, score=0.8, train_loss=0.01, repeat=1),
        evaluation(0, 9, "failed", repeat=2),
        evaluation(0, 9, score=0.7, repeat=3),
        evaluation(0, 9, "running", repeat=4),
        evaluation(1, 1, score=0.3, repeat=1),  # below the highest rung
    )
    first, second = found.seen
    assert (first.repeats, second.repeats) == ((0.8, 0.7), ())
    assert first.scores == {1: 0.1, 3: 0.1 * 3, 9: 0.9}
    assert first.losses[9] == 1 - 0.9
    assert (first.running, first.is_closed) == (None, False)
    assert found.full_trainings == [(0.9, 0.8, 0.7)]


def test_failures_and_limits_close_a_candidate() -> None:
    found = history(
        evaluation(0, 1),
        evaluation(0, 3, "failed"),
        evaluation(1, 1, "infeasible", latency_ms=9.0),
        evaluation(2, 1, latency_ms=8.0),  # trained before the limit was set
        evaluation(3, 1),
        max_latency_ms=5.0,
    )
    assert [member.is_closed for member in found.seen] == [True, True, True, False]
    assert found.seen[0].scores == {1: 0.1}


def test_what_a_relaxed_limit_allows_has_not_been_seen() -> None:
    stopped, promoted = evaluation(0, 1, "infeasible"), evaluation(1, 3, "infeasible")
    assert fits_now(stopped, Limits())
    assert not fits_now(stopped, Limits(max_parameters=99))
    found = history(stopped, evaluation(1, 1), promoted)
    assert [(member.digest, member.epochs, member.is_closed) for member in found.seen] == [
        (MEMBERS[1].digest, 1, False)
    ]


def test_figures_of_another_key_are_unknown_and_counts_are_not() -> None:
    (member,) = history(evaluation(0, 1, measurement_key="old")).seen
    assert member.costs == {**COSTS, "latency_ms": None, "energy_mj": None}
    assert history(evaluation(0, 1)).cost_values(member) is None


def test_a_candidate_that_has_just_begun() -> None:
    nothing: dict[str, Any] = dict.fromkeys(COSTS)
    (member,) = history(evaluation(0, 1, "running", **nothing, measurement_key=None), max_latency_ms=1.0).seen
    assert (member.running, member.epochs, member.is_closed) == (1, 0, False)


def test_a_task_may_name_its_score() -> None:
    identity = {"objectives": ["latency_ms", "dice"], "rungs": [1], "score": {"name": "dice", "unit": "mean"}}
    config = StudyConfig.model_validate({"objectives": ["latency_ms", "dice"]}, context={"score": "dice"})
    found = history_of([evaluation(0, 1)], StudyRecord(1, "s", identity, config, {}, 0.0, search_key="k"))
    assert (found.score_name, found.cost_objectives) == ("dice", ("latency_ms",))
    assert found.seen[0].scores == {1: 0.1}


def test_seconds_of_each_rung_and_what_the_first_evaluation_took_besides() -> None:
    first = evaluation(0, 1, training_seconds=2.0, started_at=100.0, finished_at=105.0)
    second = evaluation(0, 3, training_seconds=6.0, started_at=110.0, finished_at=119.0)
    untimed = evaluation(1, 1, training_seconds=2.0)
    found, other = history(first, second, untimed).seen
    assert found.seconds == {1: 2.0, 3: 6.0}
    assert found.overhead_s == 3.0
    assert (other.seconds, other.overhead_s) == ({1: 2.0}, None)


def test_a_clock_that_was_set_back_is_no_gain() -> None:
    (found,) = history(evaluation(0, 1, training_seconds=2.0, started_at=100.0, finished_at=101.0)).seen
    assert found.overhead_s == 0.0
