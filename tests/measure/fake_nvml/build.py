"""Builds the fake library and runs scenarios against it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "fake_nvml.c"
ROOT = Path(__file__).parents[3]


def compiler() -> str | None:
    """A C compiler, if there is one and pynvml looks for a library of Linux's kind."""
    if sys.platform != "linux":
        return None
    return next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)


def build(folder: Path, *defines: str) -> Path:
    """The library, with those features."""
    path = folder / "-".join(("fake", *defines)) / "libnvidia-ml.so.1"
    path.parent.mkdir(parents=True)
    options = ["-shared", "-fPIC", "-O2", "-Wl,-soname,libnvidia-ml.so.1"]
    command = [str(compiler()), *options, *(f"-D{name}" for name in defines), "-o", str(path), str(SOURCE), "-lm"]
    subprocess.run(command, check=True)
    return path


def run_scenarios(library: Path, scenarios: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What became of each scenario, all of them in one process."""
    command = [sys.executable, "-m", "tests.measure.fake_nvml.child", str(library)]
    child = subprocess.run(command, input=json.dumps(scenarios), capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert child.returncode == 0, child.stderr
    return dict(json.loads(child.stdout))
