"""Progress of a search on standard error: one live display in a terminal, plain lines when piped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn

from osanas.cli.tables import fraction, number
from osanas.engine.events import (
    CandidateDone,
    CandidateStarted,
    EpochDone,
    Event,
    Listener,
    Note,
    SearchStarted,
    Waiting,
)


@contextmanager
def progress() -> Iterator[Listener]:
    """A listener for ``run_search`` that shows what happens."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _Lines(Console(stderr=True, highlight=False, width=250, soft_wrap=True)).listen
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        console=console,
        transient=True,
    )
    with bar:
        yield _Live(console, bar, _Lines(console)).listen


@dataclass
class _Clock:
    """Predicts the time left from the candidates of this run."""

    started: float = field(default_factory=time.monotonic)
    first: int | None = None

    def left(self, trained: int, target: int) -> str:
        if self.first is None:
            self.first = trained - 1
        done = trained - self.first
        if done < 1 or trained >= target:
            return ""
        seconds = (time.monotonic() - self.started) / done * (target - trained)
        return f"{duration(seconds)} left"


def duration(seconds: float) -> str:
    """Seconds as ``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass
class _Lines:
    """A line for each thing that happens, without epochs."""

    console: Console
    _clock: _Clock = field(default_factory=_Clock)
    _waiting: str = ""

    def listen(self, event: Event) -> None:
        text = self.line(event)
        if text:
            self.console.print(text, markup=False)

    def line(self, event: Event) -> str:
        match event:
            case SearchStarted():
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
            case Note(text=text):
                return text
            case _:
                return ""

    def _done(self, event: CandidateDone) -> str:
        candidate = event.candidate
        costs = f"{number(candidate.latency_ms)} ms  {number(candidate.energy_mj)} mJ"
        if candidate.status == "complete":
            left = self._clock.left(event.trained, event.target)
            accuracy = fraction(candidate.accuracy)
            return (
                f"{event.trained}/{event.target}  trial {candidate.trial}  accuracy {accuracy}  {costs}  "
                f"front {event.front_size}  hypervolume {number(event.hypervolume, 4)}{f'  {left}' if left else ''}"
            )
        return f"{event.trained}/{event.target}  trial {candidate.trial}  {candidate.status}: {candidate.reason}"


def _opening(event: SearchStarted) -> str:
    device = event.device.get("name", "unknown device")
    size = f"{event.space_size:,}" if event.space_size < 1e7 else f"{event.space_size:.1e}"
    source = f", energy {event.energy_source}" if event.energy_source else ""
    resumed = f"; {event.trained} trained already" if event.trained else ""
    return (
        f"study {event.study} in {event.storage}\n"
        f"space {event.space} ({size} members), sampler {event.sampler}, {event.epochs} epochs a candidate, "
        f"{event.target} candidates{resumed}\n"
        f"objectives {', '.join(event.objectives)} on {device}{source}"
    )


@dataclass
class _Live:
    """A bar that stays below the lines of what is done."""

    console: Console
    bar: Progress
    lines: _Lines
    _task: TaskID | None = None
    _front: str = ""

    def listen(self, event: Event) -> None:
        text = self.lines.line(event)
        if text:
            self.console.print(text, markup=False)
        match event:
            case SearchStarted():
                self._task = self.bar.add_task("candidates", total=event.target, completed=event.trained, status="")
            case CandidateStarted():
                self._show(f"trial {event.trial}: measuring  {self._front}")
            case EpochDone():
                accuracy = fraction(event.val_accuracy)
                self._show(f"trial {event.trial}: epoch {event.epoch}/{event.epochs} {accuracy}  {self._front}")
            case CandidateDone():
                self._front = f"front {event.front_size}  hypervolume {number(event.hypervolume, 4)}"
                self._show(self._front, event.trained)
            case _:
                pass

    def _show(self, status: str, completed: int | None = None) -> None:
        if self._task is not None:
            self.bar.update(self._task, status=status, completed=completed)
