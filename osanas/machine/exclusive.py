"""One measurement at a time on a device, over all osanas processes and users of a machine; training pauses meanwhile.

Three kinds of files lie beside each other for a device, and none of them needs cleaning up after a crash:

- ``NAME.lock`` is held by whoever measures.
- ``NAME.measuring`` exists meanwhile: a look at it is all that a training step costs. One that a killed process left
  behind is removed by the first training that can take the lock.
- ``NAME.training-K.lock`` is held by each process that trains, and given up at a step boundary while that file exists.

A measurement first announces itself and then looks for trainings; a training first takes its place and then looks for
the announcement. So at least one of them sees the other, and neither holds what the other waits for without a bound.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from osanas.errors import EnvironmentFailure

DEFAULT_TIMEOUT_S = 600.0
"""Longer than any queue of measurements on one device should be."""

TRAINING_PATIENCE_S = 30.0
"""How long a measurement waits for the trainings on its device to reach a step boundary."""

TRAINING_ALONGSIDE = "training_alongside"
"""Flag of a measurement during which another osanas process went on training on the device."""

CPU = "cpu"
"""Name of the processor in a lock; a GPU's is its UUID."""

_STOP_POLL_S = 0.2
"""How often a paused training asks whether it is to end."""


def lock_file(name: str, folder: Path | None = None) -> Path:
    """The lock file of a device.

    Args:
        name: ``cpu`` or a GPU's UUID.
        folder: Where lock files lie; None is ``osanas-locks`` in the system's temporary folder.
    """
    root = Path(tempfile.gettempdir()) / "osanas-locks" if folder is None else folder
    return root / (re.sub(r"[^A-Za-z0-9._-]+", "_", name) + ".lock")


@contextmanager
def exclusive(
    names: Iterable[str],
    *,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    folder: Path | None = None,
    training_patience_s: float = TRAINING_PATIENCE_S,
) -> Iterator[tuple[str, ...]]:
    """Holds devices against every other osanas process of this machine, waiting for those that hold them.

    Trainings on the devices pause at their next step and go on afterwards. The operating system drops a lock when its
    holder dies. Locks are taken in the order of their names, so two processes that need the same devices cannot wait
    for each other.

    Args:
        names: ``cpu`` and UUIDs of GPUs; repetitions count once.
        timeout_s: How long to wait for each, in seconds.
        folder: See ``lock_file``.
        training_patience_s: How long to wait for all trainings to pause, in seconds.

    Yields:
        Flags of what is measured meanwhile: ``TRAINING_ALONGSIDE`` if a training did not pause in time.

    Raises:
        EnvironmentFailure: Another process holds one for longer, or the lock files cannot be made.
    """
    files = [(name, lock_file(name, folder)) for name in sorted(set(names))]
    with ExitStack() as stack:
        for name, path in files:
            _make_folder(path)
            try:
                stack.callback(_lock(path, timeout_s).release)
            except Timeout:
                raise _busy(name, path, timeout_s) from None
        for _, path in files:  # the trainings there pause while these files exist
            announcement = _announcement(path)
            with _lock_errors(announcement):
                announcement.touch(mode=0o666)
            stack.callback(announcement.unlink, missing_ok=True)
        deadline = time.monotonic() + training_patience_s
        paused = [_trainings_paused(path, deadline) for _, path in files]
        yield () if all(paused) else (TRAINING_ALONGSIDE,)


class TrainingTurn:
    """A training's place on a device: a context manager whose ``give_way`` is called at every step boundary.

    Args:
        name: ``cpu`` or the GPU's UUID.
        folder: See ``lock_file``.
        settle: Called before a pause, to finish what the device was given.
        timeout_s: The longest pause, in seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Path | None = None,
        settle: Callable[[], None] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._name = name
        self._path = lock_file(name, folder)
        self._measuring = os.fspath(_announcement(self._path))
        self._settle = settle
        self._timeout_s = timeout_s
        self._place: FileLock | None = None

    def __enter__(self) -> Self:
        self._take_place()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave_place()

    def give_way(self, should_stop: Callable[[], bool]) -> float:
        """Pauses while another process measures on the device.

        Costs some microseconds where nobody does.

        Args:
            should_stop: Asked during a pause; it ends when true.

        Returns:
            Seconds paused.

        Raises:
            EnvironmentFailure: The measurement does not end, or the lock files cannot be used.
        """
        if not os.path.exists(self._measuring):  # noqa: PTH110 - a Path here would cost more than the look itself
            return 0.0
        started = time.perf_counter()
        if self._settle is not None:
            self._settle()
        while os.path.exists(self._measuring) and not should_stop():  # noqa: PTH110
            self._leave_place()
            self._wait(should_stop)
            self._take_place()
        return time.perf_counter() - started

    def _wait(self, should_stop: Callable[[], bool]) -> None:
        """Waits until nobody measures, by taking the lock for a moment."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                lock = _lock(self._path, _STOP_POLL_S)
            except Timeout:
                if should_stop():
                    return
                if time.monotonic() > deadline:
                    raise _busy(self._name, self._path, self._timeout_s) from None
                continue
            try:  # nobody measures now, so whoever has left an announcement was killed
                _announcement(self._path).unlink(missing_ok=True)
            finally:
                lock.release()
            return

    def _take_place(self) -> None:
        """Takes the first free place: their number stays that of the trainings at once."""
        _make_folder(self._path)
        for number in itertools.count():
            with suppress(Timeout):  # another training's, or a measurement is just looking at it
                self._place = _lock(self._path.with_name(f"{self._path.stem}.training-{number}.lock"), 0)
                return

    def _leave_place(self) -> None:
        if self._place is not None:
            self._place.release()
            self._place = None


def _lock(path: Path, timeout_s: float) -> FileLock:
    """A lock that is held now.

    Raises:
        Timeout: Another holds it for longer.
        EnvironmentFailure: The file cannot be used.
    """
    # readable and writable for all: the next user of this machine opens the same file
    lock = FileLock(path, timeout=timeout_s, mode=0o666)
    with _lock_errors(path):
        lock.acquire()
    return lock


def _announcement(path: Path) -> Path:
    return path.with_suffix(".measuring")


def _trainings_paused(path: Path, deadline: float) -> bool:
    """Whether every training on a device has given up its place by the deadline (of the monotonic clock)."""
    for place in path.parent.glob(f"{path.stem}.training-*.lock"):
        try:
            _lock(place, max(0.0, deadline - time.monotonic())).release()
        except Timeout:
            return False
    return True


@contextmanager
def _lock_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except Timeout:  # an OSError too
        raise
    except OSError as error:
        raise EnvironmentFailure(
            f"The lock {path} cannot be taken: {error.strerror or error}.",
            "Make that folder writable for all users, or set TMPDIR to a folder that is.",
        ) from None


def _busy(name: str, path: Path, timeout_s: float) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"Another osanas process has been measuring on {name} for more than {timeout_s:.0f} seconds.",
        f"Wait for it to end and run the same command again; the lock is {path}.",
    )


def _make_folder(path: Path) -> None:
    """Makes the folder of a lock, writable for everybody.

    It is not sticky on purpose: in a sticky folder Linux (fs.protected_regular) refuses to open another user's file
    for creation, which is how a lock is opened.
    """
    folder = path.parent
    if folder.is_dir():
        return
    with _lock_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # made by another user at the same moment, who sets the mode
            folder.chmod(0o777)
