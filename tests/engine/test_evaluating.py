"""One evaluation, and what is the candidate's own fault in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from osanas.engine.checkpoints import Checkpoints
from osanas.engine.evaluating import Evaluating
from osanas.engine.measuring import Measuring
from osanas.errors import CandidateError, EnvironmentFailure, TrainingStopped
from osanas.evaluation.evaluator import CandidateCosts
from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace
from osanas.store.leases import Lease, Pace
from osanas.store.store import Store
from osanas.study.config import StudyConfig
from osanas.study.events import Announcer, EpochDone, Event, Note
from osanas.study.objectives import Limits
from osanas.study.records import Candidate, Outcome
from tests.fakes import SMALL, TableEvaluator, accuracy_of, costs_of

MEMBER = SearchSpace.from_dict(SMALL).smallest()


class Failing(TableEvaluator):
    error: BaseException = MemoryError()

    def measure_search(self, architecture: Architecture) -> CandidateCosts:
        raise self.error


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 's.db'}", create=True)


@pytest.fixture
def candidate(store: Store) -> Iterator[Candidate]:
    """A claimed one, which is to train for two epochs."""
    identity = {"objectives": ["accuracy", "latency_ms"], "rungs": [2], "energy_source": "estimated"}
    with Lease.open(store, store.register_study("s", identity, StudyConfig(), {}).id, Pace()) as lease:
        yield lease.claim(MEMBER, 2, 0)[0]


def outcome(
    store: Store,
    candidate: Candidate,
    evaluator: TableEvaluator,
    announcer: Announcer | None = None,
    limits: Limits | None = None,
    *,
    stopped: bool = False,
) -> Outcome:
    measuring = Measuring(store, evaluator, None)
    evaluating = Evaluating(
        measuring, evaluator, limits or Limits(), Checkpoints(Path("checkpoints"), "18a"), announcer or Announcer(print)
    )
    return evaluating.outcome(candidate, 0, promoted_from=None, should_stop=lambda: stopped)


def test_a_candidate_is_measured_and_then_trained(store: Store, candidate: Candidate) -> None:
    said: list[Event] = []
    found = outcome(store, candidate, TableEvaluator(), Announcer(said.append))
    assert found == Outcome("complete", score=accuracy_of(MEMBER), training_seconds=found.training_seconds)
    assert found.training_seconds == pytest.approx(0.2)
    assert [event.point.epoch for event in said if isinstance(event, EpochDone)] == [1, 2]
    (stored,) = store.evaluations(1)
    assert stored.measurement_key == "table"
    assert stored.costs == {name: getattr(costs_of(MEMBER), name) for name in stored.costs}
    assert [point.epoch for point in store.curve(stored.evaluation)] == [1, 2]


def test_one_over_a_limit_is_not_trained(store: Store, candidate: Candidate) -> None:
    evaluator = TableEvaluator()
    found = outcome(store, candidate, evaluator, limits=Limits(max_latency_ms=0.01))
    assert (found.status, found.reason_kind) == ("infeasible", "limit")
    assert found.reason is not None
    assert found.reason.startswith("latency_ms ")
    assert evaluator.measured
    assert not evaluator.trained


def test_costs_of_the_same_key_are_not_measured_again(store: Store, candidate: Candidate) -> None:
    outcome(store, candidate, TableEvaluator())
    known = store.evaluations(1)[0]
    assert outcome(store, known, Failing()).status == "complete"
    failing = Failing(search_key="another")
    assert outcome(store, known, failing).status == "failed"


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (CandidateError("build", "It cannot be built."), "build", "It cannot be built."),
        (MemoryError(), "out_of_memory", "The machine's memory does not hold it."),
        (ValueError("shapes\n  differ"), "ValueError", "ValueError: shapes differ"),
    ],
)
@pytest.mark.parametrize("where", ["measuring", "training"])
def test_what_a_candidate_does_wrong_is_its_outcome(
    store: Store, candidate: Candidate, error: Exception, kind: str, reason: str, where: str
) -> None:
    evaluator = Failing() if where == "measuring" else TableEvaluator(failure=lambda *_: error)
    if isinstance(evaluator, Failing):
        evaluator.error = error
    assert outcome(store, candidate, evaluator) == Outcome("failed", reason_kind=kind, reason=reason)


def test_a_cost_that_is_no_number_fails_the_candidate(store: Store, candidate: Candidate) -> None:
    class Odd(TableEvaluator):
        def measure_search(self, architecture: Architecture) -> CandidateCosts:
            return replace(costs_of(architecture), latency_ms=math.nan)

    found = outcome(store, candidate, Odd())
    assert (found.reason_kind, found.reason) == ("not_finite", "Its latency_ms is nan.")


def test_what_is_not_a_candidates_own_ends_the_search(store: Store, candidate: Candidate) -> None:
    evaluator = Failing()
    for error in (EnvironmentFailure("The meter is lost."), KeyboardInterrupt()):
        evaluator.error = error
        with pytest.raises(type(error)):
            outcome(store, candidate, evaluator)
    evaluator.error = BrokenPipeError("the reader of what is said went away")
    with pytest.raises(BrokenPipeError):
        outcome(store, candidate, evaluator, Announcer(lambda _: None, error=evaluator.error))
    with pytest.raises(TrainingStopped):
        outcome(store, candidate, TableEvaluator(), stopped=True)


def test_notes_on_its_costs_are_told(store: Store, candidate: Candidate) -> None:
    class Contended(TableEvaluator):
        def measure_search(self, architecture: Architecture) -> CandidateCosts:
            return replace(costs_of(architecture), notes=("the processor was busy",))

    said: list[Event] = []
    outcome(store, candidate, Contended(), Announcer(said.append))
    assert Note("Trial 0: the processor was busy.", counted_as="the processor was busy") in said


def test_an_announcer_remembers_what_its_listener_raised() -> None:
    def deaf(_: Event) -> None:
        raise BrokenPipeError

    announcer = Announcer(deaf)
    with pytest.raises(BrokenPipeError):
        announcer.note("text")
    assert isinstance(announcer.error, BrokenPipeError)
