from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from osanas.errors import MissingExtraError
from osanas.results.documents import pareto_document
from osanas.results.study import StudyView
from osanas.store.references import References
from osanas.store.store import Store
from osanas.study.records import DRIFT


def test_drift_is_told_of_the_figures_shown(view: StudyView, tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/s.db")
    member = view.pareto()[0]
    assert view.drifted(view.candidates()) == []
    references = References(store, view.record.id, "table")
    references.flag_drift([("table", member.digest), ("table", "a1:unknown")])
    references.flag_drift([("table", member.digest)])
    found = store.measurement_record("table", member.digest)
    assert found is not None
    assert found.flags == (DRIFT,)
    assert found.result["latency_ms"] == member.latency_ms
    assert member.trial in view.drifted(view.candidates())
    assert pareto_document(view)["drifted"] == [member.trial]
    assert view.drifted([replace(member, measurement_key="other")]) == []


def test_a_data_frame_needs_pandas(view: StudyView, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas", reason="the pandas extra is not installed")
    frame = view.to_dataframe()
    assert list(frame["trial"]) == [candidate.trial for candidate in view.candidates()]
    assert list(frame.columns) == [
        "trial", "digest", "status", "epochs", "accuracy", "latency_ms", "energy_mj", "energy_source", "parameters",
        "multiply_adds", "memory_access_elements", "reason", "training_seconds", "architecture", "promoted_from",
        "measurement_key", "repeat",
    ]  # fmt: skip
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'osanas\[pandas\]'"):
        view.to_dataframe()


def test_a_view_does_not_change(view: StudyView) -> None:
    assert replace(view.record) == view.record
    assert view.front() == view.front()
