"""One evaluation, and what is the candidate's own fault in it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from osanas.engine.checkpoints import Checkpoints
from osanas.engine.evaluating import Evaluating
from osanas.engine.measuring import Measuring
from osanas.errors import CandidateError, EnvironmentFailure
from osanas.evaluation.evaluator import CandidateCosts
from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace
from osanas.store.store import Store
from osanas.study.events import Announcer, Event
from osanas.study.objectives import Limits
from tests.fakes import SMALL, TableEvaluator, costs_of

MEMBER = SearchSpace.from_dict(SMALL).smallest()
UNKNOWN = dict.fromkeys(("latency_ms", "energy_mj", "parameters", "multiply_adds"))


class Failing(TableEvaluator):
    error: BaseException = MemoryError()

    def measure_search(self, architecture: Architecture) -> CandidateCosts:
        raise self.error


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 's.db'}", create=True)


def evaluating(store: Store, evaluator: TableEvaluator, announcer: Announcer | None = None) -> Evaluating:
    checkpoints = Checkpoints(Path("checkpoints"), "18a")
    measuring = Measuring(store, evaluator, None)
    return Evaluating(measuring, evaluator, Limits(), checkpoints, announcer or Announcer(lambda _: None))


def test_a_price_is_what_the_evaluator_measures(store: Store) -> None:
    costs = costs_of(MEMBER)
    assert evaluating(store, TableEvaluator()).price(MEMBER) == {name: getattr(costs, name) for name in UNKNOWN}


@pytest.mark.parametrize("error", [CandidateError("build", "It cannot be built."), MemoryError(), ValueError("shapes")])
def test_a_member_that_cannot_be_measured_has_no_price(store: Store, error: BaseException) -> None:
    evaluator = Failing()
    evaluator.error = error
    assert evaluating(store, evaluator).price(MEMBER) == UNKNOWN


def test_a_price_that_is_no_number_is_none(store: Store) -> None:
    class Odd(TableEvaluator):
        def measure_search(self, architecture: Architecture) -> CandidateCosts:
            return replace(costs_of(architecture), latency_ms=math.nan)

    assert evaluating(store, Odd()).price(MEMBER) == UNKNOWN


def test_what_is_not_a_members_own_ends_the_search(store: Store) -> None:
    evaluator = Failing()
    for error in (EnvironmentFailure("The meter is lost."), KeyboardInterrupt()):
        evaluator.error = error
        with pytest.raises(type(error)):
            evaluating(store, evaluator).price(MEMBER)
    evaluator.error = BrokenPipeError("the reader of what is said went away")
    with pytest.raises(BrokenPipeError):
        evaluating(store, evaluator, Announcer(lambda _: None, error=evaluator.error)).price(MEMBER)


def test_an_announcer_remembers_what_its_listener_raised() -> None:
    def deaf(_: Event) -> None:
        raise BrokenPipeError

    announcer = Announcer(deaf)
    with pytest.raises(BrokenPipeError):
        announcer.note("text")
    assert isinstance(announcer.error, BrokenPipeError)
