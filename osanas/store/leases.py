"""Leases: which worker lives and which trial it holds. A worker that dies or is cut off loses its trial to another.

Optuna's heartbeat does not cover ask-and-tell, so this is ours. Times are the database's, so that the clocks of
several machines need not agree.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from osanas.errors import OsanasError
from osanas.store.process import ProcessIdentity, this_process
from osanas.store.records import EvaluationRecord, Holder, Lease
from osanas.store.store import Store, free, lock_study
from osanas.store.tables import EvaluationRow, LeaseRow

LEASE_S = 60.0
RENEWAL_S = 10.0


def open_lease(store: Store, study_id: int) -> Lease:
    """Registers this process as a worker of a study."""
    me = this_process()

    def work(session: Session) -> Lease:
        row = LeaseRow(
            study_id=study_id,
            host=me.host,
            boot_id=me.boot_id,
            pid=me.pid,
            process_started=me.process_started,
            expires_at=_now(session) + LEASE_S,
            trial=None,
        )
        session.add(row)
        session.flush()
        return Lease(row.id, study_id)

    return store.write(work)


def close_lease(store: Store, lease: Lease) -> None:
    """Gives the lease back, with the trial it may hold."""
    store.write(lambda session: session.execute(sa.delete(LeaseRow).where(LeaseRow.id == lease.id)))


def renew(store: Store, lease: Lease) -> bool:
    """Extends the lease. False if it is gone: it had expired, and another worker cleared it away."""

    def work(session: Session) -> bool:
        row = session.get(LeaseRow, lease.id)
        if row is None:
            return False
        row.expires_at = _now(session) + LEASE_S
        return True

    return store.write(work)


def release(store: Store, lease: Lease) -> None:
    """Lets go of the trial and of the place in the study's total."""
    store.write(lambda session: free(session, lease.id))


def reserve(store: Store, lease: Lease, target: int, epochs: int) -> bool:
    """Takes a place towards the total of trained candidates, if one is left; so workers together never overshoot.

    Args:
        target: The total.
        epochs: The lowest rung, whose complete evaluations count.
    """

    def work(session: Session) -> bool:
        lock_study(session, lease.study_id)
        _drop_dead(session, lease.study_id)
        complete = session.scalar(
            sa.select(sa.func.count())
            .select_from(EvaluationRow)
            .where(
                EvaluationRow.study_id == lease.study_id,
                EvaluationRow.epochs == epochs,
                EvaluationRow.status == "complete",
            )
        )
        reserved = session.scalar(
            sa.select(sa.func.count())
            .select_from(LeaseRow)
            .where(LeaseRow.study_id == lease.study_id, LeaseRow.reserved, LeaseRow.id != lease.id)
        )
        if (complete or 0) + (reserved or 0) >= target:
            return False
        session.execute(sa.update(LeaseRow).where(LeaseRow.id == lease.id).values(reserved=True))
        return True

    return store.write(work)


def adopt(store: Store, lease: Lease, evaluations: list[EvaluationRecord]) -> EvaluationRecord | None:
    """Takes over an unfinished evaluation whose worker is gone.

    Args:
        evaluations: Unfinished ones, as read before.

    Returns:
        The evaluation that is ours now, or None if all have living holders.
    """
    wanted = {evaluation.id: evaluation for evaluation in evaluations}

    def work(session: Session) -> EvaluationRecord | None:
        lock_study(session, lease.study_id)
        _drop_dead(session, lease.study_id)
        leases = list(session.scalars(sa.select(LeaseRow).where(LeaseRow.study_id == lease.study_id)))
        held = {row.trial for row in leases}
        others_starting = any(row.reserved and row.trial is None and row.id != lease.id for row in leases)
        rows = session.scalars(
            sa.select(EvaluationRow)
            .where(EvaluationRow.id.in_(wanted), EvaluationRow.status == "running")
            .order_by(EvaluationRow.id)
        )
        for row in rows:
            if row.trial in held and row.trial is not None:
                continue
            if row.trial is None and others_starting:
                continue  # its claimer may be about to make the trial
            session.execute(sa.update(LeaseRow).where(LeaseRow.id == lease.id).values(trial=row.trial, reserved=True))
            return wanted[row.id]
        return None

    return store.write(work)


def others(store: Store, lease: Lease) -> tuple[list[Holder], bool]:
    """The trials that other living workers hold, and whether one of them is about to start one."""

    def work(session: Session) -> tuple[list[Holder], bool]:
        _drop_dead(session, lease.study_id)
        rows = list(
            session.scalars(sa.select(LeaseRow).where(LeaseRow.study_id == lease.study_id, LeaseRow.id != lease.id))
        )
        holders = [Holder(row.trial, row.host, row.pid) for row in rows if row.trial is not None]
        return holders, any(row.reserved and row.trial is None for row in rows)

    return store.write(work)


def _drop_dead(session: Session, study_id: int) -> None:
    """Clears leases that expired, and at once those of processes of this machine that ended."""
    now = _now(session)
    for row in session.scalars(sa.select(LeaseRow).where(LeaseRow.study_id == study_id)):
        process = ProcessIdentity(row.host, row.boot_id, row.pid, row.process_started)
        if row.expires_at < now or process.is_dead_here():
            session.delete(row)
    session.flush()


def _now(session: Session) -> float:
    """The database's clock, in seconds since 1970."""
    value = session.scalar(sa.select(sa.func.current_timestamp()))
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class LeaseKeeper:
    """Renews a lease in a thread for as long as the worker lives.

    Attributes:
        lost: Set when the lease is gone; the trial then belongs to another worker.
    """

    def __init__(self, store: Store, lease: Lease, period_s: float = RENEWAL_S) -> None:
        self.lost = threading.Event()
        self._store, self._lease, self._period_s = store, lease, period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="osanas-lease", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            try:
                alive = renew(self._store, self._lease)
            except OsanasError:
                continue  # the worker's own next transaction reports a database that stays away
            if not alive:
                self.lost.set()
                return
