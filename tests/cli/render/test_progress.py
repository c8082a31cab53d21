from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from osanas.cli.render.numbers import duration
from osanas.cli.render.progress import _Clock, _Lines, _Live, progress
from osanas.genotype.space import SearchSpace
from osanas.study.config import StudyConfig
from osanas.study.events import CandidateDone, CandidateStarted, EpochDone, Note, Remeasuring, SearchStarted, Waiting
from osanas.study.records import Candidate, CurvePoint, Holder, StudyRecord
from tests.fakes import SMALL

MEMBER = SearchSpace.from_dict(SMALL).smallest()
IDENTITY = {"objectives": ["accuracy", "latency_ms", "energy_mj"], "energy_source": "rapl", "rungs": [1]}


def begun(*, trained: int = 2, trials: int = 6, size: int = 144, **identity: Any) -> SearchStarted:
    config = StudyConfig(sampler="tpe", trials=trials)
    record = StudyRecord(1, "s", IDENTITY | identity, config, {"name": "Fast CPU"}, 0.0)
    return SearchStarted(record, "sqlite:///studies/s/study.db", "small", size, trained)


STARTED = begun()
COMPLETE = Candidate(
    trial=7,
    digest="a1:0",
    status="complete",
    epochs=1,
    score=0.9,
    latency_ms=1.23456,
    energy_mj=None,
    energy_source=None,
    parameters=1000,
    multiply_adds=10**6,
    memory_access_elements=10,
    reason=None,
    training_seconds=1.0,
    architecture=MEMBER,
)


def epoch_done(trial: int, epoch: int, score: float) -> EpochDone:
    return EpochDone(trial, CurvePoint(epoch, 1.0, 1.0, score, 0.1), 5)


def lines() -> _Lines:
    return _Lines(Console(file=io.StringIO()))


def test_opening() -> None:
    assert lines().line(STARTED).splitlines() == [
        "study s in sqlite:///studies/s/study.db",
        "space small (144 members), sampler tpe, 1 epoch a candidate, 6 candidates; 2 trained already",
        "objectives accuracy, latency_ms, energy_mj on Fast CPU, energy rapl",
    ]
    fresh = begun(trained=0, trials=1, rungs=[5], energy_source=None, size=3 * 10**11)
    assert lines().line(fresh).splitlines()[1:] == [
        "space small (3.0e+11 members), sampler tpe, 5 epochs a candidate, 1 candidate",
        "objectives accuracy, latency_ms, energy_mj on Fast CPU",
    ]
    assert lines().line(begun(rungs=[1, 3, 9])).splitlines()[1] == (
        "space small (144 members), sampler tpe, 1, 3 or 9 epochs a candidate, 6 candidates; 2 trained already"
    )


def test_the_rung_and_promotions_are_told() -> None:
    told = lines()
    told.line(begun(rungs=[1, 3]))
    first = told.line(CandidateDone(COMPLETE, 3, 6, 1, 0.1))
    assert first.startswith("3/6  trial 7  1 epoch  accuracy 0.9000  ")
    promoted = replace(COMPLETE, trial=9, epochs=3, promoted_from=7)
    assert told.line(CandidateDone(promoted, 3, 6, 1, 0.1)).startswith(
        "3/6  trial 9  3 epochs, promoted from 7  accuracy"
    )
    stopped = replace(promoted, status="failed", reason="The loss is nan.")
    assert told.line(CandidateDone(stopped, 3, 6, 1, 0.1)) == (
        "3/6  trial 9  3 epochs, promoted from 7  failed: The loss is nan."
    )


@pytest.mark.parametrize("rungs", [[3], [1, 3]])
def test_a_repeat_is_told_as_one(rungs: list[int]) -> None:
    told = lines()
    told.line(begun(rungs=rungs))
    repeat = replace(COMPLETE, epochs=3, repeat=2)
    line = told.line(CandidateDone(repeat, 3, 6, 1, 0.1))
    assert line.startswith("3/6  trial 7  3 epochs, repeat 2  accuracy 0.9000  ")


def test_a_candidate_a_line() -> None:
    now = [1000.0]
    told = _Lines(Console(file=io.StringIO()), clock=_Clock(now=lambda: now[0]))
    told.line(STARTED)
    now[0] += 10
    assert told.line(CandidateDone(COMPLETE, 3, 6, 1, 0.123456)) == (
        "3/6  trial 7  accuracy 0.9000  1.23 ms  - mJ  front 1  hypervolume 0.1235  30 s left"
    )
    stopped = replace(COMPLETE, status="infeasible", reason="latency_ms 2 over the limit 1")
    assert told.line(CandidateDone(stopped, 3, 6, 1, 0.1)) == "3/6  trial 7  infeasible: latency_ms 2 over the limit 1"


