from __future__ import annotations

from pathlib import Path

import pytest

from osanas.results.study import StudyView
from tests.fakes import SMALL, Job, TableEvaluator, search


@pytest.fixture
def view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyView:
    """Four trained networks, and some that were over a limit."""
    monkeypatch.chdir(tmp_path)
    job = Job(str(tmp_path), 4, SMALL, f"sqlite:///{tmp_path}/s.db", options={"max_latency_ms": 0.6})
    return search(job, TableEvaluator())
