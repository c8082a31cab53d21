from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from osanas.errors import EnvironmentFailure
from osanas.measure.exclusive import exclusive, lock_file

HOLDER = """
import sys
from pathlib import Path
from osanas.measure.exclusive import exclusive
with exclusive(["cpu"], folder=Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_waits_and_then_gives_up(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
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
