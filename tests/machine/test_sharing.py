from __future__ import annotations

import pytest

from osanas.machine import device
from osanas.machine.sharing import training_threads, worker_count


@pytest.mark.parametrize(
    ("processors", "asked", "kind", "workers"),
    [(1, None, "cpu", 1), (2, None, "cpu", 2), (64, None, "cpu", 4), (64, None, "cuda", 1), (2, 6, "cpu", 6)],
)
def test_workers(monkeypatch: pytest.MonkeyPatch, processors: int, asked: int | None, kind: str, workers: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(processors), raising=False)
    assert device.usable_cpus() == processors
    assert worker_count(asked, kind) == workers


@pytest.mark.parametrize(
    ("processors", "workers", "most", "threads"),
    [(2, 2, 2, 1), (2, 1, 2, 2), (64, 4, 64, 16), (64, 1, 32, 32), (2, 6, 2, 1)],
)
def test_all_trainings_together_take_a_processor_each(
    monkeypatch: pytest.MonkeyPatch, processors: int, workers: int, most: int, threads: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(processors), raising=False)
    assert training_threads(workers, most) == threads
