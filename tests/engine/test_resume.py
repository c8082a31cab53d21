from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osanas.errors import EnvironmentFailure, StudyError
from osanas.genotype.space import SearchSpace
from osanas.machine.process import this_process
from osanas.results.documents import show_document
from osanas.results.study import StudyView
from osanas.store.leases import Pace
from osanas.store.store import Store
from osanas.study.events import CandidateStarted, Event, Note, SearchStarted, Waiting
from osanas.study.records import UNNUMBERED
from tests import fakes
from tests.fakes import DEATHS, FEW, SMALL, Job, TableEvaluator, check_study, open_optuna, run, search, start

SPACE = {**SMALL, "start_from": [start(), start(stage3=2)]}


@pytest.fixture
def job(folder: Path, url: str) -> Job:
    return Job(str(folder), 6, SPACE, url, log=str(folder / "log"))


def test_reaches_the_total_and_adds_nothing_when_run_again(job: Job, url: str) -> None:
    search(job)
    check_study(url, 6, log=Path("log"))
    before = show_document(StudyView(Store.open(url), "s"))
    evaluator = TableEvaluator()
    view = search(job, evaluator)
    assert evaluator.measured == evaluator.trained == []
    assert show_document(view) == before
    assert len(open_optuna(url).trials) == len(before["trials"])


def test_a_larger_total_continues(job: Job, url: str) -> None:
    search(job)
    view = search(replace(job, trials=9))
    check_study(url, 9, log=Path("log"))
    assert [candidate.trial for candidate in view.candidates()] == list(range(len(view.candidates())))


def test_a_smaller_total_changes_nothing(job: Job, url: str) -> None:
    search(job)
    search(replace(job, trials=2))
    check_study(url, 6, log=Path("log"))


def test_one_worker_repeats_itself_with_the_same_seed(job: Job, folder: Path) -> None:
    views = [search(replace(job, storage=f"sqlite:///{folder}/{name}.db", sampler="tpe")) for name in "ab"]
    digests = [[candidate.digest for candidate in view.candidates()] for view in views]
    assert digests[0] == digests[1]


QUICK = ("after claiming", "after an epoch", "while telling")
"""Deaths in the quick tests; each takes a process, and all of them over ten seconds."""


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=() if point in QUICK else pytest.mark.slow) for point in DEATHS]
)
def test_a_process_that_dies_anywhere_loses_nothing(job: Job, url: str, point: str) -> None:
    job = replace(job, trials=4)
    dying = replace(job, die=(point, 1 if "optuna study" in point else 2))
    if point == "after reopening":
        assert run(replace(job, options={"max_latency_ms": 0.001}, trials=3, space=FEW))[0] == 1
        job, dying = (replace(each, space=FEW) for each in (job, dying))
    code, _, errors = run(dying)
    assert code == 9, errors
    held = _trials_of_running(url) if "optuna study" not in point else {}

    begun: list[CandidateStarted] = []
    search(job, listener=lambda event: begun.append(event) if isinstance(event, CandidateStarted) else None)
    # a training that ended without its result being stored is looked up in its checkpoint
    check_study(url, job.trials, log=None if point == "before the result" else Path("log"))
    store = Store.open(url)
    numbers = {evaluation.digest: evaluation.trial for evaluation in store.evaluations(store.study("s").id)}
    for digest, trial in held.items():
        assert trial == UNNUMBERED or numbers[digest] == trial  # taken over under its number
        assert next(event.continued for event in begun if event.architecture.digest == digest)


def _trials_of_running(url: str) -> dict[str, int | None]:
    store = Store.open(url)
    evaluations = store.evaluations(store.study("s").id)
    store.close()
    return {evaluation.digest: evaluation.trial for evaluation in evaluations if evaluation.status == "running"}


