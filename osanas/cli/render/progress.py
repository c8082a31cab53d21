"""Progress of a search on standard error: one live display in a terminal, plain lines when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import filterfalse

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from osanas.cli.render.numbers import counted, duration, fraction, members, number
from osanas.study.events import (
    CandidateDone,
    CandidateStarted,
    EpochDone,
    Event,
    Listener,
    Note,
    Remeasuring,
    SearchStarted,
    Waiting,
)
from osanas.study.objectives import ACCURACY, is_cost
from osanas.study.records import Candidate

Ask = Callable[[str], bool]
"""Puts a question to the user: yes or no."""


@contextmanager
def progress() -> Iterator[tuple[Listener, Ask | None]]:
    """For ``run_search``: a listener that shows what happens, and a way to ask where somebody can answer."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _Lines(Console(stderr=True, highlight=False, width=250, soft_wrap=True)).listen, None
        return
    bar = Progress(
        SpinnerColumn(),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[status]}"),
        console=console,
        transient=True,
    )
    task = bar.add_task("", total=None, status="preparing data, device and meter")
    with bar:
        live = _Live(console, bar, task, _Lines(console, is_brief=True))
        yield live.listen, live.ask if sys.stdin.isatty() else None


@dataclass
class _Clock:
    """Predicts the time left from the candidates of this run.

    Attributes:
        now: Reads seconds since any moment.
        started: When the run began.
        first: Candidates that were trained before it.
    """

    now: Callable[[], float] = time.monotonic
    started: float = 0.0
    first: int = 0

    def start(self, trained: int) -> None:
        """A run begins, with so many candidates trained before it."""
        self.started, self.first = self.now(), trained

    def left(self, trained: int, target: int) -> str:
        """The time until ``target``, in words; empty when it cannot be told."""
        done = trained - self.first
        if done < 1 or trained >= target:
            return ""
        seconds = (self.now() - self.started) / done * (target - trained)
        return f"{duration(seconds)} left"


@dataclass
class _Lines:
    """A line for each thing that happens, without epochs; duplicates in a row are counted."""

    console: Console
    is_brief: bool = False
    left: str = ""
    score: str = ACCURACY.name
    clock: _Clock = field(default_factory=_Clock)
    _rungs: int = 1
    _duplicates: int = 0
    _waiting: str = ""

    def listen(self, event: Event) -> None:
        text = self.line(event)
        if text:
            self.console.print(text, markup=False)

    def line(self, event: Event) -> str:
        match event:
            case SearchStarted():
                self.clock.start(event.trained)
                self._rungs = len(event.record.rungs)
                self.score = next(filterfalse(is_cost, event.record.objectives), self.score)
                return _opening(event)
            case CandidateStarted(trial=trial, continued=True):
                return f"trial {trial} goes on where another process left it"
            case CandidateDone():
                return self._done(event)
            case Waiting(holders=holders):
                names = ", ".join(f"{holder.trial} ({holder.host}, pid {holder.pid})" for holder in holders)
                text = f"waiting for other workers{f': trial {names}' if names else ''}"
                known, self._waiting = self._waiting, text
                return "" if text == known else text
            case Remeasuring(number=1):
                return _again(event)
            case Note(text=text):
                return text
            case _:
                return ""

    def _rung(self, candidate: Candidate) -> str:
        """Where on the ladder it is, or which repeat; nothing where there is no ladder."""
        if candidate.repeat:
            return f"  {counted(candidate.epochs, 'epoch')}, repeat {candidate.repeat}"
        if self._rungs == 1:
            return ""
        start = "" if candidate.promoted_from is None else f", promoted from {candidate.promoted_from}"
        return f"  {counted(candidate.epochs, 'epoch')}{start}"

    def _done(self, event: CandidateDone) -> str:
        candidate = event.candidate
        if candidate.status == "duplicate":
            self._duplicates += 1
            return ""
        repeated, self._duplicates = self._duplicates, 0
        after = f"  (after {counted(repeated, 'duplicate')})" if repeated else ""
        head = f"{event.trained}/{event.target}  trial {candidate.trial}{self._rung(candidate)}"
        if candidate.status != "complete":
            return f"{head}  {candidate.status}: {candidate.reason}{after}"
        self.left = self.clock.left(event.trained, event.target)
        figures = (
            f"{self.score} {fraction(candidate.score)}  {number(candidate.latency_ms)} ms  "
            f"{number(candidate.energy_mj)} mJ"
        )
        if self.is_brief:
            return f"{head}  {figures}{after}"
        front = f"front {event.front_size}  hypervolume {number(event.hypervolume, 4)}"
        return f"{head}  {figures}  {front}{f'  {self.left}' if self.left else ''}{after}"


