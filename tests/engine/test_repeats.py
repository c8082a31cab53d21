"""Trainings that are repeated with another seed; ``test_next_step.py`` has when."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from osanas.errors import CandidateError
from osanas.genotype.architecture import Architecture
from osanas.results.documents import pareto_document
from osanas.results.front import front_of
from osanas.results.study import StudyView
from osanas.store.store import Store
from osanas.strategy.history import history_of
from osanas.study.events import CandidateDone, CandidateStarted, Event, Note
from osanas.study.records import CurvePoint, Trained
from tests.fakes import SMALL, Job, TableEvaluator, accuracy_of, check_study, finish, launch, open_optuna, run, search


@pytest.fixture
def job(folder: Path, url: str) -> Job:
    return Job(str(folder), 6, SMALL, url, rungs=(1, 3), log=str(folder / "log"), options={"confirm": 1})


def of_repeats(view: StudyView) -> list[tuple[str, int, int]]:
    return [(one.digest, one.epochs, one.repeat) for one in view.evaluations() if one.repeat]


def test_each_member_of_the_front_ends_with_repeats(job: Job, url: str) -> None:
    view = search(replace(job, options={"confirm": 2}))
    check_study(url, 6, log=Path("log"))
    counts = Counter(one.digest for one in view.evaluations() if one.is_complete and one.repeat)
    for member in view.pareto():
        assert counts[member.digest] == 2
        scores = [accuracy_of(member.architecture, 3, repeat) for repeat in range(3)]
        assert member.accuracy == pytest.approx(sum(scores) / 3)
        assert len(set(scores)) == 3


def test_without_confirming_nothing_is_repeated(job: Job, url: str) -> None:
    view = search(replace(job, trials=12, rungs=(1,), options={"confirm": 0}))
    check_study(url, 12, log=Path("log"))
    assert of_repeats(view) == []


def test_early_repeats_come_while_the_search_goes_on(job: Job) -> None:
    begun: list[CandidateStarted] = []
    search(
        replace(job, trials=13, rungs=(2,)),
        listener=lambda event: begun.append(event) if isinstance(event, CandidateStarted) else None,
    )
    early = [number for number, event in enumerate(begun[: 13 + 3]) if event.repeat]
    assert early == [4, 9, 14]
    assert len({begun[number].architecture.digest for number in early}) == 3
    assert all(event.repeat == 0 for number, event in enumerate(begun[:16]) if number not in early)


def test_a_repeat_is_told_as_one_and_is_no_further_candidate(job: Job, url: str) -> None:
    done: list[CandidateDone] = []
    view = search(job, listener=lambda event: done.append(event) if isinstance(event, CandidateDone) else None)
    repeats = [event for event in done if event.candidate.repeat]
    assert repeats
    assert {event.trained for event in repeats} <= {4, 5, 6}
    assert len(done) == len(view.candidates())
    added = [one.epochs if one.promoted_from is None else 3 - 1 for one in view.evaluations()]
    assert view.savings().epochs_trained == sum(added)
    trials = {trial.number: trial for trial in open_optuna(url).trials}
    for event in repeats:
        trial = trials[event.candidate.trial]
        assert (trial.user_attrs["repeat"], trial.user_attrs["epochs"]) == (event.candidate.repeat, 3)
        assert trial.values[0] == accuracy_of(event.candidate.architecture, 3, event.candidate.repeat)


def test_the_curve_of_a_repeat_is_its_own(job: Job) -> None:
    view = search(job)
    repeat = next(one for one in view.candidates() if one.repeat)
    own = next(one for one in view.candidates() if one.digest == repeat.digest and one.epochs == 3 and not one.repeat)
    scores = {one.trial: [point.score for point in view.curve(one.trial)] for one in (own, repeat)}
    assert scores[own.trial] == [accuracy_of(own.architecture, epoch) for epoch in (1, 2, 3)]
    assert scores[repeat.trial] == [accuracy_of(own.architecture, epoch, repeat.repeat) for epoch in (1, 2, 3)]


def test_the_checkpoint_of_a_repeat_is_its_own_and_goes_when_it_is_done(job: Job, folder: Path) -> None:
    seen: list[tuple[int, str]] = []

    class Watched(TableEvaluator):
        def train(
            self,
            architecture: Architecture,
            *,
            epochs: int,
            checkpoint: Path | None,
            on_epoch: Callable[[CurvePoint], None],
            should_stop: Callable[[], bool],
            repeat: int = 0,
        ) -> Trained:
            assert checkpoint is not None
            assert not (repeat and checkpoint.exists())
            seen.append((repeat, checkpoint.name))
            return super().train(
                architecture,
                epochs=epochs,
                checkpoint=checkpoint,
                on_epoch=on_epoch,
                should_stop=should_stop,
                repeat=repeat,
            )

    search(job, Watched(log=Path("log")))
    names = {repeat: {name for number, name in seen if number == repeat} for repeat in (0, 1)}
    assert names[1]
    assert not names[0] & names[1]
    left = {file.name for file in folder.glob("studies/s/checkpoints/*")}
    assert left
    assert not left & names[1]


def test_a_member_that_was_lucky_leaves_the_front(job: Job) -> None:
    class Lucky(TableEvaluator):
        """One network's first training is the best of all, its second the worst."""

        def train(self, architecture: Architecture, *, repeat: int = 0, **options: object) -> Trained:
            trained = super().train(architecture, repeat=repeat, **options)  # type: ignore[arg-type]
            if architecture.digest != self.trained[0]:
                return trained
            return replace(trained, score=0.0 if repeat else 1.0)

    view = search(replace(job, rungs=(2,), options={"confirm": 1}), Lucky())
    lucky = view.evaluations()[0]
    assert lucky.accuracy == 1.0
    assert (lucky.digest, 2, 1) in of_repeats(view)
    before = front_of([one for one in view.candidates() if not one.repeat], view.record)
    assert lucky.digest in {member.digest for member in before.candidates}
    assert max(member.accuracy or 0.0 for member in view.pareto()) < 1.0
    assert {member.digest for member in view.pareto()} <= {digest for digest, _, _ in of_repeats(view)}