def test_a_takeover_goes_on_from_the_last_epoch(job: Job, url: str) -> None:
    slow = replace(job, rungs=(4,), trials=2)
    assert run(replace(slow, die=("after an epoch", 6)))[0] == 9
    evaluator = TableEvaluator(log=Path("log"))
    search(slow, evaluator)
    check_study(url, 2, log=Path("log"))
    starts = [line.split()[2] for line in Path("log").read_text().splitlines() if line.startswith("start")]
    assert starts == ["0", "0", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("rungs", [(2,), (1, 2, 4)])
def test_kill_9_at_random_moments(job: Job, url: str, rungs: tuple[int, ...]) -> None:
    rng = random.Random(7)
    job = replace(job, trials=10, epoch_s=0.01, rungs=rungs)
    kills = 0
    while True:
        process = fakes.launch(job)
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        time.sleep(rng.uniform(0.0, 0.4 + 0.25 * kills))
        if process.poll() is not None:
            break
        process.kill()
        kills += 1
        process.communicate()
        assert kills < 60
    code, _, errors = fakes.finish(process)
    assert code == 0, errors
    assert kills >= 3
    ends = [line.split()[1] for line in Path("log").read_text().splitlines() if line.startswith("end")]
    store = Store.open(url)
    complete = [evaluation for evaluation in store.evaluations(store.study("s").id) if evaluation.is_complete]
    assert len(ends) <= len(complete) + kills  # a result that was cut off on its way to the database is found again
    check_study(url, 10)


@pytest.mark.parametrize("error", [EnvironmentFailure("The GPU is lost.", "Run it again."), KeyboardInterrupt()])
def test_what_is_no_candidates_fault_leaves_the_trial_resumable(job: Job, url: str, error: BaseException) -> None:
    failing = TableEvaluator(failure=lambda _, count: error if count == 2 else None, log=Path("log"))
    with pytest.raises(type(error)):
        search(job, failing)
    held = _trials_of_running(url)
    assert len(held) == 1
    store = Store.open(url)
    assert [trial for trial in open_optuna(url).trials if not trial.state.is_finished()] != []
    with sqlite3.connect(str(store.url.database)) as connection:
        assert connection.execute("SELECT count(*) FROM osanas_leases").fetchone() == (0,)
    search(job)
    check_study(url, 6, log=Path("log"))
    numbers = {e.digest: e.trial for e in store.evaluations(store.study("s").id)}
    assert held.items() <= numbers.items()


def test_an_enviroment_failure_while_measuring_is_resumable(job: Job, url: str) -> None:
    class Lost(TableEvaluator):
        def measure_search(self, architecture: Any) -> Any:
            raise EnvironmentFailure("The meter is lost.")

    with pytest.raises(EnvironmentFailure, match="meter"):
        search(job, Lost())
    search(job)
    check_study(url, 6, log=Path("log"))


def test_an_error_of_the_listener_is_no_candidates_failure(job: Job, url: str) -> None:
    def listener(event: Event) -> None:
        if type(event).__name__ == "EpochDone":
            raise BrokenPipeError("the reader went away")

    with pytest.raises(BrokenPipeError):
        search(job, listener=listener)
    assert len(_trials_of_running(url)) == 1
    search(job)
    check_study(url, 6, log=Path("log"))


def test_another_sampler_on_resume(job: Job, url: str) -> None:
    for count, sampler in enumerate(("tpe", "gp", "nsga2", "random"), start=1):
        search(replace(job, sampler=sampler, trials=3 * count))
    check_study(url, 12, log=Path("log"))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda job: replace(job, rungs=(3,)), "rungs[0]: stored 2, now 3"),
        (lambda job: replace(job, space={**SMALL, "attention": "ese"}), "space.attention: stored 'none', now 'ese'"),
        (
            lambda job: replace(job, options={"objectives": ["accuracy", "energy_mj"]}),
            "objectives[1]: stored 'latency_ms', now 'energy_mj'",
        ),
    ],
)
def test_another_identity_is_refused_with_the_difference(
    job: Job, url: str, change: Callable[[Job], Job], line: str
) -> None:
    search(replace(job, trials=2))
    with pytest.raises(StudyError, match="made with other settings") as caught:
        search(change(job))
    assert f"\n  {line}" in str(caught.value)
    assert "--study" in caught.value.fix
    check_study(url, 2)


