"""The point that hypervolumes are measured from: of what it is made, and that it is set once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osanas.engine.measuring import Measuring
from osanas.engine.reference import reference_point, with_reference, yardstick
from osanas.errors import CandidateError, EnvironmentFailure
from osanas.evaluation.evaluator import CandidateCosts
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.store.store import Store
from osanas.study.config import StudyConfig
from osanas.study.events import Announcer
from osanas.study.objectives import Score
from osanas.study.records import StudyRecord
from tests.fakes import SMALL, Job, TableEvaluator, costs_of, search, start

SHAPE = NetworkShape(8, 1, 10, 1)
STARTS = {**SMALL, "start_from": [start(stage3=3), start(stage3=2)]}
SCORE = Score("accuracy", "top1", chance=0.1)
QUIET = Announcer(lambda _: None)
OBJECTIVES = ("accuracy", "latency_ms", "energy_mj")


def at(document: dict[str, Any]) -> SpaceAt:
    return SpaceAt(SearchSpace.from_dict(document), SHAPE)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 's.db'}", create=True)


def record(store: Store, objectives: tuple[str, ...] = OBJECTIVES, **limits: float) -> StudyRecord:
    identity = {"objectives": list(objectives), "rungs": [2], "energy_source": "estimated"}
    return store.register_study("s", identity, StudyConfig.model_validate(limits), {})


def cost(member: Architecture, name: str) -> float:
    value = getattr(costs_of(member), name)
    assert value is not None
    return float(value)


def test_the_yardstick_is_the_cheapest_starting_point() -> None:
    named = [member for _, member in at(STARTS).space.start_from]
    assert yardstick(at(STARTS)) == SHAPE.canonical(named[1])
    assert SHAPE.costs(named[1]).multiply_adds < SHAPE.costs(named[0]).multiply_adds


def test_without_starting_points_it_is_the_largest_member() -> None:
    space = at(SMALL)
    assert yardstick(space) == SHAPE.canonical(space.space.largest())


@pytest.mark.parametrize("document", [SMALL, STARTS])
def test_it_is_chance_and_what_the_yardstick_costs(store: Store, document: dict[str, Any]) -> None:
    measuring = Measuring(store, TableEvaluator(), None)
    member = yardstick(at(document))
    found = reference_point(record(store), at(document), SCORE, measuring, QUIET)
    assert found == (0.1, cost(member, "latency_ms"), cost(member, "energy_mj"))
    study = record(store)
    mixed = replace(study, identity={**study.identity, "objectives": ["latency_ms", "accuracy"]})
    assert reference_point(mixed, at(document), SCORE, measuring, QUIET) == (cost(member, "latency_ms"), 0.1)


def test_limits_come_before_measurements(store: Store) -> None:
    evaluator = TableEvaluator()
    measuring = Measuring(store, evaluator, None)
    limited = record(store, max_latency_ms=3.5, max_energy_mj=4.5)
    assert reference_point(limited, at(STARTS), SCORE, measuring, QUIET) == (0.1, 3.5, 4.5)
    assert evaluator.measured == []
    half = record(store, max_latency_ms=3.5)
    energy_mj = cost(yardstick(at(STARTS)), "energy_mj")
    assert reference_point(half, at(STARTS), SCORE, measuring, QUIET) == (0.1, 3.5, energy_mj)
    assert evaluator.measured == [yardstick(at(STARTS)).digest]


class Odd(TableEvaluator):
    error: Exception | None = None

    def measure_search(self, architecture: Architecture) -> CandidateCosts:
        if self.error is not None:
            raise self.error
        return replace(costs_of(architecture), energy_mj=None)


@pytest.mark.parametrize("error", [CandidateError("build", "No."), KeyError("no row"), MemoryError(), None])
def test_a_yardstick_that_cannot_be_measured_leaves_the_study_without_one(
    store: Store, error: Exception | None
) -> None:
    evaluator = Odd()
    evaluator.error = error
    study = record(store)
    assert with_reference(study, at(STARTS), SCORE, Measuring(store, evaluator, None), QUIET) == study
    later = with_reference(study, at(STARTS), SCORE, Measuring(store, TableEvaluator(), None), QUIET)
    assert (later.reference is None) == (error is None)  # the next run may be able to; what was measured stands


def test_a_lost_device_is_not_the_yardsticks_fault(store: Store) -> None:
    evaluator = Odd()
    evaluator.error = EnvironmentFailure("The meter is lost.")
    with pytest.raises(EnvironmentFailure):
        with_reference(record(store), at(STARTS), SCORE, Measuring(store, evaluator, None), QUIET)
    evaluator.error = BrokenPipeError("the reader of what is said went away")
    deaf = Announcer(lambda _: None, error=evaluator.error)
    with pytest.raises(BrokenPipeError):
        with_reference(record(store), at(STARTS), SCORE, Measuring(store, evaluator, None), deaf)


def test_it_is_set_once(store: Store) -> None:
    measuring = Measuring(store, TableEvaluator(), None)
    fresh = record(store)
    first = with_reference(fresh, at(STARTS), SCORE, measuring, QUIET)
    assert first.reference is not None
    assert store.study("s").reference == first.reference
    again = record(store, max_latency_ms=3.5, max_energy_mj=4.5)  # a resume with other limits
    assert with_reference(again, at(STARTS), SCORE, measuring, QUIET).reference == first.reference
    # of two workers that begin together the second takes the first one's
    late = replace(fresh, config=again.config)
    assert late.reference is None
    assert with_reference(late, at(STARTS), SCORE, measuring, QUIET).reference == first.reference


def test_a_resume_with_another_limit_keeps_the_reference(folder: Path, url: str) -> None:
    job = Job(str(folder), 3, STARTS, url, options={"max_latency_ms": 0.6})
    first = search(job).record.reference
    assert first is not None
    assert first[1] == 0.6
    assert search(replace(job, trials=5, options={"max_latency_ms": 0.5})).record.reference == first
