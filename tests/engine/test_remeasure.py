"""Figures measured again: the front in full at the end, and the front of a key that has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osanas.engine import api
from osanas.errors import CandidateError, EnvironmentFailure
from osanas.evaluation.evaluator import CandidateCosts
from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace
from osanas.results.study import StudyView
from osanas.store.leases import Lease, Pace
from osanas.store.store import Store
from osanas.study.events import Event, Note, Remeasuring, Waiting
from osanas.study.records import Others
from tests import fakes
from tests.fakes import FEW, SMALL, Job, TableEvaluator, check_study, costs_of, open_optuna, search

EFFICIENT = [list(SearchSpace.from_dict(SMALL).enumerate())[index] for index in (18, 19, 54)]
"""The front of all members of ``SMALL``."""
SPACE = {**SMALL, "start_from": [member.to_dict() for member in EFFICIENT]}


@pytest.fixture
def job(folder: Path, url: str) -> Job:
    return Job(str(folder), 6, SPACE, url, log=str(folder / "log"))


def two(search_key: str = "s1", **options: Any) -> TableEvaluator:
    """With a protocol for the search and a full one, of the same device."""
    return TableEvaluator(search_key=search_key, final_key=f"{search_key}-final", **options)


def told(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Note)]


# the front in full ----------------------------------------------------------------------------------------------------


def test_members_of_the_front_are_measured_in_full_at_the_end(job: Job, url: str) -> None:
    evaluator, events = two(final_ms=0.5), list[Event]()
    view = search(job, evaluator, events.append)
    found = view.front()
    assert found.measured == "full"
    assert {member.digest for member in found.candidates} == set(evaluator.measured_in_full)
    assert len(evaluator.measured_in_full) == len(found.candidates) > 1
    for member in found.candidates:
        latency_ms = costs_of(member.architecture).latency_ms
        assert latency_ms is not None
        assert member.latency_ms == latency_ms + 0.5
        assert view.candidate(member.trial).latency_ms == latency_ms  # as it was searched
    again = [event for event in events if isinstance(event, Remeasuring)]
    assert [(event.number, event.total, event.in_full) for event in again] == [
        (number, len(again), True) for number in range(1, len(found.candidates) + 1)
    ]
    check_study(url, 6)


def test_once_is_enough(job: Job) -> None:
    search(job, two())
    again = two()
    search(job, again)
    assert again.measured == again.measured_in_full == []
    larger = two()
    view = search(replace(job, trials=8), larger)
    assert larger.measured_in_full == []  # nothing better was found
    assert view.front().measured == "full"


def test_one_key_for_both_needs_no_second_measurement(job: Job) -> None:
    evaluator = TableEvaluator()
    view = search(job, evaluator)
    assert evaluator.measured_in_full == []
    assert view.front().measured == "full"


def test_a_member_that_is_overtaken_leaves_the_front(job: Job) -> None:
    class Levelled(TableEvaluator):
        """By the full protocol all networks are equally fast and costly, so that accuracy alone decides."""

        def measure_final(self, architecture: Architecture) -> CandidateCosts:
            return replace(super().measure_final(architecture), latency_ms=1.0, energy_mj=1.0)

    evaluator = Levelled(search_key="s", final_key="f")
    view = search(job, evaluator)
    found = view.front()
    assert len(found.candidates) == 1
    assert found.overtaken == len(evaluator.measured_in_full) - 1 > 0


@pytest.mark.parametrize("error", [EnvironmentFailure("The meter is lost.", "Run it again."), KeyboardInterrupt()])
def test_a_final_round_that_is_cut_off_goes_on(job: Job, url: str, error: BaseException) -> None:
    class Lost(TableEvaluator):
        def measure_final(self, architecture: Architecture) -> CandidateCosts:
            if self.measured_in_full:
                raise error
            return super().measure_final(architecture)

    lost = Lost(search_key="s1", final_key="s1-final")
    with pytest.raises(type(error)):
        search(job, lost)
    store = Store.open(url)
    view = StudyView(store, "s")
    assert {candidate.status for candidate in view.candidates()} <= {"complete", "duplicate"}
    assert view.front().measured == "search"
    (first,) = lost.measured_in_full
    evaluator = two()
    found = search(job, evaluator).front()
    assert found.measured == "full"
    assert {first, *evaluator.measured_in_full} == {member.digest for member in view.front().candidates}
    assert first not in evaluator.measured_in_full
    assert evaluator.measured == evaluator.trained == []
    check_study(url, 6)


def test_an_interrupted_search_skips_it(job: Job) -> None:
    evaluator = two(failure=lambda _, count: KeyboardInterrupt() if count == 5 else None)
    with pytest.raises(KeyboardInterrupt):
        search(job, evaluator)
    assert evaluator.measured_in_full == []


def test_the_time_limit_does_not_skip_it(job: Job) -> None:
    evaluator = two(epoch_s=0.3)
    view = search(replace(job, options={"timeout": 1.5}), evaluator)
    assert 0 < len(evaluator.trained) < 6
    assert view.front().measured == "full"


def test_a_member_that_cannot_be_measured_in_full_is_told_of(job: Job) -> None:
    class Large(TableEvaluator):
        def measure_final(self, architecture: Architecture) -> CandidateCosts:
            if not self.measured_in_full:
                self.measured_in_full.append(architecture.digest)
                raise CandidateError("out_of_memory", "It does not fit.")
            return super().measure_final(architecture)

    events: list[Event] = []
    view = search(job, Large(search_key="s", final_key="f"), events.append)
    assert any(text.endswith("could not be measured again: It does not fit.") for text in told(events))
    assert view.front().measured == "search"


def test_a_figure_that_is_no_number_is_no_full_figure(job: Job) -> None:
    events: list[Event] = []
    view = search(job, two(final_ms=float("nan")), events.append)
    assert any("Its latency_ms is nan" in text for text in told(events))
    assert view.front().measured == "search"


def test_several_workers_measure_the_front_once(job: Job, url: str) -> None:
    """The oldest does it; the others wait for it and find nothing missing."""
    first: list[TableEvaluator] = []

    def younger(event: Event) -> None:
        """Another worker comes to its end while the oldest measures the front."""
        if isinstance(event, Remeasuring) and not first:
            first.append(two())
            waits: list[Event] = []

            def stop(event: Event) -> None:
                waits.append(event)
                if isinstance(event, Waiting):
                    raise BrokenPipeError

            with pytest.raises(BrokenPipeError):
                search(job, first[0], stop)
            assert isinstance(waits[-1], Waiting)

    evaluator = two()
    found = search(job, evaluator, younger).front()
    assert found.measured == "full"
    assert first[0].measured_in_full == []
    assert len(set(evaluator.measured_in_full)) == len(evaluator.measured_in_full) == len(found.candidates)


def test_a_worker_whose_time_is_over_leaves_the_front_to_those_that_go_on(
    job: Job, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_lease: Lease) -> Others:
        return Others((), starting=1, older=0)  # one of them is about to start a candidate

    monkeypatch.setattr(Lease, "look", busy)
    evaluator = two(epoch_s=0.1)
    view = search(replace(job, options={"timeout": 0.3}), evaluator)
    assert view.pareto()
    assert evaluator.measured_in_full == []


def test_a_run_on_another_device_has_taken_over(job: Job, url: str) -> None:
    """The front is that of the latest run's key; this worker's full figures would not be among it."""

    def other(event: Event) -> None:
        if type(event).__name__ == "CandidateDone":
            store = Store.open(url)
            record = store.study("s")
            store.register_study("s", record.identity, record.config, {}, search_key="x", final_key="y")

    evaluator = two()
    search(job, evaluator, other)
    assert evaluator.measured_in_full == []


# a key that has changed -----------------------------------------------------------------------------------------------


@pytest.fixture
def old(job: Job) -> StudyView:
    """A study of ``FEW`` under an old key."""
    view = search(replace(job, space=FEW, trials=50), two("old"))
    assert isinstance(view, StudyView)
    return view


def again(job: Job, evaluator: TableEvaluator, **options: Any) -> tuple[StudyView, list[str]]:
    """Continues the study under another key."""
    events: list[Event] = []
    config = fakes.config_of(replace(job, space=FEW, trials=50))
    view = api.run_search(
        config,
        storage=job.storage,
        listener=events.append,
        space=fakes.space_of(FEW),
        measurer=evaluator,
        trainer=evaluator,
        **options,
    )
    return view, told(events)


def test_without_measuring_again_the_front_is_of_the_present_key(job: Job, old: StudyView) -> None:
    members = old.front().candidates
    evaluator = two("new")
    view, notes = again(job, evaluator)
    assert evaluator.measured == []
    found = view.front()
    assert (found.candidates, found.other_key) == ((), 6)
    (note,) = [text for text in notes if "another device" in text]
    assert note.startswith("6 trained candidates were measured with another device, driver, version or setting")
    assert f"{len(members)} of them made the front" in note
    assert "--remeasure" in note


def test_the_front_is_measured_again(job: Job, url: str, old: StudyView) -> None:
    members = {member.digest for member in old.front().candidates}
    told_before = {trial.number: trial.values for trial in open_optuna(url).trials}

    class Slower(TableEvaluator):
        def measure_search(self, architecture: Architecture) -> CandidateCosts:
            costs = super().measure_search(architecture)
            assert costs.latency_ms is not None
            return replace(costs, latency_ms=2 * costs.latency_ms)

    evaluator = Slower(search_key="new", final_key="new-final")
    view, notes = again(job, evaluator, remeasure=True)
    assert not [text for text in notes if "another device" in text]
    assert set(evaluator.measured) == members
    assert evaluator.trained == []
    found = view.front()
    assert {member.digest for member in found.candidates} == members == set(evaluator.measured_in_full)
    assert found.other_key == 6 - len(members)
    for candidate in view.candidates():
        fresh = candidate.digest in members
        expected = costs_of(candidate.architecture).latency_ms
        assert expected is not None
        assert candidate.latency_ms == (2 if fresh else 1) * expected
        assert candidate.measurement_key == ("new" if fresh else "old")
        assert candidate.accuracy == fakes.accuracy_of(candidate.architecture)
    assert {trial.number: trial.values for trial in open_optuna(url).trials} == told_before


def test_the_next_layer_of_an_old_front_is_not_offered(job: Job, old: StudyView) -> None:
    again(job, two("new"), remeasure=True)
    evaluator = two("new")
    _, notes = again(job, evaluator, remeasure=True)
    assert evaluator.measured == []
    assert not [text for text in notes if "another device" in text]


def test_measuring_again_is_resumable(job: Job, old: StudyView) -> None:
    members = {member.digest for member in old.front().candidates}
    assert len(members) > 1

    class Lost(TableEvaluator):
        def measure_search(self, architecture: Architecture) -> CandidateCosts:
            if self.measured:
                raise EnvironmentFailure("The GPU is lost.")
            return super().measure_search(architecture)

    lost = Lost(search_key="new", final_key="new-final")
    with pytest.raises(EnvironmentFailure):
        again(job, lost, remeasure=True)
    evaluator = two("new")
    view, _ = again(job, evaluator, remeasure=True)
    assert len(evaluator.measured) == len(members) - 1
    assert {*lost.measured, *evaluator.measured} == members == {c.digest for c in view.front().candidates}


@pytest.mark.parametrize("answer", [True, False])
def test_the_user_is_asked(job: Job, old: StudyView, answer: bool) -> None:
    questions: list[str] = []

    def ask(question: str) -> bool:
        questions.append(question)
        return answer

    evaluator = two("new")
    again(job, evaluator, ask=ask)
    assert len(questions) == 1
    assert questions[0].endswith("again now?")
    assert bool(evaluator.measured) == answer


@pytest.mark.parametrize("said", [True, False])
def test_who_has_said_it_is_not_asked(job: Job, old: StudyView, said: bool) -> None:
    def ask(_question: str) -> bool:
        raise AssertionError

    evaluator = two("new")
    again(job, evaluator, remeasure=said, ask=ask)
    assert bool(evaluator.measured) == said


def test_the_old_key_again_brings_the_old_front_back(job: Job, old: StudyView) -> None:
    again(job, two("new"))
    view, notes = again(job, two("old"))
    assert view.front() == old.front()
    assert not [text for text in notes if "another device" in text]


def test_new_candidates_compare_among_themselves(job: Job, url: str) -> None:
    search(replace(job, trials=4), two("old"))
    view = search(job, two("new"))
    found = view.front()
    assert {view.candidate(member.trial).measurement_key for member in found.candidates} == {"new"}
    assert found.other_key == 4
    check_study(url, 6)


def test_search_takes_the_choice(job: Job, old: StudyView, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = two("new")
    view = api.search(
        FEW,
        50,
        config=fakes.config_of(replace(job, space=FEW)),
        measurer=evaluator,
        trainer=evaluator,
        storage=job.storage,
        remeasure=True,
    )
    assert evaluator.measured
    assert view.pareto()


# a device that is lost ------------------------------------------------------------------------------------------------


def test_a_device_lost_while_measuring_leaves_the_candidate_open(job: Job, url: str) -> None:
    class Lost(TableEvaluator):
        def measure_search(self, architecture: Architecture) -> CandidateCosts:
            if len(self.measured) == 3:
                raise EnvironmentFailure("The GPU is lost.", "Look at it, then run the same command again.")
            return super().measure_search(architecture)

    evaluator = Lost(search_key="s1", final_key="s1-final")
    with pytest.raises(EnvironmentFailure) as caught:
        search(job, evaluator)
    assert caught.value.exit_code == 3
    store = Store.open(url)
    statuses = [candidate.status for candidate in store.candidates(store.study("s").id)]
    assert statuses.count("running") == 1
    assert "failed" not in statuses
    assert evaluator.measured_in_full == []
    with Lease.open(store, store.study("s").id, Pace()) as lease:
        assert lease.look() == Others((), starting=0, older=0)  # the worker has left nothing behind
    search(job, two())
    check_study(url, 6)
