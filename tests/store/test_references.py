from __future__ import annotations

import pytest
import sqlalchemy as sa

from osanas.store.references import References
from osanas.store.store import Store
from osanas.store.tables import ReferenceRow
from osanas.study.config import StudyConfig
from osanas.study.records import DRIFT, StudyRecord
from tests.store.helpers import IDENTITY


def test_points_are_those_of_a_key_over_all_studies(store: Store, record: StudyRecord) -> None:
    other = store.register_study("t", IDENTITY, StudyConfig(), {})
    here, there = References(store, record.id, "m1:a"), References(store, other.id, "m1:a")
    assert here.good_ms() == []
    here.add(1.0, is_drift=False)
    there.add(1.2, is_drift=False)
    References(store, record.id, "m1:b").add(9.0, is_drift=False)
    assert here.good_ms() == there.good_ms() == [1.0, 1.2]
    with store.read() as session:
        rows = session.execute(sa.select(ReferenceRow.study_id, ReferenceRow.key_digest).order_by(ReferenceRow.id))
        assert [tuple(row) for row in rows] == [(record.id, "m1:a"), (other.id, "m1:a"), (record.id, "m1:b")]


def test_a_drift_is_kept_and_is_no_good_point(store: Store, record: StudyRecord) -> None:
    references = References(store, record.id, "m1:a")
    references.add(1.0, is_drift=False)
    references.add(1.5, is_drift=True)
    assert references.good_ms() == [1.0]
    with store.read() as session:
        assert [row.flags for row in session.scalars(sa.select(ReferenceRow))] == [[], [DRIFT]]


@pytest.mark.parametrize("flags", [[], ["noisy"], [DRIFT]])
def test_a_measurement_is_flagged_once_and_keeps_its_other_flags(
    store: Store, record: StudyRecord, flags: list[str]
) -> None:
    store.save_measurement("m1:a", {}, "n", {"latency_ms": 1.0, "flags": flags})
    references = References(store, record.id, "m1:a")
    references.flag_drift([("m1:a", "n"), ("m1:a", "unknown")])
    references.flag_drift([("m1:a", "n")])
    found = store.measurements("m1:a", ["n", "unknown"])
    assert list(found) == ["n"]
    assert found["n"].flags == (*(flag for flag in flags if flag != DRIFT), DRIFT)
    assert found["n"].result["latency_ms"] == 1.0