def test_a_repeat_that_fails_is_not_tried_again_and_closes_nothing(job: Job) -> None:
    def failure(_: Architecture, count: int) -> CandidateError | None:
        return CandidateError("diverged", "The loss became nan.") if count == 4 else None

    view = search(replace(job, rungs=(2,), trials=6), TableEvaluator(failure=failure))
    (failed,) = [one for one in view.evaluations() if one.status == "failed"]
    assert failed.repeat == 1
    history = history_of(view.evaluations(), view.record)
    (state,) = [one for one in history.seen if one.digest == failed.digest]
    assert (state.is_closed, state.repeats) == (False, ())
    assert view.savings().epochs_saved == 0


def test_noise_reaches_the_strategy(job: Job) -> None:
    view = search(job)
    history = history_of(view.evaluations(), view.record)
    repeated = [scores for scores in history.full_trainings if len(scores) > 1]
    assert {member.digest for member in view.pareto()} <= {one.digest for one in history.seen if one.repeats}
    assert all(scores[0] != scores[1] for scores in repeated)
    noise = pareto_document(view)["seed_noise"]
    assert noise["degrees_of_freedom"] == 2 + len(repeated)


def test_a_larger_total_goes_on_and_confirms_the_new_front(job: Job, url: str) -> None:
    search(job)
    view = search(replace(job, trials=9))
    check_study(url, 9, log=Path("log"))
    assert {member.digest for member in view.pareto()} <= {digest for digest, _, _ in of_repeats(view)}


def test_no_repeat_is_begun_after_the_time_limit(job: Job) -> None:
    notes: list[str] = []

    def listener(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    search(replace(job, options={"confirm": 0}))
    view = search(replace(job, options={"confirm": 1, "timeout": 1e-9}), listener=listener)
    assert of_repeats(view) == []
    assert any(re.match("The time limit is reached", note) for note in notes)


# processes ------------------------------------------------------------------------------------------------------------

QUICK = ("after the trial of a claim", "after an epoch")


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(point, marks=() if point in QUICK else pytest.mark.slow)
        for point in (
            *("before the trial of a claim", "after the trial of a claim", "after the trial is assigned"),
            *("after claiming", "after an epoch", "before the result", "after the result", "while telling"),
        )
    ],
)
def test_a_repeat_whose_process_dies_is_gone_on_with(job: Job, url: str, point: str) -> None:
    whole = replace(job, rungs=(3,), trials=3)
    search(replace(whole, options={"confirm": 0}))
    nth = 2 if point == "after an epoch" else 1
    code, _, errors = run(replace(whole, die=(point, nth)))
    assert code == 9, errors
    view = search(whole)
    check_study(url, 3, log=None if point == "before the result" else Path("log"))
    assert {member.digest for member in view.pareto()} <= {digest for digest, _, _ in of_repeats(view)}
    if point == "after an epoch":
        starts = [line.split()[2] for line in Path("log").read_text().splitlines() if line.startswith("start")]
        assert "1" in starts  # the epoch after which it died was in its checkpoint


@pytest.mark.slow
def test_workers_repeat_together_and_nothing_twice(job: Job, url: str) -> None:
    """Each claims another repeat; the front is the same whoever trained it."""
    processes = [launch(replace(job, trials=8, epoch_s=0.02, options={"confirm": 2})) for _ in range(2)]
    for code, _, errors in [finish(process) for process in processes]:
        assert code == 0, errors
    check_study(url, 8, log=Path("log"))


def test_what_repeats_cost_is_measured_once(job: Job, url: str) -> None:
    evaluator = TableEvaluator()
    view = search(job, evaluator)
    assert len(evaluator.measured) == len(set(evaluator.measured))
    own = {(one.digest, one.epochs): one for one in view.evaluations() if not one.repeat}
    for one in view.evaluations():
        if one.repeat:
            assert (one.costs, one.measurement_key) == (
                own[one.digest, one.epochs].costs,
                own[one.digest, one.epochs].measurement_key,
            )
    assert sum(Store.open(url).summaries()[0].counts.values()) == 6
