"""README: its two commands, and nothing left to fill in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_no_placeholder_is_left() -> None:
    assert not re.findall(r"^[A-Z_]{4,}$", README, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "needed"), [("search", "osanas search --space vovnet --trials 200"), ("tests", "pytest")]
)
def test_the_two_commands_can_be_read_out(name: str, needed: str) -> None:
    command = subprocess.run(
        [sys.executable, ROOT / ".ci" / "readme_command.py", name], capture_output=True, text=True, check=True
    ).stdout
    assert command.startswith("pip install ")
    assert needed in command


def test_an_unknown_command_is_an_error() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "readme_command.py", "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no command marked 'nothing'" in done.stderr


def test_every_file_that_readme_names_is_there() -> None:
    named = set(re.findall(r"`?((?:search_spaces|studies|benchmarks|osanas)/[\w/]+\.(?:py|yaml))`?", README))
    assert len(named) >= 4
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
