from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from osanas.errors import EnvironmentFailure
from osanas.machine.exclusive import TRAINING_ALONGSIDE, TrainingTurn, exclusive, lock_file

HOLDER = """
import sys
from pathlib import Path
from osanas.machine.exclusive import exclusive
with exclusive(["cpu"], folder=Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def _holder(folder: Path) -> subprocess.Popen[str]:
    """A process that measures until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_another_process_waits_and_then_gives_up(tmp_path: Path) -> None:
    process = _holder(tmp_path)
    try:
        with (
            pytest.raises(EnvironmentFailure, match="Another osanas process has been measuring on cpu") as failure,
            exclusive(["cpu"], timeout_s=0.2, folder=tmp_path),
        ):
            pytest.fail("the lock is held")
        assert str(lock_file("cpu", tmp_path)) in failure.value.fix
        assert failure.value.exit_code == 3
        with exclusive(["GPU-1"], timeout_s=0.2, folder=tmp_path):
            pass  # another device is free
    finally:
        process.kill()  # the operating system gives the lock back
        process.communicate()
    with exclusive(["cpu"], timeout_s=10, folder=tmp_path):
        pass


def test_locks_are_released_and_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with exclusive(["GPU-1", "cpu", "GPU-1"], timeout_s=0.5, folder=tmp_path):
            pass
    with (
        pytest.raises(ZeroDivisionError),
        exclusive(["cpu"], timeout_s=0.5, folder=tmp_path),
    ):
        raise ZeroDivisionError
    with exclusive(["cpu"], timeout_s=0.5, folder=tmp_path):
        pass


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_every_user_may_take_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    before = os.umask(0o077)
    try:
        with exclusive(["cpu"], timeout_s=1, folder=folder):
            pass
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o777
    assert lock_file("cpu", folder).stat().st_mode & 0o666 == 0o666


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    with (
        pytest.raises(EnvironmentFailure, match="cannot be taken") as failure,
        exclusive(["cpu"], timeout_s=0.2, folder=blocked / "locks"),
    ):
        pytest.fail("there is no such folder")
    assert "TMPDIR" in failure.value.fix


def test_names_make_safe_files(tmp_path: Path) -> None:
    assert lock_file("GPU-12/../x", tmp_path).parent == tmp_path
    assert lock_file("cpu").name == "cpu.lock"


# training beside measuring ------------------------------------------------------------------------------------------

TRAINER = """
import sys, time
from pathlib import Path
from osanas.machine.exclusive import TrainingTurn

folder, steps, step_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
settled = []
with TrainingTurn("cpu", folder=folder, settle=lambda: settled.append(1)) as turn:
    for step in range(steps):
        paused = turn.give_way(lambda: False)
        print("step", time.monotonic(), paused, len(settled), flush=True)
        time.sleep(step_s)
print("done", flush=True)
"""