def _opening(event: SearchStarted) -> str:
    record = event.record
    device = record.device.get("name", "unknown device")
    source = f", energy {record.energy_source}" if record.energy_source else ""
    resumed = f"; {event.trained} trained already" if event.trained else ""
    return (
        f"study {record.name} in {event.storage}\n"
        f"space {event.space} ({members(event.space_size)}), sampler {record.config.sampler}, "
        f"{_ladder(record.rungs)}, {counted(record.config.trials, 'candidate')}{resumed}\n"
        f"objectives {', '.join(record.objectives)} on {device}{source}"
    )


def _ladder(rungs: Sequence[int]) -> str:
    if len(rungs) == 1:
        return f"{counted(rungs[0], 'epoch')} a candidate"
    return f"{', '.join(map(str, rungs[:-1]))} or {counted(rungs[-1], 'epoch')} a candidate"


def _again(event: Remeasuring) -> str:
    what = counted(event.total, "candidate")
    if event.in_full:
        return f"measuring the front in full: {what}"
    return f"measuring the front of an earlier key again: {what}"


@dataclass
class _Live:
    """A bar and two lines of status that stay below the lines of what is done."""

    console: Console
    bar: Progress
    task: TaskID
    lines: _Lines
    _count: str = ""
    _front: str = ""

    def listen(self, event: Event) -> None:
        self.lines.listen(event)
        match event:
            case SearchStarted():
                target = event.record.config.trials
                self._count = f"{event.trained}/{target}"
                self._show("", event.trained, target)
            case CandidateStarted():
                doing = "measuring" if event.promoted_from is None else f"promoted from {event.promoted_from}"
                doing = f"repeat {event.repeat} with another seed" if event.repeat else doing
                self._show(f"trial {event.trial}: {doing}")
            case EpochDone():
                doing = f"trial {event.trial}: epoch {event.point.epoch}/{event.epochs}"
                self._show(f"{doing}, {self.lines.score} {fraction(event.point.score)}")
            case CandidateDone():
                self._count = f"{event.trained}/{event.target}"
                self._front = f"front {event.front_size}, hypervolume {number(event.hypervolume, 4)}"
                self._show("", event.trained)
            case Remeasuring():
                how = "in full" if event.in_full else "again"
                self._show(f"trial {event.trial}: measuring {how}, {event.number} of {event.total}")
            case Waiting():
                self._show("waiting for other workers")
            case _:
                pass

    def ask(self, question: str) -> bool:
        """Puts a question below what has been said, with the bar out of the way.

        Raises:
            KeyboardInterrupt: There is no answer.
        """
        self.bar.stop()
        try:
            return typer.confirm(question, err=True)
        except typer.Abort:
            raise KeyboardInterrupt from None
        finally:
            self.bar.start()

    def _show(self, doing: str, completed: int | None = None, total: int | None = None) -> None:
        known = ", ".join(part for part in (self._front, self.lines.left) if part)
        self.bar.update(self.task, status=f"{self._count}  {doing}\n{known}", completed=completed, total=total)
