"""The command in processes of its own, with real networks: to the end, again, interrupted, killed, in a terminal."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sqlite3
import struct
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CHATTER, REAL, Command, Searched, finish, start

pytestmark = pytest.mark.slow

EPOCHS = 14


def test_end_to_end(searched: Searched) -> None:
    result = searched.result
    assert result.code == 0, result.err
    lines = result.err.splitlines()
    assert lines[0] == "study tiny-digits in sqlite:///studies/tiny-digits/study.db"
    assert lines[1].startswith("space tiny (192 members), sampler tpe, 1 epoch a candidate, 2 candidates")
    assert re.fullmatch(r"objectives accuracy, latency_ms, energy_mj on .+, energy estimated", lines[2])
    done = [line for line in lines[3:] if re.match(r"\d/2  trial \d+  acc 0\.\d{3}  ", line)]
    assert [line.split()[0] for line in done][:2] == ["1/2", "2/2"]
    assert all("  front " in line for line in done)
    assert "left" in done[0]
    assert "left" not in done[-1]
    others = [line for line in lines[3:] if line not in done]
    counts = [line for line in others if re.match(r"\d+ times: ", line)]
    assert others[len(others) - len(counts) :] == counts
    others = [line for line in others if line not in counts]
    assert re.fullmatch(r"measuring the front in full: \d candidates?", others.pop())
    assert all(line.startswith(("Trial ", "The device has drifted: ")) for line in others)  # notes on measuring
    assert re.match(r"tiny-digits: \d Pareto-efficient candidates? by accuracy \(maximize\), ", result.out)


def test_no_chatter_and_no_control_characters(searched: Searched) -> None:
    for text in (searched.result.out, searched.result.err):
        assert not [word for word in CHATTER if word in text]
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)


def test_nothing_is_left_but_the_study(searched: Searched) -> None:
    left = {path.relative_to(searched.folder).as_posix() for path in searched.folder.rglob("*") if path.is_file()}
    checkpoints = {path for path in left if path.startswith("studies/tiny-digits/checkpoints/")}
    found = json.loads(finish(start("pareto", "tiny-digits", "--json", cwd=searched.folder)).out)
    assert {member["digest"][3:] for member in found["candidates"]} <= {path[-21:-5] for path in checkpoints}
    # kept for the front as it was before it was measured in full
    assert len(checkpoints) == len(found["candidates"]) + found["overtaken"]
    assert left - checkpoints - {"studies/tiny-digits/study.db-wal", "studies/tiny-digits/study.db-shm"} == {
        "studies/tiny-digits/study.db",
        "studies/tiny-digits/study.db.lock",
    }


def test_again_adds_nothing(osanas: Command, searched: Searched, folder: Path) -> None:
    searched.copy_to(folder)
    before = osanas("show", "tiny-digits", "--json").document
    result = osanas(*REAL, "--trials", "2", "--json")
    assert result.code == 0
    assert result.err.splitlines()[1].endswith("2 candidates; 2 trained already")
    assert len(result.err.splitlines()) == 3
    assert osanas("show", "tiny-digits", "--json").document == before
    assert result.document == osanas("pareto", "tiny-digits", "--json").document


def test_other_data_are_refused(osanas: Command, searched: Searched, folder: Path) -> None:
    searched.copy_to(folder)
    result = osanas(*REAL, "--trials", "2", "--train-samples", "120")
    assert (result.code, result.out) == (2, "")
    assert "\n  data.train_samples: stored 100, now 120\n" in result.err


# ends that are none -----------------------------------------------------------------------------------------------


def epochs_stored(database: Path) -> dict[int, float]:
    """Training loss by epoch of the only trial, as far as they are stored."""
    if not database.exists():
        return {}
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        try:
            return dict(connection.execute("SELECT epoch, train_loss FROM osanas_epochs").fetchall())
        except sqlite3.OperationalError:  # no tables yet
            return {}


def wait_for_epoch(process: subprocess.Popen[str], database: Path, epoch: int) -> None:
    deadline = time.monotonic() + 60
    while len(epochs_stored(database)) < epoch:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_interrupted_and_killed(osanas: Command, folder: Path) -> None:
    database = folder / "studies" / "tiny-digits" / "study.db"
    options: tuple[Any, ...] = (*REAL, "--rungs", str(EPOCHS), "--trials", "1", "--confirm", "0")

    process = start(*options, cwd=folder)
    wait_for_epoch(process, database, 2)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert (result.code, result.out) == (130, ""), result.err
    assert result.err.splitlines()[-1] == "Interrupted. Run the same command again to go on from here."
    assert not [word for word in CHATTER if word in result.err]
    first = epochs_stored(database)
    assert 2 <= len(first) < EPOCHS
    shown = osanas("show", "tiny-digits", "--json").document["trials"]
    assert [(trial["trial"], trial["status"], trial["accuracy"]) for trial in shown] in (
        [(0, "running", None)],
        [(0, "waiting", None)],
    )

    process = start(*options, cwd=folder)
    wait_for_epoch(process, database, len(first) + 2)
    process.kill()
    assert finish(process).code == -signal.SIGKILL
    second = epochs_stored(database)
    assert len(first) + 2 <= len(second) < EPOCHS
    assert {epoch: second[epoch] for epoch in first} == first  # trained again or not, they are what they were

    result = finish(start(*options, cwd=folder))
    assert result.code == 0, result.err
    assert "trial 0 goes on where another process left it" in result.err
    whole = epochs_stored(database)
    assert sorted(whole) == list(range(1, EPOCHS + 1))
    assert {epoch: whole[epoch] for epoch in second} == second
    trials = osanas("show", "tiny-digits", "--json").document["trials"]
    assert [(trial["trial"], trial["status"]) for trial in trials] == [(0, "complete")]
    (checkpoint,) = (database.parent / "checkpoints").iterdir()  # of the front
    assert checkpoint.name.endswith(f"-{osanas('show', 'tiny-digits', '0', '--json').document['digest'][3:]}.ckpt")


def test_terminated(folder: Path) -> None:
    process = start(*REAL, "--rungs", "200", "--trials", "1", cwd=folder)
    wait_for_epoch(process, folder / "studies" / "tiny-digits" / "study.db", 1)
    process.terminate()
    result = finish(process)
    assert result.code == 130, result.err


# a terminal -------------------------------------------------------------------------------------------------------


def read_all(terminal: int, process: subprocess.Popen[str]) -> str:
    chunks = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                chunk = os.read(terminal, 65536)
            except OSError:  # the other side is closed
                break
            if not chunk:
                break
            chunks.append(chunk)
        elif process.poll() is not None:
            break
    return b"".join(chunks).decode()


def test_in_a_terminal(searched: Searched, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals on this system")
    fcntl = pytest.importorskip("fcntl")
    termios = pytest.importorskip("termios")
    monkeypatch.delenv("COLUMNS")
    searched.copy_to(folder)
    terminal, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
    process = start(*REAL, "--trials", "3", cwd=folder, stdin=other, stdout=other, stderr=other)
    os.close(other)
    shown = read_all(terminal, process)
    os.close(terminal)
    assert process.wait(60) == 0, shown
    assert "preparing data, device and meter" in shown
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"2/3  trial \d+: measuring", text)
    assert re.search(r"front \d", text)
    assert re.search(r"3/3  trial \d+  acc 0\.\d{3}", text)
    assert re.search(r"\rtiny-digits: \d Pareto-efficient", text)
    assert "\x1b[?25h" in shown  # the cursor is shown again
    assert not [word for word in CHATTER if word in text]
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= 80
