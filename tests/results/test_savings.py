from __future__ import annotations

from dataclasses import replace

from osanas.genotype.space import SearchSpace
from osanas.results.savings import Savings, savings_of
from osanas.study.records import UNNUMBERED, Candidate, Status
from tests.fakes import SMALL

MEMBERS = list(SearchSpace.from_dict(SMALL).enumerate())[:5]


def _evaluation(index: int, epochs: int, status: Status = "complete", reason_kind: str | None = None) -> Candidate:
    member = MEMBERS[index]
    return Candidate(
        trial=UNNUMBERED,
        digest=member.digest,
        status=status,
        epochs=epochs,
        score=0.1 * epochs if status == "complete" else None,
        latency_ms=1.0,
        energy_mj=None,
        energy_source=None,
        parameters=1,
        multiply_adds=1,
        memory_access_elements=1,
        reason=None,
        training_seconds=None,
        architecture=member,
        reason_kind=reason_kind,
    )


def test_savings() -> None:
    evaluations = [
        _evaluation(0, 1),
        _evaluation(0, 3),
        _evaluation(1, 1),
        _evaluation(2, 1),
        _evaluation(2, 3, "failed", "diverged"),
        _evaluation(3, 1, "infeasible", "limit"),
        _evaluation(4, 1, "failed", "build"),
    ]
    assert savings_of(evaluations, (1, 3, 9), duplicates=1, epochs_trained=5) == Savings(
        epochs_trained=5, epochs_saved=(9 - 3) + (9 - 1), duplicates=1, infeasible=1, failed_at_build=1
    )


def test_a_repeat_saves_and_closes_nothing() -> None:
    own = [_evaluation(0, 9), _evaluation(1, 1)]
    repeats = [replace(_evaluation(0, 9, "failed", "build"), repeat=1), replace(_evaluation(0, 9), repeat=2)]
    lower = replace(_evaluation(1, 9), repeat=1)
    assert savings_of([*own, *repeats, lower], (1, 9), duplicates=0, epochs_trained=37) == Savings(37, 8, 0, 0, 0)


def test_what_still_runs_has_saved_nothing() -> None:
    evaluations = [_evaluation(0, 1, "running"), _evaluation(1, 9)]
    assert savings_of(evaluations, (1, 9), duplicates=0, epochs_trained=9) == Savings(9, 0, 0, 0, 0)


def test_a_candidate_trained_before_a_limit_was_set_is_not_counted_as_spared() -> None:
    evaluations = [_evaluation(0, 1), _evaluation(0, 3, "infeasible", "limit")]
    assert savings_of(evaluations, (1, 3), duplicates=0, epochs_trained=1) == Savings(1, 0, 0, 0, 0)