def test_duplicates_are_counted() -> None:
    told = lines()
    told.line(STARTED)
    duplicate = replace(COMPLETE, status="duplicate", reason="the network of trial 1")
    assert [told.line(CandidateDone(duplicate, 2, 6, 1, 0.1)) for _ in range(20)] == [""] * 20
    assert told.line(CandidateDone(COMPLETE, 6, 6, 1, 0.1)).endswith("hypervolume 0.1  (after 20 duplicates)")
    assert told.line(CandidateDone(COMPLETE, 6, 6, 1, 0.1)).endswith("hypervolume 0.1")


def test_other_events() -> None:
    told = lines()
    waiting = Waiting((Holder(3, "host", 42),))
    assert told.line(waiting) == "waiting for other workers: trial 3 (host, pid 42)"
    assert told.line(waiting) == ""  # said already
    assert told.line(Waiting(())) == "waiting for other workers"
    assert told.line(Note("text [with] brackets")) == "text [with] brackets"
    assert (
        told.line(CandidateStarted(1, MEMBER, 3, None, continued=True))
        == "trial 1 goes on where another process left it"
    )
    assert told.line(CandidateStarted(1, MEMBER, 3, None, continued=False)) == ""
    assert told.line(epoch_done(1, 1, 0.5)) == ""


def test_measuring_again_is_a_line_at_its_beginning() -> None:
    told = lines()
    assert told.line(Remeasuring(7, 1, 3, in_full=True)) == "measuring the front in full: 3 candidates"
    assert told.line(Remeasuring(8, 2, 3, in_full=True)) == ""
    assert told.line(Remeasuring(7, 1, 1, in_full=False)) == "measuring the front of an earlier key again: 1 candidate"


@pytest.mark.parametrize(("typed", "answer"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_question_in_a_terminal(monkeypatch: pytest.MonkeyPatch, typed: str, answer: bool) -> None:
    console = Console(file=io.StringIO(), width=80)
    bar = Progress(TextColumn("{task.fields[status]}"), console=console)
    live = _Live(console, bar, bar.add_task("", status=""), _Lines(console, is_brief=True))
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    with bar:
        assert live.ask("Again?") is answer


def test_no_answer_is_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=80)
    bar = Progress(TextColumn("{task.fields[status]}"), console=console)
    live = _Live(console, bar, bar.add_task("", status=""), _Lines(console, is_brief=True))
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with bar, pytest.raises(KeyboardInterrupt):
        live.ask("Again?")


def test_nobody_is_asked_without_a_terminal() -> None:
    with progress() as (_, ask):
        assert ask is None


def test_brackets_are_no_markup() -> None:
    told = lines()
    told.listen(Note("a [bold]b[/bold] c"))
    assert told.console.file.getvalue() == "a [bold]b[/bold] c\n"  # type: ignore[attr-defined]


def test_live_status() -> None:
    console = Console(file=io.StringIO(), width=80)
    bar = Progress(TextColumn("{task.fields[status]}"), console=console)
    task = bar.add_task("", total=None, status="preparing")
    live = _Live(console, bar, task, _Lines(console, is_brief=True))

    def shown() -> tuple[float, float | None, list[str]]:
        return bar.tasks[0].completed, bar.tasks[0].total, bar.tasks[0].fields["status"].splitlines()

    live.listen(STARTED)
    assert shown() == (2, 6, ["2/6  "])
    live.listen(CandidateStarted(7, MEMBER, 5, None, continued=False))
    assert shown() == (2, 6, ["2/6  trial 7: measuring"])
    live.listen(CandidateStarted(7, MEMBER, 5, 4, continued=False))
    assert shown() == (2, 6, ["2/6  trial 7: promoted from 4"])
    live.listen(epoch_done(7, 3, 0.75))
    assert shown() == (2, 6, ["2/6  trial 7: epoch 3/5, accuracy 0.7500"])
    live.listen(CandidateDone(COMPLETE, 3, 6, 2, 0.5))
    completed, total, status = shown()
    assert (completed, total) == (3, 6)
    assert status[1].startswith("front 2, hypervolume 0.5, ")
    assert status[1].endswith(" left")
    live.listen(Remeasuring(7, 2, 3, in_full=True))
    assert shown()[2][0] == "3/6  trial 7: measuring in full, 2 of 3"
    live.listen(Remeasuring(7, 1, 3, in_full=False))
    assert shown()[2][0] == "3/6  trial 7: measuring again, 1 of 3"
    live.listen(epoch_done(8, 1, 0.25))
    assert console.file.getvalue().splitlines()[-2] == "3/6  trial 7  accuracy 0.9000  1.23 ms  - mJ"  # type: ignore[attr-defined]
    assert shown()[2] == ["3/6  trial 8: epoch 1/5, accuracy 0.2500", status[1]]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5000, "83 min"), (9000, "2.5 h")]
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_score_of_another_task_is_told_by_its_name() -> None:
    told = lines()
    told.line(begun(objectives=["dice", "latency_ms"]))
    assert "trial 7  dice 0.9000  1.23 ms" in told.line(CandidateDone(COMPLETE, 3, 6, 1, 0.1))


def test_no_time_left_is_told_without_a_candidate() -> None:
    clock = _Clock()
    clock.start(5)
    assert clock.left(5, 10) == ""
    assert clock.left(10, 10) == ""
