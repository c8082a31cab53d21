"""Leases: which worker lives and which trial it holds. A worker that dies or is cut off loses its trial to another.

Optuna's heartbeat does not cover ask-and-tell, so this is ours. Times are the database's, so that the clocks of
several machines need not agree. Whatever a worker does with its lease fails once another has cleared it away.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from osanas.errors import EnvironmentFailure, OsanasError
from osanas.machine.process import ProcessIdentity, this_process
from osanas.store.rows import evaluation_record, lock_study, row_count, update_lease
from osanas.store.store import Store
from osanas.store.tables import CandidateRow, EvaluationRow, LeaseRow
from osanas.study.records import EvaluationRecord, Holder, Lease

LEASE_S = 60.0
RENEWAL_S = 10.0
CLOSING_PATIENCE_S = 5.0
"""A lease that cannot be given back expires by itself."""


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
    """Gives the lease back, with the trial it may hold, if the database can be reached."""
    with suppress(EnvironmentFailure):
        store.write(
            lambda session: session.execute(sa.delete(LeaseRow).where(LeaseRow.id == lease.id)), CLOSING_PATIENCE_S
        )


def renew(store: Store, lease: Lease) -> bool:
    """Extends the lease. False if it is gone: it had expired, and another worker cleared it away."""

    def work(session: Session) -> bool:
        expires_at = _now(session) + LEASE_S
        statement = sa.update(LeaseRow).where(LeaseRow.id == lease.id).values(expires_at=expires_at)
        return row_count(session.execute(statement)) == 1

    return store.write(work)


def release(store: Store, lease: Lease) -> None:
    """Lets go of the trial and of the place in the study's total."""
    store.write(lambda session: update_lease(session, lease, trial=None, reserved=False))


def reserve(store: Store, lease: Lease, target: int, epochs: int) -> bool:
    """Takes a place towards the total of trained candidates, if one is left; so workers together never overshoot.

    Args:
        target: The total.
        epochs: The lowest rung: its complete evaluations count, and the unfinished ones, since somebody will go on
            with each.

    Raises:
        EnvironmentFailure: The lease is gone.
    """

    def work(session: Session) -> bool:
        lock_study(session, lease.study_id)
        _drop_dead(session, lease)
        taken = session.scalar(
            sa.select(sa.func.count())
            .select_from(EvaluationRow)
            .where(
                EvaluationRow.study_id == lease.study_id,
                EvaluationRow.epochs == epochs,
                EvaluationRow.status.in_(("complete", "running")),
            )
        )
        starting = sum(row.reserved and row.trial is None for row in _others(session, lease))
        free = (taken or 0) + starting < target
        update_lease(session, lease, trial=None, reserved=free)
        return free

    return store.write(work)


def rank(store: Store, lease: Lease) -> int:
    """How many living workers of the study began before this one."""

    def work(session: Session) -> int:
        lock_study(session, lease.study_id)
        _drop_dead(session, lease)
        return sum(row.id < lease.id for row in _others(session, lease))

    return store.write(work)


def adopt(store: Store, lease: Lease) -> EvaluationRecord | None:
    """Takes over an unfinished evaluation whose worker is gone.

    Returns:
        The evaluation that is ours now, or None if all have living holders.

    Raises:
        EnvironmentFailure: The lease is gone.
    """

    def work(session: Session) -> EvaluationRecord | None:
        lock_study(session, lease.study_id)
        _drop_dead(session, lease)
        others = _others(session, lease)
        held: set[int | None] = {row.trial for row in others if row.trial is not None}
        if any(row.reserved and row.trial is None for row in others):
            held.add(None)  # an evaluation without a trial may be that worker's: it is about to make the trial
        rows = session.execute(
            sa.select(EvaluationRow, CandidateRow)
            .join(CandidateRow, EvaluationRow.candidate_id == CandidateRow.id)
            .where(EvaluationRow.study_id == lease.study_id, EvaluationRow.status == "running")
            .order_by(EvaluationRow.id)
        )
        for row, candidate in rows:
            if row.trial not in held:
                update_lease(session, lease, trial=row.trial, reserved=True)
                return evaluation_record(row, candidate)
        return None

    return store.write(work)


def others(store: Store, lease: Lease) -> tuple[list[Holder], bool]:
    """The trials that other living workers hold, and whether one of them is about to start one."""

    def work(session: Session) -> tuple[list[Holder], bool]:
        lock_study(session, lease.study_id)
        _drop_dead(session, lease)
        rows = _others(session, lease)
        holders = [Holder(row.trial, row.host, row.pid) for row in rows if row.trial is not None]
        return holders, any(row.reserved and row.trial is None for row in rows)

    return store.write(work)


def _others(session: Session, lease: Lease) -> list[LeaseRow]:
    mine = LeaseRow.id == lease.id
    return list(session.scalars(sa.select(LeaseRow).where(LeaseRow.study_id == lease.study_id, ~mine)))


def _drop_dead(session: Session, lease: Lease) -> None:
    """Clears others' leases that expired, and at once those of processes of this machine that ended."""
    now = _now(session)
    dead = [
        row.id
        for row in _others(session, lease)
        if row.expires_at < now or ProcessIdentity(row.host, row.boot_id, row.pid, row.process_started).is_dead_here()
    ]
    session.execute(sa.delete(LeaseRow).where(LeaseRow.id.in_(dead)))
    session.expire_all()


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
        self._thread.join(CLOSING_PATIENCE_S)  # it may be waiting for a database that is away

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            try:
                alive = renew(self._store, self._lease)
            except OsanasError:
                continue  # the worker's own next transaction reports a database that stays away
            if not alive:
                self.lost.set()
                return
