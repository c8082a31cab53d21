from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from osanas.cli.render.progress import ROWS, Terminal, progress, say
from osanas.cli.render.progress_lines import SETTLED
from osanas.study.events import CandidateDone, Note, Remeasuring
from tests.cli.render.events import COMPLETE, STARTED, begun, candidate_started, epoch_done


@pytest.fixture
def terminal() -> Terminal:
    return Terminal(Console(file=io.StringIO(), width=80, force_terminal=True))


def shown(terminal: Terminal) -> list[str]:
    """The lines on the screen now, without control characters."""
    console = Console(file=io.StringIO(), width=80)
    console.print(terminal.shown())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def said(terminal: Terminal) -> list[str]:
    """What moved up above it."""
    text = terminal.console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()]


@pytest.mark.parametrize(("typed", "answer"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_question_in_a_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, typed: str, answer: bool
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    with terminal.live:
        assert terminal.ask("Again?") is answer


def test_no_answer_is_an_interruption(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with terminal.live, pytest.raises(KeyboardInterrupt):
        terminal.ask("Again?")


def test_nobody_is_asked_without_a_terminal() -> None:
    with progress() as (_, ask):
        assert ask is None


def test_without_a_terminal_counts_come_last(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as (listener, _):
        for trial in range(3):
            listener(Note(f"Trial {trial}: noisy.", counted_as="noisy"))
        listener(Note("the end"))
    assert capsys.readouterr().err.splitlines() == [
        "Trial 0: noisy. Further ones are counted.",
        "the end",
        "3 times: noisy",
    ]


def test_brackets_are_no_markup() -> None:
    console = Console(file=io.StringIO())
    say(console, "a [bold]b[/bold] c", "")
    assert console.file.getvalue() == "a [bold]b[/bold] c\n"  # type: ignore[attr-defined]


def test_a_candidate_is_one_row_that_is_rewritten(terminal: Terminal) -> None:
    terminal.listen(begun(rungs=[1, 3]))
    terminal.listen(CandidateDone(COMPLETE, 3, 6, 1, 0.1))
    other = replace(COMPLETE, trial=8, digest="a1:1", score=0.5)
    terminal.listen(CandidateDone(other, 4, 6, 1, 0.1))
    promoted = replace(COMPLETE, trial=9, epochs=3, promoted_from=7, score=0.95)
    terminal.listen(CandidateDone(promoted, 4, 6, 1, 0.1))
    assert [line for line in shown(terminal) if "trial" in line] == [
        "4/6  trial 8  acc 0.500  1.23 ms  - mJ  1 of 3 epochs",
        "4/6  trial 9  acc 0.950  1.23 ms  - mJ  3 of 3 epochs, from 7",
    ]


def test_only_the_last_candidates_are_shown(terminal: Terminal) -> None:
    terminal.listen(STARTED)
    for trial in range(3 * ROWS):
        terminal.listen(CandidateDone(replace(COMPLETE, trial=trial, digest=f"a1:{trial}"), trial, 99, 1, 0.1))
    rows = [line.split()[2] for line in shown(terminal) if "acc" in line]
    assert rows == [str(trial) for trial in range(2 * ROWS, 3 * ROWS)]


def test_the_status(terminal: Terminal) -> None:
    def status() -> list[str]:
        return [str(line) for line in terminal.bar.tasks[0].fields["status"].splitlines()]

    terminal.listen(STARTED)
    assert status() == ["2/6  "]
    assert (terminal.bar.tasks[0].completed, terminal.bar.tasks[0].total) == (2, 6)
    terminal.listen(candidate_started(7))
    assert status() == ["2/6  trial 7: measuring"]
    terminal.listen(candidate_started(7, 4))
    assert status() == ["2/6  trial 7: promoted from 4"]
    terminal.listen(replace(candidate_started(7), repeat=2))
    assert status() == ["2/6  trial 7: repeat 2"]
    terminal.listen(epoch_done(7, 3, 0.75))
    assert status() == ["2/6  trial 7: epoch 3/5, accuracy 0.7500"]
    terminal.listen(CandidateDone(COMPLETE, 3, 6, 2, 0.5, share=0.5))
    assert terminal.bar.tasks[0].completed == 3
    assert status()[1].startswith("front 2, 50 % of the expected end, ")
    assert status()[1].endswith(" left")
    terminal.listen(Remeasuring(7, 2, 3, in_full=True))
    assert status()[0] == "3/6  trial 7: measuring in full, 2 of 3"
    terminal.listen(Remeasuring(7, 1, 3, in_full=False))
    assert status()[0] == "3/6  trial 7: measuring again, 1 of 3"


def test_what_is_said_moves_up(terminal: Terminal) -> None:
    terminal.listen(STARTED)
    terminal.listen(CandidateDone(COMPLETE, 3, 6, 2, 0.5, share=1.0, is_settled=True))
    terminal.listen(CandidateDone(replace(COMPLETE, status="duplicate"), 3, 6, 2, 0.5, share=1.0, is_settled=True))
    terminal.listen(Note("Something else."))
    text = " ".join(said(terminal))
    assert text.count(SETTLED) == 1
    assert text.endswith("Something else.")
    assert "acc 0" not in text


def test_everything_fits_80_columns(terminal: Terminal) -> None:
    terminal.listen(begun(rungs=[10, 30, 100], size=10**18, trials=200))
    long = replace(COMPLETE, trial=1234, epochs=100, promoted_from=1000, energy_mj=12345.6)
    terminal.listen(CandidateDone(replace(long, epochs=10), 199, 200, 12, 0.5, share=1.0))
    terminal.listen(CandidateDone(long, 199, 200, 12, 0.5, share=1.0))
    over = replace(long, digest="a1:2", status="infeasible", reason="latency_ms 12 over the limit 10, " * 5)
    terminal.listen(CandidateDone(over, 199, 200, 12, 0.5, share=1.0))
    terminal.listen(epoch_done(1234, 3, 0.75))
    lines = shown(terminal) + said(terminal)
    assert max(map(len, lines)) <= 80
    assert any(line.endswith("…") for line in lines)
    assert any("front 12, 100 % of the expected end, " in line for line in lines)
