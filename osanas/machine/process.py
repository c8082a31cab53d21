"""Which process this is, and whether another one of this machine still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, told apart from a later one with the same number.

    Attributes:
        host: Its machine's name.
        boot_id: ``<boot>:<namespace of process numbers>``; containers may share host name and boot, but not numbers.
        pid: Its number.
        process_started: When it started, in seconds since the boot: unlike a time of day it never shifts with the
            clock.
    """

    host: str
    boot_id: str
    pid: int
    process_started: float

    def is_dead_here(self) -> bool:
        """Whether it surely ended: it is of this host, and of an earlier boot or no longer running."""
        if self.host != socket.gethostname():
            return False
        boot, _, namespace = self.boot_id.partition(":")
        here, _, our_namespace = _boot_id().partition(":")
        if boot != here:
            return True
        if namespace != our_namespace:
            return False
        try:
            process = psutil.Process(self.pid)
            ended = process.status() == psutil.STATUS_ZOMBIE
            return ended or abs(_started(process) - self.process_started) > 1.0
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    process = psutil.Process(os.getpid())
    return ProcessIdentity(socket.gethostname(), _boot_id(), process.pid, _started(process))


def _started(process: psutil.Process) -> float:
    """Seconds from the boot to the start of a process."""
    try:
        stat = (_PROC / str(process.pid) / "stat").read_text()
        return int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):  # no Linux, or it ended just now; psutil tells which
        return process.create_time() - psutil.boot_time()


@cache
def _boot_id() -> str:
    """Linux names each boot and each namespace of process numbers; elsewhere the time of the boot stands in."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{psutil.boot_time():.0f}:"