def test_the_evaluators_settings_are_identity(job: Job) -> None:
    search(replace(job, trials=2))
    with pytest.raises(StudyError, match=r"device\.name: stored None, now 'H100'"):
        search(job, TableEvaluator(settings={"device": {"name": "H100"}}))


def test_starting_points_and_descriptions_may_change(job: Job, url: str) -> None:
    search(replace(job, trials=2))
    search(replace(job, trials=5, space={**SMALL, "description": "more", "start_from": [start(stage5=2)]}))
    check_study(url, 5, log=Path("log"))


def test_an_exhausted_space_ends_with_success(job: Job, url: str) -> None:
    events: list[Event] = []
    view = search(replace(job, space=FEW, trials=50), listener=events.append)
    assert "Every network of the space 'few' has been evaluated." in [e.text for e in events if isinstance(e, Note)]
    check_study(url, 6, log=Path("log"))
    duplicates = [candidate for candidate in view.candidates() if candidate.status == "duplicate"]
    for duplicate in duplicates:
        assert duplicate.reason is not None
        assert duplicate.reason.startswith("the network of trial ")
        assert duplicate.accuracy == fakes.accuracy_of(duplicate.architecture)
    again = search(replace(job, space=FEW, trials=50))
    assert again.candidates() == view.candidates()


def test_a_space_of_one_member(job: Job, url: str) -> None:
    search(replace(job, space={**start(), "name": "one"}, trials=3))
    check_study(url, 1, log=Path("log"))


def test_the_time_limit_starts_no_further_candidate(job: Job, url: str) -> None:
    events: list[Event] = []
    limited = replace(job, trials=50, epoch_s=0.1, options={"timeout": 0.5})
    view = search(limited, listener=events.append)
    assert 1 <= len(view.candidates()) < 50
    assert "The time limit is reached. Run the same command to go on." in [
        e.text for e in events if isinstance(e, Note)
    ]
    check_study(url, len(view.candidates()), log=Path("log"))


def test_limits_relaxed_on_resume_reopen_a_candidate(job: Job, url: str) -> None:
    search(replace(job, space=FEW, trials=50, options={"max_latency_ms": 0.4}))
    assert _by_status(url) == {"complete": 1, "infeasible": 5, "failed": 0}
    view = search(replace(job, space=FEW, trials=50))
    check_study(url, 6, log=Path("log"))
    assert _by_status(url)["infeasible"] == 0
    assert len({candidate.digest for candidate in view.candidates() if candidate.status == "complete"}) == 6


def test_a_starting_point_is_reopened_when_the_limits_are_relaxed(job: Job, url: str) -> None:
    search(replace(job, trials=3, options={"max_multiply_adds": 39 * 10**9}))
    assert _by_status(url)["infeasible"] >= 1
    search(replace(job, trials=8))
    store = Store.open(url)
    large = SearchSpace.from_dict(SPACE).start_from[1][1].digest
    assert {c.status for c in store.candidates(store.study("s").id) if c.digest == large} == {"complete", "duplicate"}
    check_study(url, 8, log=Path("log"))


def _by_status(url: str) -> dict[str, int]:
    store = Store.open(url)
    found = [evaluation.status for evaluation in store.evaluations(store.study("s").id)]
    return {status: found.count(status) for status in ("complete", "infeasible", "failed")}


def test_a_lease_of_another_host_is_waited_for_and_expires(job: Job, url: str) -> None:
    assert run(replace(job, die=("after an epoch", 3)))[0] == 9
    _change_lease(url, "host = 'elsewhere'")
    (held,) = _trials_of_running(url).values()
    events: list[Event] = []

    def listener(event: Event) -> None:
        events.append(event)
        if isinstance(event, Waiting) and len([e for e in events if isinstance(e, Waiting)]) == 3:
            _change_lease(url, "expires_at = expires_at - 61", "host = 'elsewhere'")

    search(job, listener=listener)
    check_study(url, 6, log=Path("log"))
    waits = [event for event in events if isinstance(event, Waiting)]
    assert len(waits) == 3
    assert [(holder.trial, holder.host) for holder in waits[0].holders] == [(held, "elsewhere")]
    assert [event.trial for event in events if isinstance(event, CandidateStarted)][-1] == held


