"""Companions as processes of their own: what they are told, why they ended, and that they end. The searches that they
take part in are tested with the command.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import osanas
from osanas.engine.companions import Companions, Order
from osanas.errors import UsageError
from osanas.genotype.space import SearchSpace
from osanas.study.config import StudyConfig
from osanas.study.records import Holder
from tests.fakes import SMALL, TableEvaluator


def order(**config: Any) -> Order:
    options = StudyConfig(study="s", device="cpu", energy="none", workers=2, **config)
    return Order.of(options, "nonsense://nowhere/s", SearchSpace.from_dict(SMALL), threads=1)


@pytest.fixture
def process() -> subprocess.Popen[bytes]:
    """A companion that waits for its order."""
    command = [sys.executable, "-P", "-m", "osanas.engine.companion"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_it_searches_the_same_space_from_the_same_starting_points() -> None:
    space = SearchSpace.load("vovnet")
    told = json.loads(json.dumps(asdict(Order.of(StudyConfig(study="s"), None, space, threads=1))))
    read = SearchSpace.from_dict(told["space"], "space")
    assert read.to_dict() == space.to_dict()
    assert [member for _, member in read.start_from] == [member for _, member in space.start_from] != []
    assert StudyConfig.model_validate(told["config"]) == StudyConfig(study="s")


def test_without_an_order_it_ends_silently(process: subprocess.Popen[bytes]) -> None:
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 0


@pytest.mark.slow
def test_it_ends_at_once_when_the_pipe_is_closed(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(order())).encode() + b"\n")
    process.stdin.flush()
    time.sleep(1.0)  # it imports what it needs
    assert process.poll() is None
    begun = time.monotonic()
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 0
    assert time.monotonic() - begun < 5.0


@pytest.mark.slow
def test_an_error_is_told_in_a_sentence_and_once(folder: Path) -> None:
    with Companions(order(data="digits"), 1) as companions:
        companions.start(None)
        deadline = time.monotonic() + 90
        failures: list[str] = []
        while not failures and time.monotonic() < deadline:
            failures = companions.failures()
            time.sleep(0.1)
        (failure,) = failures
        assert failure.startswith("A further worker process ended: ")
        assert "nonsense" in failure
        assert failure.endswith(" The search goes on without it.")
        assert companions.failures() == []


def test_holders_of_other_processes_are_no_companions() -> None:
    companions = Companions(order(), 0)
    companions.start(None)
    assert not companions.hold([Holder(3, "elsewhere", 42)])
    assert companions.failures() == []
    companions.close()


def test_workers_beside_a_measurer_of_ones_own_are_refused(folder: Path) -> None:
    mine = TableEvaluator()
    with pytest.raises(UsageError, match="2 workers were asked for") as caught:
        osanas.search(SMALL, 2, config=StudyConfig(workers=2), measurer=mine, trainer=mine)
    assert "Leave out 'workers'" in caught.value.fix
    assert not (folder / "studies").exists()
