"""The series of a study's reference network, and what a drift in it says about measurements."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from osanas.store.store import Store
from osanas.store.tables import MeasurementRow, ReferenceRow
from osanas.study.records import DRIFT


@dataclass(frozen=True)
class References:
    """Latencies of the reference network under one measurement key, over all studies of a database."""

    store: Store
    study_id: int
    key_digest: str

    def good_ms(self) -> list[float]:
        """The points that were no drift, in milliseconds, oldest first."""
        wanted = sa.select(ReferenceRow).where(ReferenceRow.key_digest == self.key_digest).order_by(ReferenceRow.id)
        with self.store.read() as session:
            return [row.latency_ms for row in session.scalars(wanted) if DRIFT not in row.flags]

    def add(self, latency_ms: float, *, is_drift: bool) -> None:
        """Adds a point."""
        row = {
            "study_id": self.study_id,
            "key_digest": self.key_digest,
            "latency_ms": latency_ms,
            "flags": [DRIFT] if is_drift else [],
            "measured_at": time.time(),
        }
        self.store.write(lambda session: session.execute(sa.insert(ReferenceRow).values(**row)))

    def flag_drift(self, measured: Iterable[tuple[str, str]]) -> None:
        """Flags stored measurements as taken during a drift.

        Args:
            measured: Digest of the key and network of each.
        """
        pairs = list(measured)

        def work(session: Session) -> None:
            for key_digest, network in pairs:
                row = session.scalar(
                    sa.select(MeasurementRow).where(
                        MeasurementRow.key_digest == key_digest, MeasurementRow.network == network
                    )
                )
                if row is not None and DRIFT not in row.result.get("flags", ()):
                    row.result = {**row.result, "flags": [*row.result.get("flags", ()), DRIFT]}

        self.store.write(work)