@pytest.mark.parametrize("change", ["process_started = process_started - 100", "boot_id = 'of yesterday:1'"])
def test_another_process_of_the_same_number_is_no_holder(job: Job, url: str, change: str) -> None:
    assert run(replace(job, die=("after an epoch", 3)))[0] == 9
    here = this_process()
    _change_lease(url, f"pid = {here.pid}, process_started = {here.process_started}")
    _change_lease(url, change)
    waits: list[str] = []
    search(job, listener=lambda event: waits.append(type(event).__name__))
    assert "Waiting" not in waits
    check_study(url, 6, log=Path("log"))


def _change_lease(url: str, assignments: str, where: str = "1 = 1") -> None:
    path = str(Store.open(url).url.database)
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(f"UPDATE osanas_leases SET {assignments} WHERE {where}").rowcount == 1
    connection.close()


def test_a_lease_that_is_lost_while_training_ends_the_worker(job: Job, url: str) -> None:
    def clear(event: Event) -> None:
        if type(event).__name__ == "CandidateStarted":
            _delete_leases(url)

    with pytest.raises(EnvironmentFailure, match="cut off from the database for longer than its lease") as caught:
        search(replace(job, epoch_s=20.0), listener=clear, pace=Pace(renewal_s=0.05))
    assert caught.value.exit_code == 3
    assert len(_trials_of_running(url)) == 1
    search(job)
    check_study(url, 6, log=Path("log"))


def test_a_result_without_a_lease_is_not_stored(job: Job, url: str) -> None:
    """The last moment: training ended before the renewal saw that the lease is gone."""

    def clear(event: Event) -> None:
        if type(event).__name__ == "EpochDone":
            _delete_leases(url)

    with pytest.raises(EnvironmentFailure, match="cut off"):
        search(job, listener=clear)
    assert _by_status(url)["complete"] == 0
    search(job)
    check_study(url, 6)


def _delete_leases(url: str) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        connection.execute("DELETE FROM osanas_leases")
    connection.close()


def test_a_lease_survives_a_suspended_machine(job: Job, url: str) -> None:
    """An expired lease that nobody has cleared away is still its holder's."""

    def age(event: Event) -> None:
        if type(event).__name__ == "CandidateDone":
            _change_lease(url, "expires_at = expires_at - 3600")

    search(job, listener=age)
    check_study(url, 6, log=Path("log"))


@pytest.mark.filterwarnings("error")
def test_trials_enqueued_by_a_user_are_evaluated_or_refused(job: Job, url: str) -> None:
    search(replace(job, trials=2))
    study = open_optuna(url)
    study.enqueue_trial(dict.fromkeys(study.trials[0].params, 0) | {"stage4.conv_channels": 2})
    study.enqueue_trial(dict.fromkeys(study.trials[0].params, 99))
    search(job)
    trials = open_optuna(url).trials
    assert trials[2].values is not None
    assert trials[3].user_attrs["reason"] == "its parameters name no member of the space"
    check_study(url, 6, log=Path("log"))


def test_a_study_without_its_optuna_trials_is_refused(job: Job, url: str) -> None:
    search(job)
    study = open_optuna(url)
    study._storage.delete_study(study._study_id)
    with pytest.raises(StudyError, match=r"hold 0 trials, but trial \d+ is known"):
        search(job)


def test_the_start_tells_how_far_it_is(job: Job) -> None:
    begun: list[SearchStarted] = []
    for trials in (2, 4):
        search(
            replace(job, trials=trials),
            listener=lambda event: begun.append(event) if isinstance(event, SearchStarted) else None,
        )
    assert [(event.trained, event.record.config.trials) for event in begun] == [(0, 2), (2, 4)]
    assert begun[0].space_size == 144
    assert begun[0].storage.startswith("sqlite:///")
