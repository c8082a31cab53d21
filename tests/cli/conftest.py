"""The command in this process and in processes of its own, in a scratch folder; one study of real networks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from osanas.cli.main import main
from tests.fakes import FEW, SMALL, TableEvaluator

SPACES = {"small.yaml": SMALL, "few.yaml": FEW}

CHATTER = ("Lightning", "lightning", "Optuna", "optuna", "Warning", "warn", "Tip", "tip:", "GPU available", "Traceback")
"""What libraries are known to print, and what no user should see."""

REAL = (
    *("search", "--space", "tiny", "--rungs", "1", "--sampler", "tpe", "--seed", "10"),
    *("--data", "digits", "--train-samples", "100", "--workers", "1"),
    *("--threads", "1", "--device", "cpu", "--energy", "estimated"),
)
"""A search over the smallest networks; with this seed the second of them is better and cheaper than the first."""


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document that it should be, without values that are not JSON's."""

        def refuse(constant: str) -> None:
            raise AssertionError(constant)

        return json.loads(self.out, parse_constant=refuse)


Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of every test, with two small spaces in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name, document in SPACES.items():
        (tmp_path / name).write_text(yaml.safe_dump(document), encoding="utf-8")
    return tmp_path


@pytest.fixture
def osanas(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in this process: ``osanas("search", "--trials", "0")``."""

    def command(*arguments: str) -> Result:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["osanas", *arguments])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = cast(int, end.code or 0)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return command


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> TableEvaluator:
    """Answers for networks in place of measuring and training, in this process."""
    evaluator = TableEvaluator()
    monkeypatch.setattr("osanas.evaluation.network.network_evaluators", lambda _config: (evaluator, evaluator))
    return evaluator


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes standard output a terminal of so many columns."""

    def widen(columns: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))

    return widen


def start(*arguments: str, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    environment = {**os.environ, "TERM": "xterm-256color"}
    return subprocess.Popen(
        [sys.executable, "-m", "osanas.cli.main", *arguments], cwd=cwd, env=environment, text=True, **options
    )


def finish(process: subprocess.Popen[str]) -> Result:
    """Waits for its end."""
    with process:
        out, err = process.communicate(timeout=120)
    return Result(process.returncode, out, err)


@dataclass(frozen=True)
class Searched:
    """A study of two real networks and what the search printed."""

    folder: Path
    result: Result

    def copy_to(self, folder: Path) -> None:
        """Puts the study into a test's own folder."""
        shutil.copytree(self.folder / "studies", folder / "studies")


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """Searches once for all tests."""
    scratch = tmp_path_factory.mktemp("searched")
    return Searched(scratch, finish(start(*REAL, "--trials", "2", cwd=scratch)))


def assert_explained(result: Result, code: int, problem: str, fix: str) -> None:
    """One line says what is wrong and one what to do, and nothing else is said."""
    assert result.code == code, result
    lines = result.err.splitlines()
    assert len(lines) == 2, result.err
    assert lines[0].startswith("error: "), lines
    assert problem in lines[0], lines
    assert lines[1].startswith("  "), lines
    assert not lines[1].startswith("   "), lines
    assert fix in lines[1], lines
    assert result.out == ""
