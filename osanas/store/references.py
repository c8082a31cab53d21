"""The series of a study's reference network, and what a drift in it says about measurements."""

from __future__ import annotations

import time
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from osanas.store.store import Store
from osanas.store.tables import MeasurementRow, ReferenceRow
from osanas.study.records import ReferencePoint


def add_reference(store: Store, study_id: int, key_digest: str, latency_ms: float, flags: Iterable[str] = ()) -> None:
    """Adds a point to the series."""
    row = {
        "study_id": study_id,
        "key_digest": key_digest,
        "latency_ms": latency_ms,
        "flags": list(flags),
        "measured_at": time.time(),
    }
    store.write(lambda session: session.execute(sa.insert(ReferenceRow).values(**row)))


def references(store: Store, *, study_id: int | None = None, key_digest: str | None = None) -> list[ReferencePoint]:
    """The points of a study or of a measurement key over all studies, or of both, oldest first."""
    wanted = sa.select(ReferenceRow).order_by(ReferenceRow.id)
    if study_id is not None:
        wanted = wanted.where(ReferenceRow.study_id == study_id)
    if key_digest is not None:
        wanted = wanted.where(ReferenceRow.key_digest == key_digest)
    with store.read() as session:
        rows = session.scalars(wanted)
        return [ReferencePoint(row.latency_ms, tuple(row.flags), row.measured_at) for row in rows]


def flag_measurements(store: Store, measured: Iterable[tuple[str, str]], flag: str) -> None:
    """Adds a flag to stored measurements.

    Args:
        measured: Digest of the key and network of each.
        flag: A word.
    """
    pairs = list(measured)

    def work(session: Session) -> None:
        for key_digest, network in pairs:
            row = session.scalar(
                sa.select(MeasurementRow).where(
                    MeasurementRow.key_digest == key_digest, MeasurementRow.network == network
                )
            )
            if row is not None and flag not in row.result.get("flags", ()):
                row.result = {**row.result, "flags": [*row.result.get("flags", ()), flag]}

    store.write(work)
