"""Studies, evaluations and measurements in the database. Every method is one short transaction of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from osanas.errors import StudyError
from osanas.genotype.architecture import Architecture
from osanas.store.database import database_errors, masked, open_engine, parse_url
from osanas.store.rows import (
    candidate_records,
    evaluation_of,
    evaluation_record,
    evaluations_of,
    lock_study,
    lower_rung,
    study_record,
    update_lease,
)
from osanas.store.tables import CandidateRow, DuplicateRow, EpochRow, EvaluationRow, MeasurementRow, StudyRow
from osanas.study.config import StudyConfig
from osanas.study.identity import require_same
from osanas.study.records import (
    Candidate,
    CurvePoint,
    EvaluationRecord,
    Lease,
    MeasurementRecord,
    Outcome,
    Status,
    StudyRecord,
    StudySummary,
)
from osanas.validation import did_you_mean

Result = TypeVar("Result")

MEASURED = ("latency_ms", "energy_mj", "energy_source", "measurement_key")
"""Costs of an evaluation that depend on the measurement key."""

PATIENCE_S = 60.0
"""For how long a transaction is tried again while the database is away or locked."""


class Store:
    """Access to osanas' tables.

    Args:
        engine: A prepared engine, from ``Store.open``.
        url: Its URL.
    """

    def __init__(self, engine: Engine, url: URL) -> None:
        self.engine = engine
        self.url = url
        self._architectures: dict[str, Architecture] = {}  # by digest: reading all evaluations is to be fast

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> Store:
        """Opens a database.

        Args:
            url: Any SQLAlchemy URL.
            create: Whether to make a missing one.

        Raises:
            OsanasError: As ``open_engine``.
        """
        parsed = parse_url(url)
        return cls(open_engine(parsed, create=create), parsed)

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading."""
        with database_errors(self.url), Session(self.engine) as session:
            yield session

    def write(self, work: Callable[[Session], Result], patience_s: float = PATIENCE_S) -> Result:
        """Runs ``work(session)`` in a transaction, again while the database is away or locked.

        A connection may be lost after the transaction was stored, or another worker may insert the same row first;
        so ``work`` looks at what is there before it inserts.

        Raises:
            EnvironmentFailure: The database stayed away for ``patience_s`` seconds.
        """
        attempts = Retrying(
            retry=retry_if_exception(_is_transient),
            wait=wait_random_exponential(0.1, max=5.0),
            stop=stop_after_delay(patience_s),
            reraise=True,
        )
        with database_errors(self.url):
            result: Result = attempts(self._transaction, work)
            return result

    def _transaction(self, work: Callable[[Session], Result]) -> Result:
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            return work(session)

    # studies ----------------------------------------------------------------------------------------------------

    def register_study(
        self,
        name: str,
        identity: Mapping[str, Any],
        config: StudyConfig,
        device: Mapping[str, Any],
        *,
        search_key: str | None = None,
        final_key: str | None = None,
    ) -> StudyRecord:
        """Makes a study, or opens the one of this name for another run.

        Args:
            name: Its name.
            identity: What may not change, but that ``rungs`` may get higher ones at their end.
            config: The options of this run.
            device: The device of this run.
            search_key: Digest of the key under which this run measures candidates.
            final_key: That under which it measures the front in full.

        Raises:
            StudyError: The stored one has another identity; the difference is named.
        """

        def work(session: Session) -> StudyRecord:
            row = session.scalar(sa.select(StudyRow).where(StudyRow.name == name))
            if row is None:
                row = StudyRow(name=name, identity=dict(identity), created_at=time.time(), config={}, device={})
                session.add(row)
            require_same(row.identity, identity, f"The study '{name}' in {masked(self.url)}")
            row.identity = dict(identity)
            row.config, row.device = config.to_dict(), dict(device)
            row.search_key, row.final_key = search_key, final_key
            session.flush()
            return study_record(row)

        return self.write(work)

    def known_device(self, name: str) -> dict[str, Any] | None:
        """The device of a study's latest run, or None if there is no such study."""
        with self.read() as session:
            found = session.scalar(sa.select(StudyRow.device).where(StudyRow.name == name))
        return None if found is None else dict(found)

    def study(self, name: str) -> StudyRecord:
        """A study by name.

        Raises:
            StudyError: There is none.
        """
        with self.read() as session:
            row = session.scalar(sa.select(StudyRow).where(StudyRow.name == name))
            if row is not None:
                return study_record(row)
            names = list(session.scalars(sa.select(StudyRow.name)))
        hint = did_you_mean(name, names) if names else "It holds no study yet."
        raise StudyError(f"There is no study '{name}' in {masked(self.url)}.", hint)

    def summaries(self) -> list[StudySummary]:
        """All studies, oldest first, with their trials but promotions counted by status."""
        with self.read() as session:
            rows = list(session.scalars(sa.select(StudyRow).order_by(StudyRow.created_at)))
        summaries = []
        for row in rows:
            counts: dict[Status, int] = {}
            for candidate in self.candidates(row.id):
                if candidate.promoted_from is None:
                    counts[candidate.status] = counts.get(candidate.status, 0) + 1
            summaries.append(StudySummary(row.name, row.created_at, counts))
        return summaries

    # evaluations ------------------------------------------------------------------------------------------------

    def claim(
        self, lease: Lease, digest: str, architecture: Architecture, epochs: int, trial: int | None
    ) -> tuple[EvaluationRecord, bool]:
        """Claims the evaluation of a network at a fidelity for the holder of a lease, if nobody has.

        Of a network that was trained to a lower rung, the new evaluation has that one's costs.

        Args:
            trial: Optuna's trial that asks for it; None if there is none yet.

        Returns:
            The evaluation, and whether it is ours to do.

        Raises:
            EnvironmentFailure: The lease is gone.
        """

        def work(session: Session) -> tuple[EvaluationRecord, bool]:
            study_id = lease.study_id
            lock_study(session, study_id)
            found = self._evaluation(session, study_id, digest, epochs)
            if found is not None:
                ours = trial is not None and found.trial == trial and found.status == "running"
                return found, ours  # ours if the connection was lost after the claim was stored
            candidate = session.scalar(
                sa.select(CandidateRow).where(CandidateRow.study_id == study_id, CandidateRow.digest == digest)
            )
            if candidate is None:
                candidate = CandidateRow(study_id=study_id, digest=digest, architecture=architecture.to_dict())
                session.add(candidate)
                session.flush()
            row = EvaluationRow(
                study_id=study_id,
                candidate_id=candidate.id,
                epochs=epochs,
                trial=trial,
                status="running",
                started_at=time.time(),
            )
            others = session.scalars(sa.select(EvaluationRow).where(EvaluationRow.candidate_id == candidate.id))
            lower = lower_rung(row, others)
            for name in MEASURED if lower is not None else ():
                setattr(row, name, getattr(lower, name))
            session.add(row)
            update_lease(session, lease, trial=trial, reserved=True)
            session.flush()
            return evaluation_record(row, candidate), True

        return self.write(work)

    def reopen(self, lease: Lease, evaluation_id: int, trial: int | None) -> EvaluationRecord | None:
        """Takes an infeasible evaluation up again under another trial, since the limits have changed.

        Args:
            trial: As for ``claim``.

        Returns:
            None if somebody else was first. The trial it had becomes a duplicate of the new one.

        Raises:
            EnvironmentFailure: The lease is gone.
        """

        def work(session: Session) -> EvaluationRecord | None:
            lock_study(session, lease.study_id)
            row = session.get_one(EvaluationRow, evaluation_id)
            if row.status != "infeasible":
                return None  # or ours, if the connection was lost after the commit: then it is adopted
            if row.trial is not None:
                session.add(DuplicateRow(study_id=row.study_id, trial=row.trial, evaluation_id=row.id))
            row.trial, row.status, row.reason, row.reason_kind, row.finished_at = trial, "running", None, None, None
            update_lease(session, lease, trial=trial, reserved=True)
            session.flush()
            return evaluation_record(row, session.get_one(CandidateRow, row.candidate_id))

        return self.write(work)

    def assign_trial(self, lease: Lease, evaluation_id: int, trial: int) -> None:
        """Notes the Optuna trial of a claimed evaluation.

        Raises:
            EnvironmentFailure: The lease is gone.
        """

        def work(session: Session) -> None:
            lock_study(session, lease.study_id)
            update_lease(session, lease, trial=trial, reserved=True)
            session.execute(sa.update(EvaluationRow).where(EvaluationRow.id == evaluation_id).values(trial=trial))

        self.write(work)

    def add_duplicate(self, study_id: int, trial: int, evaluation_id: int) -> None:
        """Notes that a trial repeats an evaluation."""

        def work(session: Session) -> None:
            there = sa.select(DuplicateRow).where(DuplicateRow.study_id == study_id, DuplicateRow.trial == trial)
            if session.scalar(there) is None:
                session.add(DuplicateRow(study_id=study_id, trial=trial, evaluation_id=evaluation_id))

        self.write(work)

    def save_costs(self, evaluation_id: int, costs: Mapping[str, Any]) -> None:
        """Stores what a candidate costs.

        Args:
            costs: ``latency_ms``, ``energy_mj``, ``energy_source``, ``measurement_key`` of the evaluation;
                ``parameters``, ``multiply_adds``, ``memory_access_elements`` of the candidate.
        """
        measured = {key: costs[key] for key in MEASURED}
        static = {key: costs[key] for key in ("parameters", "multiply_adds", "memory_access_elements")}

        def work(session: Session) -> None:
            row = session.get_one(EvaluationRow, evaluation_id)
            session.execute(sa.update(EvaluationRow).where(EvaluationRow.id == row.id).values(**measured))
            session.execute(sa.update(CandidateRow).where(CandidateRow.id == row.candidate_id).values(**static))

        self.write(work)

    def save_epoch(self, evaluation_id: int, point: CurvePoint) -> None:
        """Stores a point of the learning curve; an epoch trained again replaces its first point."""
        values = {key: getattr(point, key) for key in ("train_loss", "val_loss", "val_accuracy", "seconds")}
        self.write(lambda session: session.merge(EpochRow(evaluation_id=evaluation_id, epoch=point.epoch, **values)))

    def finish(self, lease: Lease, evaluation_id: int, outcome: Outcome) -> None:
        """Stores how an evaluation ended, and frees its worker's place in the same transaction.

        Raises:
            EnvironmentFailure: The lease is gone, so the evaluation may be another worker's now.
        """

        def work(session: Session) -> None:
            lock_study(session, lease.study_id)
            update_lease(session, lease, trial=None, reserved=False)
            row = session.get_one(EvaluationRow, evaluation_id)
            row.status, row.accuracy = outcome.status, outcome.accuracy
            row.reason_kind, row.reason = outcome.reason_kind, outcome.reason
            row.training_seconds, row.finished_at = outcome.training_seconds, time.time()

        self.write(work)

    def evaluations(self, study_id: int) -> list[EvaluationRecord]:
        """All evaluations of a study, in the order of their claims."""
        with self.read() as session:
            rows = session.execute(evaluations_of(study_id)).all()
        for row in rows:
            if row.digest not in self._architectures:
                self._architectures[row.digest] = Architecture.from_dict(row.architecture)
        return [evaluation_of(row, self._architectures[row.digest]) for row in rows]

    def epochs_trained(self, study_id: int) -> int:
        """How many epochs all candidates of a study were trained for together."""
        with self.read() as session:
            counted = sa.select(sa.func.count()).select_from(EpochRow).join(EvaluationRow)
            return session.scalar(counted.where(EvaluationRow.study_id == study_id)) or 0

    def duplicates(self, study_id: int) -> dict[int, int]:
        """Evaluation id of each duplicate trial."""
        with self.read() as session:
            rows = session.scalars(sa.select(DuplicateRow).where(DuplicateRow.study_id == study_id))
            return {row.trial: row.evaluation_id for row in rows}

    def curve(self, evaluation_id: int) -> list[CurvePoint]:
        """The learning curve of an evaluation."""
        with self.read() as session:
            rows = session.scalars(
                sa.select(EpochRow).where(EpochRow.evaluation_id == evaluation_id).order_by(EpochRow.epoch)
            )
            return [CurvePoint(r.epoch, r.train_loss, r.val_loss, r.val_accuracy, r.seconds) for r in rows]

    def candidates(self, study_id: int) -> list[Candidate]:
        """Every trial of a study as a plain record, by number."""
        with self.read() as session:  # duplicates first: each has an evaluation by then, and one never goes away
            copies = list(session.scalars(sa.select(DuplicateRow).where(DuplicateRow.study_id == study_id)))
            pairs = session.execute(
                sa.select(EvaluationRow, CandidateRow)
                .join(CandidateRow, EvaluationRow.candidate_id == CandidateRow.id)
                .where(EvaluationRow.study_id == study_id)
            ).all()
            return candidate_records([(row, candidate) for row, candidate in pairs], copies)

    # measurements -----------------------------------------------------------------------------------------------

    def measurement_record(self, key_digest: str, network: str) -> MeasurementRecord | None:
        """The stored measurement of a network under a key, or None.

        Args:
            key_digest: Digest of the measurement key.
            network: Digest of the architecture, or a peer's name.
        """
        return self.measurements(key_digest, [network]).get(network)

    def measurements(self, key_digest: str, networks: Collection[str]) -> dict[str, MeasurementRecord]:
        """The stored measurements of networks under a key, by network; those that have none are missing."""
        wanted = sa.select(MeasurementRow).where(
            MeasurementRow.key_digest == key_digest, MeasurementRow.network.in_(networks)
        )
        with self.read() as session:
            return {
                row.network: MeasurementRecord(dict(row.result), row.measured_at) for row in session.scalars(wanted)
            }

    def save_measurement(
        self,
        key_digest: str,
        key: Mapping[str, Any],
        network: str,
        result: Mapping[str, Any],
        *,
        replace: bool = False,
    ) -> None:
        """Stores a measurement.

        Args:
            key_digest: Digest of ``key``.
            key: The measurement key; empty where whoever measured knows it by its digest alone.
            network: Digest of the architecture, or a peer's name.
            result: As JSON; at least ``latency_ms`` and ``energy_mj``.
            replace: Whether it takes the place of one that is there; otherwise the first one stays.
        """

        def work(session: Session) -> None:
            row = session.scalar(
                sa.select(MeasurementRow).where(
                    MeasurementRow.key_digest == key_digest, MeasurementRow.network == network
                )
            )
            if row is None:
                row = MeasurementRow(key_digest=key_digest, network=network)
                session.add(row)
            elif not replace:
                return
            row.key, row.result, row.measured_at = dict(key), dict(result), time.time()

        self.write(work)

    @staticmethod
    def _evaluation(session: Session, study_id: int, digest: str, epochs: int) -> EvaluationRecord | None:
        pair = session.execute(
            sa.select(EvaluationRow, CandidateRow)
            .join(CandidateRow, EvaluationRow.candidate_id == CandidateRow.id)
            .where(CandidateRow.study_id == study_id, CandidateRow.digest == digest, EvaluationRow.epochs == epochs)
        ).first()
        return None if pair is None else evaluation_record(*pair)


def _is_transient(error: BaseException) -> bool:
    """Whether a transaction may succeed when it is run again."""
    if isinstance(error, IntegrityError):  # another worker was first: look again
        return True
    if not isinstance(error, DBAPIError):
        return False
    lasting = any(word in str(error.orig) for word in ("full", "disk I/O", "readonly", "malformed", "not a database"))
    return error.connection_invalidated or (isinstance(error, OperationalError) and not lasting)
