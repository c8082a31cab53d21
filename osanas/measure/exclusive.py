"""One measurement at a time on a device, over all osanas processes and users of a machine."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from osanas.errors import EnvironmentFailure

DEFAULT_TIMEOUT_S = 600.0
"""Longer than any queue of measurements on one device should be."""

CPU = "cpu"
"""Name of the processor in a lock; a GPU's is its UUID."""


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
    names: Iterable[str], *, timeout_s: float = DEFAULT_TIMEOUT_S, folder: Path | None = None
) -> Iterator[None]:
    """Holds devices against every other osanas process of this machine, waiting for those that hold them.

    The operating system drops a lock when its holder dies. Locks are taken in the order of their names, so two
    processes that need the same devices cannot wait for each other.

    Args:
        names: ``cpu`` and UUIDs of GPUs; repetitions count once.
        timeout_s: How long to wait for each, in seconds.
        folder: See ``lock_file``.

    Raises:
        EnvironmentFailure: Another process holds one for longer, or the lock files cannot be made.
    """
    with ExitStack() as stack:
        for name in sorted(set(names)):
            stack.enter_context(_held(name, lock_file(name, folder), timeout_s))
        yield


@contextmanager
def _held(name: str, path: Path, timeout_s: float) -> Iterator[None]:
    try:
        _make_folder(path.parent)
        # readable and writable for all: the next user of this machine opens the same file
        lock = FileLock(path, timeout=timeout_s, mode=0o666)
        lock.acquire()
    except Timeout:
        raise EnvironmentFailure(
            f"Another osanas process has been measuring on {name} for more than {timeout_s:.0f} seconds.",
            f"Wait for it to end and run the same command again; the lock is {path}.",
        ) from None
    except OSError as error:
        raise EnvironmentFailure(
            f"The lock {path} cannot be taken: {error.strerror or error}.",
            "Make that folder writable for all users, or set TMPDIR to a folder that is.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _make_folder(folder: Path) -> None:
    """Makes the folder writable for everybody.

    It is not sticky on purpose: in a sticky folder Linux (fs.protected_regular) refuses to open another user's file
    for creation, which is how a lock is opened.
    """
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(PermissionError):  # made by another user at the same moment, who sets the mode
        folder.chmod(0o777)
