"""A search whose command starts a second worker process: to the end, interrupted, and with either of both killed."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.conftest import CHATTER, Command, finish, start

pytestmark = pytest.mark.slow

TWO = (
    *("search", "--space", "tiny", "--sampler", "random", "--data", "digits", "--train-samples", "200"),
    *("--threads", "1", "--device", "cpu", "--energy", "none", "--workers", "2", "--confirm", "0"),
)
DATABASE = Path("studies/tiny-digits/study.db")


def query(statement: str) -> list[tuple[Any, ...]]:
    """Rows of the study's database; none where it has no tables yet."""
    if not DATABASE.exists():
        return []
    with closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True, timeout=10)) as connection:
        try:
            return connection.execute(statement).fetchall()
        except sqlite3.OperationalError:
            return []


def wait_until_both_train(process: subprocess.Popen[str]) -> psutil.Process:
    """Waits until each process holds a trial; gives the second."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        pids = {pid for (pid,) in query("SELECT pid FROM osanas_leases WHERE trial IS NOT NULL")}
        if len(pids) == 2:
            (other,) = pids - {process.pid}
            return psutil.Process(other)
        time.sleep(0.05)
    raise AssertionError(process.communicate())


def is_gone(process: psutil.Process) -> bool:
    """Whether it ends within some seconds; an orphan's remains may wait for whoever has adopted it."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def statuses(osanas: Command) -> dict[int, str]:
    """By trial, without duplicates, which the random sampler makes by chance."""
    trials = osanas("show", "tiny-digits", "--json").document["trials"]
    return {trial["trial"]: trial["status"] for trial in trials if trial["status"] != "duplicate"}


def test_two_workers_share_a_search(osanas: Command) -> None:
    process = start(*TWO, "--rungs", "40", "--trials", "6", cwd=Path.cwd())
    other = wait_until_both_train(process)
    assert other.ppid() == process.pid
    result = finish(process)
    assert result.code == 0, result.err
    assert is_gone(other)
    told = re.findall(r"^\d/6  trial (\d+) ", result.err, re.MULTILINE)
    assert sorted(map(int, told)) == sorted(statuses(osanas))  # whoever trained them, each once
    assert "6/6" in result.err
    assert not [word for word in CHATTER if word in result.err]


def test_the_second_ends_with_the_first_and_nothing_is_lost(osanas: Command) -> None:
    options = (*TWO, "--rungs", "30", "--trials", "4")
    process = start(*options, cwd=Path.cwd())
    other = wait_until_both_train(process)
    while len(query("SELECT DISTINCT evaluation_id FROM osanas_epochs WHERE epoch >= 2")) < 2:
        time.sleep(0.05)
    process.kill()
    finish(process)
    assert is_gone(other)
    before = query("SELECT evaluation_id, epoch, train_loss FROM osanas_epochs ORDER BY 1, 2")
    result = finish(start(*options, cwd=Path.cwd()))
    assert result.code == 0, result.err
    after = query("SELECT evaluation_id, epoch, train_loss FROM osanas_epochs ORDER BY 1, 2")
    assert len(before) >= 4
    assert set(before) <= set(after)  # trained again or not, they are what they were
    assert set(statuses(osanas).values()) == {"complete"}
    assert "4/4" in result.err


def test_an_interrupt_ends_both_with_one_message(folder: Path) -> None:
    process = start(*TWO, "--rungs", "200", "--trials", "4", cwd=folder, start_new_session=True)
    other = wait_until_both_train(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends Ctrl-C
    result = finish(process)
    assert result.code == 130
    assert result.err.count("Interrupted") == 1
    assert result.err.splitlines()[-1] == "Interrupted. Run the same command again to go on from here."
    assert "Traceback" not in result.err
    assert is_gone(other)


def test_a_killed_companion_is_told_and_the_search_goes_on(osanas: Command) -> None:
    process = start(*TWO, "--rungs", "30", "--trials", "4", cwd=Path.cwd())
    other = wait_until_both_train(process)
    other.kill()
    result = finish(process)
    assert result.code == 0, result.err
    notes = [line for line in result.err.splitlines() if "worker process" in line]
    assert notes == [
        "A further worker process ended: it was ended by the signal SIGKILL; the system does so when memory runs out. "
        "The search goes on without it."
    ]
    assert set(statuses(osanas).values()) == {"complete"}
    assert "4/4" in result.err


def test_the_time_limit_lets_both_finish_what_they_have_begun(osanas: Command) -> None:
    process = start(*TWO, "--rungs", "60", "--trials", "50", "--timeout", "40", cwd=Path.cwd())
    wait_until_both_train(process)
    result = finish(process)
    assert result.code == 0, result.err
    assert "The time limit is reached." in result.err
    assert set(statuses(osanas).values()) == {"complete"}
