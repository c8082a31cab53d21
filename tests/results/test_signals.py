from __future__ import annotations

from pathlib import Path

import pytest

from osanas.results.places import storage_url
from osanas.results.signals import study_signals
from osanas.store.store import Store
from tests.fakes import Job, TableEvaluator, search

DATA = {"data": {"resolution": 8, "in_channels": 1, "num_classes": 10}, "stem_reduction": 1}


@pytest.mark.parametrize(("settings", "trials"), [(DATA, 45), ({}, 1)])
def test_signals_of_a_stored_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], trials: int
) -> None:
    monkeypatch.chdir(tmp_path)
    search(Job(str(tmp_path), trials=trials, rungs=(1, 2)), TableEvaluator(settings=settings))
    store = Store.open(storage_url("s", None))
    record = store.study("s")
    evaluations = store.evaluations(record.id)
    document = study_signals(record, evaluations)
    store.close()
    if not settings:
        assert document is None
        return
    assert document is not None
    assert document["epochs"] == 2
    full = sum(evaluation.epochs == 2 for evaluation in evaluations)
    assert full >= 8
    rows = {row["signal"]: row for row in document["signals"]}
    assert list(rows)[:2] == ["accuracy at 1", "train_loss at 1"]
    assert {row["candidates"] for row in rows.values()} == {full}
    assert rows["accuracy at 1"]["correlation"] > 0.5
    assert rows["latency_ms"]["correlation"] == rows["energy_mj"]["correlation"]  # twice the latency
