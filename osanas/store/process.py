"""Which process this is, and whether another one of this machine still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, told apart from a later one with the same number.

    Attributes:
        process_started: When it started, in seconds since 1970 (psutil).
    """

    host: str
    boot_id: str
    pid: int
    process_started: float

    def is_dead_here(self) -> bool:
        """Whether it surely ended: it is of this host, and of an earlier boot or no longer running."""
        if self.host != socket.gethostname():
            return False
        if self.boot_id != _boot_id():
            return True
        try:
            return abs(psutil.Process(self.pid).create_time() - self.process_started) > 1.0 or _is_zombie(self.pid)
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


def _is_zombie(pid: int) -> bool:
    return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    pid = os.getpid()
    return ProcessIdentity(socket.gethostname(), _boot_id(), pid, psutil.Process(pid).create_time())


@cache
def _boot_id() -> str:
    """Linux names each boot; elsewhere its time stands in."""
    path = Path("/proc/sys/kernel/random/boot_id")
    try:
        return path.read_text().strip()
    except OSError:
        return f"{psutil.boot_time():.0f}"