def _trainer(folder: Path, steps: int, step_s: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINER, str(folder), str(steps), str(step_s)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()  # it trains
    return process


def _steps(process: subprocess.Popen[str]) -> list[tuple[float, float, int]]:
    """Moment, pause before it, settlings so far of each further step."""
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    lines = [line.split() for line in output.splitlines()]
    assert lines[-1] == ["done"]
    return [(float(moment), float(paused), int(settled)) for _, moment, paused, settled in lines[:-1]]


def test_a_training_pauses_at_its_next_step_and_goes_on(tmp_path: Path) -> None:
    process = _trainer(tmp_path, 60, 0.02)
    with exclusive(["cpu"], folder=tmp_path) as flags:
        begun = time.monotonic()
        time.sleep(0.5)
        ended = time.monotonic()
    steps = _steps(process)
    assert flags == ()
    assert not [moment for moment, _, _ in steps if begun < moment < ended]
    pauses = [paused for _, paused, _ in steps if paused > 0]
    assert len(pauses) == 1
    assert 0.4 < pauses[0] < 5
    assert steps[-1][2] == 1  # the device was let come to rest once
    assert len(steps) == 59  # no step was lost


def test_a_training_on_another_device_goes_on(tmp_path: Path) -> None:
    process = _trainer(tmp_path, 40, 0.02)
    with exclusive(["GPU-1"], folder=tmp_path) as flags:
        time.sleep(0.4)
    assert flags == ()
    assert {paused for _, paused, _ in _steps(process)} == {0.0}


def test_two_trainings_pause(tmp_path: Path) -> None:
    processes = [_trainer(tmp_path, 40, 0.02) for _ in range(2)]
    with exclusive(["cpu"], folder=tmp_path) as flags:
        begun = time.monotonic()
        time.sleep(0.3)
        ended = time.monotonic()
    assert flags == ()
    for process in processes:
        assert not [moment for moment, _, _ in _steps(process) if begun < moment < ended]
    assert len(list(tmp_path.glob("cpu.training-*.lock"))) <= 4


def test_a_training_that_does_not_reach_a_step_is_noted(tmp_path: Path) -> None:
    process = _trainer(tmp_path, 2, 1.5)
    started = time.monotonic()
    with exclusive(["cpu"], folder=tmp_path, training_patience_s=0.3) as flags:
        assert flags == (TRAINING_ALONGSIDE,)
        assert 0.25 < time.monotonic() - started < 1.2
    _steps(process)


def test_a_killed_training_is_not_waited_for(tmp_path: Path) -> None:
    process = _trainer(tmp_path, 2, 60.0)
    process.kill()
    process.communicate()
    started = time.monotonic()
    with exclusive(["cpu"], folder=tmp_path, training_patience_s=10.0) as flags:
        assert flags == ()
    assert time.monotonic() - started < 5


def test_a_killed_measurement_pauses_nobody(tmp_path: Path) -> None:
    process = _holder(tmp_path)
    process.kill()
    process.communicate()
    assert (tmp_path / "cpu.measuring").exists()  # what it left behind
    with TrainingTurn("cpu", folder=tmp_path) as turn:
        assert 0 < turn.give_way(lambda: False) < 5
        assert turn.give_way(lambda: False) == 0.0
    assert not (tmp_path / "cpu.measuring").exists()


def test_one_process_measures_and_trains_in_turn(tmp_path: Path) -> None:
    for _ in range(3):
        with exclusive(["cpu"], timeout_s=1, folder=tmp_path, training_patience_s=1.0) as flags:
            assert flags == ()
        with TrainingTurn("cpu", folder=tmp_path) as turn:
            assert turn.give_way(lambda: False) == 0.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cpu.lock", "cpu.training-0.lock"]


def test_processes_that_measure_and_train_in_turn_all_get_on(tmp_path: Path) -> None:
    """Neither a deadlock nor a starved one, and no step falls into another's measurement."""
    script = """
import sys, time
from pathlib import Path
from osanas.machine.exclusive import TrainingTurn, exclusive
for _ in range(6):
    with exclusive(["cpu"], folder=Path(sys.argv[1]), training_patience_s=20.0) as flags:
        begun = time.monotonic()
        time.sleep(0.03)
        print("measured", begun, time.monotonic(), *flags)
    with TrainingTurn("cpu", folder=Path(sys.argv[1])) as turn:
        for _ in range(10):
            turn.give_way(lambda: False)
            print("step", time.monotonic())
            time.sleep(0.005)
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    lines = [[line.split() for line in process.communicate(timeout=90)[0].splitlines()] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3
    for own, mine in enumerate(lines):
        assert len(mine) == 66
        for _, begun, ended, *flags in (line for line in mine if line[0] == "measured"):
            assert flags == []
            inside = [
                float(line[1])
                for other, theirs in enumerate(lines)
                if other != own
                for line in theirs
                if line[0] == "step" and float(begun) < float(line[1]) < float(ended)
            ]
            assert inside == []


def test_a_pause_ends_when_the_training_is_to_end(tmp_path: Path) -> None:
    asked: list[float] = []

    def should_stop() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 2

    with exclusive(["cpu"], folder=tmp_path), TrainingTurn("cpu", folder=tmp_path) as turn:
        assert turn.give_way(should_stop) < 5
    assert len(asked) > 2


def test_a_measurement_that_does_not_end_is_an_environment_failure(tmp_path: Path) -> None:
    with (
        exclusive(["cpu"], folder=tmp_path),
        TrainingTurn("cpu", folder=tmp_path, timeout_s=0.1) as turn,
        pytest.raises(EnvironmentFailure, match="has been measuring on cpu for more than 0 seconds"),
    ):
        turn.give_way(lambda: False)


def test_a_training_where_no_lock_can_be_made(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    with (
        pytest.raises(EnvironmentFailure, match="cannot be taken"),
        TrainingTurn("cpu", folder=blocked / "locks"),
    ):
        pytest.fail("there is no such folder")
