"""A worker's place in a study: which worker lives and which trial it holds.

Optuna's heartbeat does not cover ask-and-tell, so this is ours. Times are the database's, so that the clocks of
several machines need not agree.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from osanas.errors import EnvironmentFailure, OsanasError
from osanas.genotype.architecture import Architecture
from osanas.machine.process import ProcessIdentity, this_process
from osanas.store.rows import MEASURED, lock_study, lower_rung, row_count
from osanas.store.store import Store
from osanas.store.tables import CandidateRow, DuplicateRow, EvaluationRow, LeaseRow
from osanas.study.records import Candidate, Holder, Others, Outcome


@dataclass(frozen=True)
class Pace:
    """What a worker does again and again, and how long it waits, in seconds.

    Attributes:
        lease_s: After which a lease that is not renewed expires.
        renewal_s: Between two renewals.
        closing_s: For which giving a lease back is tried; one that cannot be given back expires by itself.
        poll_s: Between two looks at what other workers do, while there is nothing else to do.
        database_s: For which a transaction is tried again while the database is away or locked.
    """

    lease_s: float = 60.0
    renewal_s: float = 10.0
    closing_s: float = 5.0
    poll_s: float = 2.0
    database_s: float = 60.0


class Lease:
    """This process as a worker of a study.

    What a method makes of a lease does not depend on its state before. Once its row is gone, whatever would change
    something raises ``EnvironmentFailure``.

    | state    | reserved | trial | holds                            | comes by                                     |
    |----------|----------|-------|----------------------------------|----------------------------------------------|
    | idle     | no       | none  | nothing                          | ``look``, ``finish``, a ``reserve`` in vain  |
    | starting | yes      | none  | a place in the total, or an      | ``reserve``; ``claim``, ``reopen`` or        |
    |          |          |       | evaluation without a trial yet   | ``adopt`` without a trial                    |
    | holding  | yes      | one   | the evaluation of that trial     | ``claim``, ``reopen`` or ``adopt`` with one, |
    |          |          |       |                                  | ``assign_trial``                             |
    | gone     | no row   |       | nothing: another cleared it away | expiry, or the end of its process            |

    Attributes:
        id: Of its row.
        study_id: Of the study's row.
        lost: Set when the lease is gone; the trial then belongs to another worker.
    """

    def __init__(self, store: Store, study_id: int, lease_id: int, pace: Pace) -> None:
        self.id = lease_id
        self.study_id = study_id
        self.lost = threading.Event()
        self._store = store
        self._pace = pace

    # its life -----------------------------------------------------------------------------------------------------

    @classmethod
    @contextmanager
    def open(cls, store: Store, study_id: int, pace: Pace) -> Iterator[Lease]:
        """Registers this process, renews the lease in a thread meanwhile, and gives it back with what it may hold."""
        lease = cls(store, study_id, store.write(lambda session: _insert(session, study_id, pace)), pace)
        stop = threading.Event()
        thread = threading.Thread(target=lease._keep, args=(stop,), name="osanas-lease", daemon=True)
        thread.start()
        try:
            yield lease
        finally:
            stop.set()
            thread.join(pace.closing_s)  # it may be waiting for a database that is away
            with suppress(EnvironmentFailure):
                store.write(
                    lambda session: session.execute(sa.delete(LeaseRow).where(LeaseRow.id == lease.id)), pace.closing_s
                )

    def _keep(self, stop: threading.Event) -> None:
        while not stop.wait(self._pace.renewal_s):
            try:
                alive = self.renew()
            except OsanasError:
                continue  # the worker's own next transaction reports a database that stays away
            if not alive:
                self.lost.set()
                return

    def renew(self) -> bool:
        """Extends the lease. False if it is gone."""

        def work(session: Session) -> bool:
            expires_at = _now(session) + self._pace.lease_s
            statement = sa.update(LeaseRow).where(LeaseRow.id == self.id).values(expires_at=expires_at)
            return row_count(session.execute(statement)) == 1

        return self._store.write(work)

    # the other workers --------------------------------------------------------------------------------------------

    def look(self) -> Others:
        """Looks at the other workers, clears away the dead ones, and is idle afterwards."""

        def work(session: Session) -> Others:
            self._enter(session)
            self._set(session, trial=None, reserved=False)
            rows = self._others(session)
            return Others(
                holders=tuple(Holder(row.trial, row.host, row.pid) for row in rows if row.trial is not None),
                starting=sum(row.reserved and row.trial is None for row in rows),
                older=sum(row.id < self.id for row in rows),
            )

        return self._store.write(work)

    def reserve(self, target: int, epochs: int) -> bool:
        """Takes a place towards the total of trained candidates, if one is left; so workers together never overshoot.

        Args:
            target: The total.
            epochs: The lowest rung: its complete evaluations count, and the unfinished ones, since somebody will go on
                with each.
        """

        def work(session: Session) -> bool:
            self._enter(session)
            taken = session.scalar(
                sa.select(sa.func.count())
                .select_from(EvaluationRow)
                .where(
                    EvaluationRow.study_id == self.study_id,
                    EvaluationRow.epochs == epochs,
                    EvaluationRow.repeat == 0,
                    EvaluationRow.status.in_(("complete", "running")),
                )
            )
            starting = sum(row.reserved and row.trial is None for row in self._others(session))
            free = (taken or 0) + starting < target
            self._set(session, trial=None, reserved=free)
            return free

        return self._store.write(work)

    # evaluations --------------------------------------------------------------------------------------------------

    def claim(
        self, architecture: Architecture, epochs: int, trial: int | None, repeat: int = 0
    ) -> tuple[Candidate, bool]:
        """Claims the evaluation of a network at a fidelity, if nobody has.

        Of a network that was trained to a lower rung, the new evaluation has that one's costs; a repeat has those of
        the training that it repeats.

        Args:
            architecture: The network, in canonical form.
            epochs: The rung.
            trial: Optuna's trial that asks for it; None if there is none yet.
            repeat: 0 for the candidate's own training.

        Returns:
            The evaluation, and whether it is ours to do.
        """

        def work(session: Session) -> tuple[Candidate, bool]:
            lock_study(session, self.study_id)
            candidate = session.scalar(
                sa.select(CandidateRow).where(
                    CandidateRow.study_id == self.study_id, CandidateRow.digest == architecture.digest
                )
            )
            if candidate is None:
                candidate = CandidateRow(
                    study_id=self.study_id, digest=architecture.digest, architecture=architecture.to_dict()
                )
                session.add(candidate)
                session.flush()
            rungs = self._store.rungs_of(session, candidate.id)
            found = next((one for one in rungs if (one.epochs, one.repeat) == (epochs, repeat)), None)
            if found is not None:
                ours = trial is not None and found.trial == trial and found.status == "running"
                return found, ours  # ours if the connection was lost after the claim was stored
            row = EvaluationRow(
                study_id=self.study_id,
                candidate_id=candidate.id,
                epochs=epochs,
                repeat=repeat,
                trial=trial,
                status="running",
                started_at=time.time(),
            )
            before = lower_rung(epochs + 1 if repeat else epochs, rungs)
            for name in MEASURED if before is not None else ():
                setattr(row, name, getattr(before, name))
            session.add(row)
            self._set(session, trial=trial, reserved=True)
            session.flush()
            return self._store.evaluation(session, row), True

        return self._store.write(work)

    def reopen(self, evaluation: int, trial: int | None) -> Candidate | None:
        """Takes an infeasible evaluation up again under another trial, since the limits have changed.

        Args:
            evaluation: Its number.
            trial: As for ``claim``.

        Returns:
            None if somebody else was first. The trial it had becomes a duplicate of the new one.
        """

        def work(session: Session) -> Candidate | None:
            lock_study(session, self.study_id)
            row = session.get_one(EvaluationRow, evaluation)
            if row.status != "infeasible":
                return None  # or ours, if the connection was lost after the commit: then it is adopted
            if row.trial is not None:
                session.add(DuplicateRow(study_id=row.study_id, trial=row.trial, evaluation_id=row.id))
            row.trial, row.status, row.reason, row.reason_kind, row.finished_at = trial, "running", None, None, None
            row.started_at = time.time()
            self._set(session, trial=trial, reserved=True)
            session.flush()
            return self._store.evaluation(session, row)

        return self._store.write(work)

    def adopt(self, evaluation: int) -> Candidate | None:
        """Takes over an unfinished evaluation whose worker is gone. None if it is another's, or finished."""

        def work(session: Session) -> Candidate | None:
            self._enter(session)
            row = session.get_one(EvaluationRow, evaluation)
            others = self._others(session)
            # one without a trial may be that of a worker that is about to make the trial
            is_held = any(other.reserved and other.trial == row.trial for other in others)
            if is_held or row.status != "running":
                return None
            self._set(session, trial=row.trial, reserved=True)
            return self._store.evaluation(session, row)

        return self._store.write(work)

    def assign_trial(self, evaluation: int, trial: int) -> None:
        """Notes the Optuna trial of a claimed evaluation."""

        def work(session: Session) -> None:
            lock_study(session, self.study_id)
            self._set(session, trial=trial, reserved=True)
            session.execute(sa.update(EvaluationRow).where(EvaluationRow.id == evaluation).values(trial=trial))

        self._store.write(work)

    def finish(self, evaluation: int, outcome: Outcome) -> None:
        """Stores how an evaluation ended, and frees this worker's place in the same transaction."""

        def work(session: Session) -> None:
            lock_study(session, self.study_id)
            self._set(session, trial=None, reserved=False)
            row = session.get_one(EvaluationRow, evaluation)
            row.status, row.score = outcome.status, outcome.score
            row.reason_kind, row.reason = outcome.reason_kind, outcome.reason
            row.training_seconds, row.finished_at = outcome.training_seconds, time.time()

        self._store.write(work)

    # within a transaction -----------------------------------------------------------------------------------------

    def _set(self, session: Session, *, trial: int | None, reserved: bool) -> None:
        statement = sa.update(LeaseRow).where(LeaseRow.id == self.id).values(trial=trial, reserved=reserved)
        if row_count(session.execute(statement)) == 0:
            raise lease_lost()

    def _enter(self, session: Session) -> None:
        """Locks the study and clears the leases that expired, at once those of this machine's ended processes."""
        lock_study(session, self.study_id)
        now = _now(session)
        dead = [
            row.id
            for row in self._others(session)
            if row.expires_at < now
            or ProcessIdentity(row.host, row.boot_id, row.pid, row.process_started).is_dead_here()
        ]
        session.execute(sa.delete(LeaseRow).where(LeaseRow.id.in_(dead)))
        session.expire_all()

    def _others(self, session: Session) -> list[LeaseRow]:
        mine = LeaseRow.id == self.id
        return list(session.scalars(sa.select(LeaseRow).where(LeaseRow.study_id == self.study_id, ~mine)))


def lease_lost() -> EnvironmentFailure:
    """The error of a worker whose lease is gone."""
    return EnvironmentFailure(
        "This worker was cut off from the database for longer than its lease.",
        "Run the same command again; a trial that it held goes on with another worker.",
    )


def _insert(session: Session, study_id: int, pace: Pace) -> int:
    me = this_process()
    row = LeaseRow(
        study_id=study_id,
        host=me.host,
        boot_id=me.boot_id,
        pid=me.pid,
        process_started=me.process_started,
        expires_at=_now(session) + pace.lease_s,
        trial=None,
    )
    session.add(row)
    session.flush()
    return row.id


def _now(session: Session) -> float:
    """The database's clock, in seconds since 1970."""
    value = session.scalar(sa.select(sa.func.current_timestamp()))
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
