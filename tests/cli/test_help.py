from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command

ROOT = Path(__file__).parent.parent.parent
COMMANDS = ("search", "plan", "studies", "show", "pareto", "spaces", "profile", "doctor")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(osanas: Command, command: str) -> None:
    short = osanas(command, "-h")
    assert short == osanas(command, "--help")
    assert (short.code, short.err) == (0, "")
    assert f"Usage: osanas {command}" in short.out
    assert f"\n│ {command} " in osanas("--help").out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_explains_itself(osanas: Command, command: str) -> None:
    for line in osanas(command, "--help").out.splitlines():
        if line.startswith("│ --"):
            assert re.search(r"[a-z.:]\S* +\S", line.removeprefix("│ --")), line
            assert not re.fullmatch(r"│ --\S+( +-h)? +(<\w+>|[A-Z|,.]+)? *│", line), line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"\bosanas {command}\b", readme), f"README.md says nothing about 'osanas {command}'"


def test_no_other_commands(osanas: Command) -> None:
    shown = re.findall(r"^│ ([a-z]+) ", osanas("--help").out, re.MULTILINE)
    assert tuple(shown) == COMMANDS


def test_version(osanas: Command) -> None:
    result = osanas("--version")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(r"osanas \d+\.\d+\.\d+\S*\n", result.out)


@pytest.mark.parametrize("arguments", [("--help",), ("search", "--help"), ("--version",), ("search", "--trials", "0")])
def test_answers_without_heavy_imports(arguments: tuple[str, ...]) -> None:
    program = f"""
import sys
sys.argv = ["osanas", *{arguments!r}]
from osanas.cli.main import main
try:
    main()
except SystemExit:
    pass
heavy = {{"torch", "optuna", "pytorch_lightning", "lightning", "sqlalchemy", "torchvision", "sklearn", "numpy"}}
loaded = sorted(heavy & set(sys.modules))
sys.exit(f"loaded: {{loaded}}" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("serach",), "search"),
        (("search", "--trails", "3"), "--trials"),
        (("search", "--trials", "many"), "--trials"),
        (("show",), "STUDY"),
    ],
)
def test_mistyped(osanas: Command, arguments: tuple[str, ...], hint: str) -> None:
    result = osanas(*arguments)
    assert (result.code, result.out) == (2, "")
    assert hint in result.err
    assert "Try 'osanas" in result.err
