"""Progress of a search on standard error: one live display in a terminal, plain lines when piped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from osanas.cli.render.numbers import fraction
from osanas.cli.render.progress_lines import Lines
from osanas.study.events import (
    CandidateDone,
    CandidateStarted,
    EpochDone,
    Event,
    Listener,
    Remeasuring,
    SearchStarted,
    Waiting,
)

Ask = Callable[[str], bool]
"""Puts a question to the user: yes or no."""

ROWS = 8
"""Of the candidates that came last, in a terminal."""


@contextmanager
def progress() -> Iterator[tuple[Listener, Ask | None]]:
    """For ``run_search``: a listener that shows what happens, and a way to ask where somebody can answer."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        plain = Console(stderr=True, highlight=False, width=250, soft_wrap=True)
        lines = Lines()
        try:
            yield lambda event: say(plain, lines.of(event)), None
        finally:
            say(plain, *lines.counts())
        return
    terminal = Terminal(console)
    try:
        with terminal.live:
            yield terminal.listen, terminal.ask if sys.stdin.isatty() else None
    finally:
        say(console, *terminal.lines.counts())


def say(console: Console, *texts: str) -> None:
    """Prints texts that are not empty, as they are."""
    for text in filter(None, texts):
        console.print(text, markup=False)


@dataclass
class Terminal:
    """The candidates that came last, a bar and two lines of status; notes move up above them.

    A candidate is one row, which is rewritten when it goes on to a higher rung.

    Attributes:
        console: The terminal.
        lines: What is said in words.
    """

    console: Console
    lines: Lines = field(default_factory=Lines)
    _rows: dict[tuple[str, int], str] = field(default_factory=dict)
    _count: str = ""

    def __post_init__(self) -> None:
        columns = (SpinnerColumn(), BarColumn(bar_width=16), TextColumn("{task.fields[status]}"))
        self.bar = Progress(*columns, console=self.console)
        self._task: TaskID = self.bar.add_task("", total=None, status="preparing data, device and meter")
        self.live = Live(console=self.console, get_renderable=self.shown, transient=True)

    def shown(self) -> RenderableType:
        """What is on the screen below the notes."""
        drawn = list(self._rows.values())  # by a thread of its own, while the rows change
        rows = [Text(row, no_wrap=True, overflow="ellipsis") for row in drawn]
        return Group(*rows, self.bar.get_renderable())

    def listen(self, event: Event) -> None:
        """Shows an event."""
        match event:
            case CandidateDone():
                self._done(event)
                return
            case _:
                say(self.console, self.lines.of(event))
        match event:
            case SearchStarted():
                target = event.record.config.trials
                self._count = f"{event.trained}/{target}"
                self._show("", event.trained, target)
            case CandidateStarted():
                doing = "measuring" if event.promoted_from is None else f"promoted from {event.promoted_from}"
                self._show(f"trial {event.trial}: {f'repeat {event.repeat}' if event.repeat else doing}")
            case EpochDone():
                doing = f"trial {event.trial}: epoch {event.point.epoch}/{event.epochs}"
                self._show(f"{doing}, {self.lines.score} {fraction(event.point.score)}")
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
        self.live.stop()
        try:
            return typer.confirm(question, err=True)
        except typer.Abort:
            raise KeyboardInterrupt from None
        finally:
            self.live.start()

    def _done(self, event: CandidateDone) -> None:
        if self.lines.note_done(event) is not None:
            key = (event.candidate.digest, event.candidate.repeat)
            self._rows.pop(key, None)
            self._rows[key] = self.lines.candidate(event)
            for oldest in list(self._rows)[:-ROWS]:
                del self._rows[oldest]
        say(self.console, self.lines.settled(event))
        self._count = f"{event.trained}/{event.target}"
        self._show("", event.trained)

    def _show(self, doing: str, completed: int | None = None, total: int | None = None) -> None:
        known = ", ".join(part for part in (self.lines.front, self.lines.left) if part)
        self.bar.update(self._task, status=f"{self._count}  {doing}\n{known}", completed=completed, total=total)
