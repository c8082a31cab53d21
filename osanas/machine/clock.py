"""Time as a parameter, so that the measuring loops can be tested on a simulated device."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock and a way to wait on it."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits."""
        ...


class SystemClock:
    """The host's performance counter."""

    def now_ns(self) -> int:
        """Nanoseconds of ``time.perf_counter_ns``."""
        return time.perf_counter_ns()

    def sleep(self, seconds: float) -> None:
        """Sleeps, doing nothing."""
        time.sleep(seconds)


def now_s(clock: Clock) -> float:
    """The clock's reading in seconds."""
    return clock.now_ns() / 1e9
