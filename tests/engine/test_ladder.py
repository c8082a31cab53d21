"""Searches on a ladder: promotions, their checkpoints, and that a crash or a second worker changes nothing."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import osanas
from osanas.errors import CandidateError, StudyError
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.space import SearchSpace
from osanas.results.documents import show_document
from osanas.results.study import StudyView
from osanas.store.store import Store
from osanas.strategy.ladder import MOST_WAITING
from osanas.study.config import StudyConfig
from osanas.study.events import CandidateDone, CandidateStarted, EpochDone, Event, Note, SearchStarted
from osanas.study.records import UNNUMBERED
from tests.fakes import SMALL, Job, TableEvaluator, accuracy_of, check_study, finish, launch, run, search, start

RUNGS = (1, 3, 9)


@pytest.fixture
def job(folder: Path, url: str) -> Job:
    return Job(str(folder), 12, SMALL, url, rungs=RUNGS, log=str(folder / "log"))


def trained(log: Path = Path("log")) -> list[tuple[str, int, int]]:
    """Digest, epochs before and epochs after each training that went to its end."""
    begun: dict[str, int] = {}
    found = []
    for line in log.read_text().splitlines():
        what, digest, epochs = line.split()
        if what == "start":
            begun[digest] = int(epochs)
        else:
            found.append((digest, begun[digest], int(epochs)))
    return found


@pytest.mark.parametrize("sampler", ["random", "tpe", "known-cost"])
def test_a_search_climbs_and_ends(job: Job, url: str, sampler: str) -> None:
    view = search(replace(job, sampler=sampler))
    check_study(url, 12, log=Path("log"))
    reached = Counter(candidate.epochs for candidate in view.candidates() if candidate.status == "complete")
    assert reached[1] == 12 > reached[3] >= reached[9] > 0
    assert {candidate.epochs for candidate in view.pareto()} == {9}
    before = show_document(view)
    evaluator = TableEvaluator()
    assert show_document(search(replace(job, sampler=sampler), evaluator)) == before
    assert evaluator.measured == evaluator.trained == []


def test_a_promotion_goes_on_where_its_candidate_stood_and_is_not_measured_again(job: Job) -> None:
    evaluator = TableEvaluator(log=Path("log"))
    view = search(job, evaluator)
    # beside the 12 candidates the yardstick of the hypervolume
    assert len(evaluator.measured) == len(set(evaluator.measured)) == 13
    assert {(before, after) for _, before, after in trained()} == {(0, 1), (1, 3), (3, 9)}
    assert view.savings().epochs_trained == sum(after - before for _, before, after in trained())
    top = next(candidate for candidate in view.candidates() if candidate.epochs == 9)
    assert [point.score for point in view.curve(top.trial)] == [
        accuracy_of(top.architecture, epoch) for epoch in range(1, 10)
    ]


def test_what_a_listener_is_told(job: Job) -> None:
    events: list[Event] = []
    view = search(job, listener=events.append)
    (begun,) = [event for event in events if isinstance(event, SearchStarted)]
    assert begun.record.rungs == RUNGS
    started = {event.trial: event for event in events if isinstance(event, CandidateStarted)}
    for candidate in view.candidates():
        event = started[candidate.trial]
        assert (event.epochs, event.promoted_from) == (candidate.epochs, candidate.promoted_from)
        done = [e.point.epoch for e in events if isinstance(e, EpochDone) and e.trial == candidate.trial]
        assert done == {1: [1], 3: [2, 3], 9: [4, 5, 6, 7, 8, 9]}[candidate.epochs]
    done = [event.trained for event in events if isinstance(event, CandidateDone)]
    assert done == sorted(done)
    assert done[-1] == 12


@pytest.mark.slow
@settings(max_examples=6)
@given(
    st.sampled_from([(1, 3, 9), (1, 2), (2, 5, 6, 7)]),
    st.integers(1, 24),
    st.sampled_from(["random", "known-cost"]),
    st.integers(0, 99),
    st.sets(st.integers(0, 40), max_size=6),
)
def test_every_search_ends_and_trains_nothing_twice(
    rungs: tuple[int, ...], trials: int, sampler: str, seed: int, failing: set[int]
) -> None:
    """Whatever fails on the way."""

    def failure(_: Architecture, count: int) -> BaseException | None:
        return CandidateError(f"kind {count}", "It fails.") if count in failing else None

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        url, log = f"sqlite:///{folder}/s.db", Path("log")
        job = Job(folder, trials, SMALL, url, sampler, rungs, seed)
        evaluator = TableEvaluator(log=log, failure=failure)
        view = search(job, evaluator)
        check_study(url, trials, log=log)
        failed = [candidate for candidate in view.candidates() if candidate.status == "failed"]
        assert len(failed) == sum(count < len(evaluator.trained) for count in failing)
        increments = sum(after - before for _, before, after in trained(log))
        assert view.savings().epochs_trained == increments + len(failed)  # each fails after an epoch
        view._store.close()


def test_a_failure_on_the_way_up_closes_the_candidate(job: Job, url: str) -> None:
    seen: set[str] = set()
    promoted: list[bool] = []

    def failure(architecture: Architecture, _: int) -> BaseException | None:
        again = architecture.digest in seen
        seen.add(architecture.digest)
        promoted.append(again)
        return CandidateError("diverged", "The loss is nan.") if again and sum(promoted) % 2 else None

    view = search(replace(job, rungs=(1, 3)), TableEvaluator(failure=failure, log=Path("log")))
    check_study(url, 12)
    failed = [candidate for candidate in view.candidates() if candidate.status == "failed"]
    assert failed
    assert all(candidate.epochs == 3 and candidate.promoted_from is not None for candidate in failed)
    assert len({candidate.digest for candidate in failed}) == len(failed)
    kept = {file.name for file in Path("studies/s/checkpoints").iterdir()}
    assert not [c for c in failed if any(c.digest.replace(":", "-") in name for name in kept)]
    arrived = [candidate for candidate in view.candidates() if candidate.is_complete and candidate.epochs == 3]
    assert arrived
    assert view.savings().epochs_saved == 2 * (12 - len(failed) - len(arrived))


# another ladder -----------------------------------------------------------------------------------------------------


def test_a_higher_rung_may_be_added(job: Job, url: str) -> None:
    before = search(replace(job, rungs=(1, 3)))
    assert {candidate.epochs for candidate in before.candidates()} == {1, 3}
    known = {candidate.trial: candidate for candidate in before.candidates()}
    evaluator = TableEvaluator(log=Path("log"))
    view = search(job, evaluator)
    check_study(url, 12, log=Path("log"))
    assert view.rungs == RUNGS
    assert evaluator.measured == []
    assert {candidate.trial: candidate for candidate in view.candidates() if candidate.trial in known} == known
    # more than before reach the rung that was the last and is not any more
    assert {candidate.epochs for candidate in view.candidates() if candidate.trial not in known} == {3, 9}
    with pytest.raises(StudyError, match="only higher ones may be added at the end"):
        search(replace(job, rungs=(1, 3)))


@pytest.mark.parametrize("rungs", [(1, 2, 9), (3, 9), (1, 9), (1, 3), (1, 3, 8, 9)])
def test_any_other_change_is_refused(job: Job, rungs: tuple[int, ...]) -> None:
    view = search(replace(job, trials=2))
    with pytest.raises(StudyError, match=r"made with other settings:\n  rungs\["):
        search(replace(job, rungs=rungs))
    assert StudyView(view._store, "s").rungs == RUNGS


# several workers and crashes ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "known-cost"])
def test_two_workers_never_promote_the_same_candidate_twice(job: Job, url: str, sampler: str) -> None:
    """``check_study`` compares what was trained with what is stored."""
    processes = [launch(replace(job, trials=18, sampler=sampler, epoch_s=0.02)) for _ in range(2)]
    for code, _, errors in [finish(process) for process in processes]:
        assert code == 0, errors
    check_study(url, 18, log=Path("log"))


PROMOTING = {
    "before the trial of a claim": 1,
    "after the trial of a claim": 1,
    "after the trial is assigned": 1,
    "after claiming": 6,
    "after an epoch": 6,
    "before the result": 6,
    "after the result": 6,
    "while telling": 6,
    "after telling": 6,
    "before the checkpoints are tidied": 7,
}
"""At which time a point is reached by the first promotion, which follows five candidates."""


QUICK = ("after claiming", "after the result")
"""Of them, those in the quick tests; each takes a process, and all of them over ten seconds."""


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=() if point in QUICK else pytest.mark.slow) for point in PROMOTING]
)
def test_a_process_that_dies_while_it_promotes_loses_nothing(job: Job, url: str, point: str) -> None:
    job = replace(job, trials=5, rungs=(1, 2))
    code, _, errors = run(replace(job, die=(point, PROMOTING[point])))
    assert code == 9, errors
    store = Store.open(url)
    record = store.study("s")
    promotions = [evaluation for evaluation in store.evaluations(record.id) if evaluation.epochs == 2]
    assert len(promotions) == 1
    search(job)
    # a training that ended without its result being stored is looked up in its checkpoint
    check_study(url, 5, log=None if point == "before the result" else Path("log"))
    after = {evaluation.evaluation: evaluation.trial for evaluation in store.evaluations(record.id)}
    assert promotions[0].trial in (UNNUMBERED, after[promotions[0].evaluation])


# checkpoints --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_checkpoints_of_what_may_go_on_are_kept_and_others_deleted(job: Job) -> None:
    view = search(replace(job, sampler="known-cost", trials=16))
    candidates = view.candidates()
    reached = {candidate.digest: candidate.epochs for candidate in candidates}  # the last is the highest
    front = {candidate.digest for candidate in view.pareto()}
    expected = {digest for digest, epochs in reached.items() if epochs < 9 or digest in front}
    assert len(expected) < len(reached)
    assert len(expected) <= MOST_WAITING + len(front)
    files = [file.name for file in Path("studies/s/checkpoints").iterdir()]
    assert {name.partition("-")[2] for name in files} == {f"{d.replace(':', '-')}.ckpt" for d in expected}


def test_without_a_ladder_only_the_front_is_kept(job: Job) -> None:
    view = search(replace(job, rungs=(2,)))
    assert len(list(Path("studies/s/checkpoints").iterdir())) == len(view.pareto()) < 12


def test_on_another_machine_a_candidate_is_trained_from_its_start(job: Job, url: str, monkeypatch: Any) -> None:
    """There the folder of checkpoints is empty."""
    search(replace(job, rungs=(1, 3)))
    log = Path("log").absolute()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    notes: list[str] = []
    view = search(
        replace(job, log=str(log)), listener=lambda event: notes.append(event.text) if isinstance(event, Note) else None
    )
    check_study(url, 12, log=log)
    promoted = [candidate for candidate in view.candidates() if candidate.epochs == 9]
    assert promoted
    for candidate in promoted:
        assert (
            f"Trial {candidate.trial}: there is no checkpoint of trial {candidate.promoted_from} on this machine, so "
            "training started over."
        ) in notes
        assert [point.epoch for point in view.curve(candidate.trial)] == list(range(1, 10))
    climbed = [(before, after) for _, before, after in trained(log)]
    assert climbed.count((0, 9)) == len(promoted)
    assert view.savings().epochs_trained == sum(after - before for before, after in climbed)


@pytest.mark.slow
def test_real_networks_climb_to_what_straight_training_gives(folder: Path) -> None:
    """Bit by bit on a CPU: weights, averaged weights, optimiser and curve."""
    base = {"space": "tiny", "data": "digits", "train_samples": 100}
    base |= {"device": "cpu", "energy": "estimated", "threads": 1, "workers": 1, "confirm": 0}
    found = []
    for name, rungs in (("ladder", (1, 2, 3)), ("straight", (3,))):
        config = StudyConfig.model_validate({**base, "study": name, "rungs": rungs, "trials": 1})
        view = osanas.search(config=config)
        (top,) = [candidate for candidate in view.candidates() if candidate.epochs == 3]
        (file,) = Path(f"studies/{name}/checkpoints").glob(f"*{top.digest.replace(':', '-')}.ckpt")
        state = torch.load(file, weights_only=True)
        curve = [replace(point, seconds=0.0) for point in view.curve(top.trial)]
        found.append((top.digest, top.accuracy, curve, state))
    climbed, straight = found
    assert climbed[:3] == straight[:3]
    for part in ("model", "average"):
        assert climbed[3][part].keys() == straight[3][part].keys()
        for name, tensor in climbed[3][part].items():
            assert torch.equal(tensor, straight[3][part][name]), name
    buffers = [state["optimizer"]["state"] for _, _, _, state in found]
    assert buffers[0].keys() == buffers[1].keys()
    for index in buffers[0]:
        assert torch.equal(buffers[0][index]["momentum_buffer"], buffers[1][index]["momentum_buffer"])


# limits and starting points -----------------------------------------------------------------------------------------


def test_limits_that_are_tightened_close_candidates_and_relaxed_ones_open_them(job: Job, url: str) -> None:
    search(replace(job, rungs=(1, 3)))
    tight = search(replace(job, options={"max_latency_ms": 0.4}))
    assert all((candidate.latency_ms or 9) <= 0.4 for candidate in tight.candidates() if candidate.epochs == 9)
    search(replace(job, trials=14))
    check_study(url, 14, log=Path("log"))


def test_starting_points_over_a_limit_by_count_are_not_even_measured(job: Job, url: str) -> None:
    document = {**SMALL, "start_from": [start(stage3=3), start()]}
    large, small = [member for _, member in SearchSpace.from_dict(document).start_from]
    assert NetworkShape(8, 1, 10, 1).costs(large).parameters > 8000
    evaluator = TableEvaluator()
    notes: list[str] = []
    search(
        replace(job, trials=1, space=document, options={"max_parameters": 8000}),
        evaluator,
        lambda event: notes.append(event.text) if isinstance(event, Note) else None,
    )
    assert evaluator.measured == [NetworkShape(8, 1, 10, 1).canonical(small).digest]
    assert (
        notes[0] == "Starting points over a limit are left out: start_from[0] (parameters 9,090 over the limit 8,000)."
    )
