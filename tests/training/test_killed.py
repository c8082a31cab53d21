"""A training in a process of its own that is killed, and one that is interrupted from the keyboard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from osanas.study.recipe import Recipe
from osanas.training.trainer import train
from tests.training.helpers import SmallNet, small_task

ROOT = Path(__file__).parent.parent.parent

PROGRAM = """
import sys
from pathlib import Path
import pytest
import torch
from osanas.study.recipe import Recipe
from osanas.training.trainer import train
from tests.training.helpers import SmallNet, small_task
torch.set_num_threads(1)
try:
    train(SmallNet(), small_task(), Recipe(batch_size=30), epochs=100000, seed=0, device=torch.device("cpu"),
          checkpoint=Path(sys.argv[1]), checkpoint_interval_s=0.0,
          on_epoch=lambda point: print(point.epoch, flush=True))
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(130)
"""


def start(checkpoint: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(checkpoint)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_epoch(process: subprocess.Popen[str], epoch: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= epoch:
            return
    raise AssertionError(process.stderr.read() if process.stderr else "")


def assert_resumes_exactly(checkpoint: Path) -> None:
    done = len(torch.load(checkpoint, weights_only=True)["curve"])
    models = SmallNet(seed=3), SmallNet()
    results = [
        train(
            model,
            small_task(),
            Recipe(batch_size=30),
            epochs=done + 2,
            seed=0,
            device=torch.device("cpu"),
            checkpoint=path,
        )
        for model, path in zip(models, (checkpoint, None), strict=True)
    ]
    assert results[0].notes == ()
    curves = [[replace(point, seconds=0.0) for point in result.curve] for result in results]
    assert curves[0] == curves[1]
    for name, tensor in models[0].state_dict().items():
        assert torch.equal(tensor, models[1].state_dict()[name]), name


@pytest.mark.slow
def test_killed(tmp_path: Path) -> None:
    with start(tmp_path / "a") as process:
        wait_for_epoch(process, 3)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert_resumes_exactly(tmp_path / "a")


@pytest.mark.slow
def test_interrupted_from_the_keyboard(tmp_path: Path) -> None:
    with start(tmp_path / "a") as process:
        wait_for_epoch(process, 2)
        started = time.perf_counter()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        seconds = time.perf_counter() - started
    assert process.returncode == 130
    assert out.splitlines()[-1] == "interrupted"
    assert err == ""
    assert seconds < 20
    assert_resumes_exactly(tmp_path / "a")
