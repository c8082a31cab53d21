"""How the processors of this machine are shared between trainings that run at once."""

from __future__ import annotations

from osanas.machine.device import usable_cpus

MOST_WORKERS = 4
"""Beyond so many, processes wait for each other's measurements and for memory more than they gain."""


def worker_count(asked: int | None, kind: str) -> int:
    """How many processes train at once on this machine.

    Args:
        asked: By the user; None leaves the choice: one for each processor up to ``MOST_WORKERS``, but one on a GPU.
        kind: ``cpu`` or ``cuda``.
    """
    if asked is not None:
        return asked
    return min(usable_cpus(), MOST_WORKERS) if kind == "cpu" else 1


def training_threads(workers: int, most: int) -> int:
    """Threads of each training, so that all of them together have a processor each.

    Args:
        workers: Processes that train at once.
        most: Threads that the process may use at all.
    """
    return max(1, min(most, usable_cpus() // workers))
