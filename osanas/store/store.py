"""Studies, evaluations and measurements in the database. Every method is one short transaction of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
    COUNTED,
    MEASURED,
    evaluations_of,
    lock_study,
    study_record,
    trials_of,
)
from osanas.store.tables import CandidateRow, DuplicateRow, EpochRow, EvaluationRow, MeasurementRow, StudyRow
from osanas.study.config import StudyConfig
from osanas.study.identity import require_same
from osanas.study.records import (
    Candidate,
    CurvePoint,
    MeasurementRecord,
    Status,
    StudyRecord,
    StudySummary,
)
from osanas.validation import did_you_mean

Result = TypeVar("Result")

PATIENCE_S = 60.0


class Store:
    """Access to osanas' tables.

    Args:
        engine: A prepared engine, from ``Store.open``.
        url: Its URL.
        patience_s: For how long a transaction is tried again while the database is away or locked, in seconds.
    """

    def __init__(self, engine: Engine, url: URL, patience_s: float = PATIENCE_S) -> None:
        self.engine = engine
        self.url = url
        self._patience_s = patience_s
        self._architectures: dict[str, Architecture] = {}  # by digest: reading all evaluations is to be fast

    @classmethod
    def open(cls, url: str, *, create: bool = False, patience_s: float = PATIENCE_S) -> Store:
        """Opens a database.

        Args:
            url: Any SQLAlchemy URL.
            create: Whether to make a missing one.
            patience_s: For how long a transaction is tried again while it is away or locked, in seconds.

        Raises:
            OsanasError: As ``open_engine``.
        """
        parsed = parse_url(url)
        return cls(open_engine(parsed, create=create), parsed, patience_s)

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading."""
        with database_errors(self.url), Session(self.engine) as session:
            yield session

    def write(self, work: Callable[[Session], Result], patience_s: float | None = None) -> Result:
        """Runs ``work(session)`` in a transaction, again while the database is away or locked.

        A connection may be lost after the transaction was stored, or another worker may insert the same row first;
        so ``work`` looks at what is there before it inserts.

        Args:
            work: What to do; its result is given back.
            patience_s: Instead of the store's, in seconds.

        Raises:
            EnvironmentFailure: The database stayed away for that long.
        """
        attempts = Retrying(
            retry=retry_if_exception(_is_transient),
            wait=wait_random_exponential(0.1, max=5.0),
            stop=stop_after_delay(self._patience_s if patience_s is None else patience_s),
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

    def set_reference(self, study_id: int, reference: Sequence[float]) -> tuple[float, ...]:
        """Stores what is just worth nothing in a study, and gives it; what stands there already stays."""

        def work(session: Session) -> tuple[float, ...]:
            lock_study(session, study_id)
            row = session.get_one(StudyRow, study_id)
            row.reference = row.reference or list(reference)
            return tuple(row.reference)

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
        """All studies, oldest first, with their trials but promotions and repeats counted by status."""
        with self.read() as session:
            rows = list(session.scalars(sa.select(StudyRow).order_by(StudyRow.created_at)))
        summaries = []
        for row in rows:
            counts: dict[Status, int] = {}
            for candidate in self.candidates(row.id):
                if candidate.promoted_from is None and candidate.repeat == 0:
                    counts[candidate.status] = counts.get(candidate.status, 0) + 1
            summaries.append(StudySummary(row.name, row.created_at, counts))
        return summaries

    # evaluations ------------------------------------------------------------------------------------------------

    def add_duplicate(self, study_id: int, trial: int, evaluation_id: int) -> None:
        """Notes that a trial repeats an evaluation."""

        def work(session: Session) -> None:
            there = sa.select(DuplicateRow).where(DuplicateRow.study_id == study_id, DuplicateRow.trial == trial)
            if session.scalar(there) is None:
                session.add(DuplicateRow(study_id=study_id, trial=trial, evaluation_id=evaluation_id))

        self.write(work)

    def save_costs(self, evaluation: int, costs: Mapping[str, Any]) -> None:
        """Stores what a candidate costs.

        Args:
            evaluation: Number of one of its evaluations.
            costs: ``latency_ms``, ``energy_mj``, ``energy_source``, ``measurement_key`` of the evaluation;
                ``parameters``, ``multiply_adds``, ``memory_access_elements`` of the candidate.
        """
        measured = {key: costs[key] for key in MEASURED}
        counted = {key: costs[key] for key in COUNTED}

        def work(session: Session) -> None:
            row = session.get_one(EvaluationRow, evaluation)
            session.execute(sa.update(EvaluationRow).where(EvaluationRow.id == row.id).values(**measured))
            session.execute(sa.update(CandidateRow).where(CandidateRow.id == row.candidate_id).values(**counted))

        self.write(work)

    def save_epoch(self, evaluation_id: int, point: CurvePoint) -> None:
        """Stores a point of the learning curve; an epoch trained again replaces its first point."""
        values = {key: getattr(point, key) for key in ("train_loss", "val_loss", "score", "seconds")}
        self.write(lambda session: session.merge(EpochRow(evaluation_id=evaluation_id, epoch=point.epoch, **values)))

    def evaluations(self, study_id: int) -> list[Candidate]:
        """All evaluations of a study, in the order of their claims: its trials without duplicates."""
        with self.read() as session:
            return evaluations_of(session, EvaluationRow.study_id == study_id, architectures=self._architectures)

    def rungs_of(self, session: Session, candidate_id: int) -> list[Candidate]:
        """All evaluations of a candidate, repeats too, within a transaction."""
        return evaluations_of(session, EvaluationRow.candidate_id == candidate_id, architectures=self._architectures)

    def evaluation(self, session: Session, row: EvaluationRow) -> Candidate:
        """One evaluation, within a transaction."""
        return next(one for one in self.rungs_of(session, row.candidate_id) if one.evaluation == row.id)

    def epochs_trained(self, study_id: int) -> int:
        """How many epochs all candidates of a study were trained for together, repeats included."""
        with self.read() as session:
            counted = sa.select(sa.func.count()).select_from(EpochRow).join(EvaluationRow)
            return session.scalar(counted.where(EvaluationRow.study_id == study_id)) or 0

    def duplicates(self, study_id: int) -> dict[int, int]:
        """Evaluation id of each duplicate trial."""
        with self.read() as session:
            rows = session.scalars(sa.select(DuplicateRow).where(DuplicateRow.study_id == study_id))
            return {row.trial: row.evaluation_id for row in rows}

    def curve(self, evaluation: int) -> list[CurvePoint]:
        """The learning curve of an evaluation."""
        with self.read() as session:
            rows = session.scalars(
                sa.select(EpochRow).where(EpochRow.evaluation_id == evaluation).order_by(EpochRow.epoch)
            )
            return [CurvePoint(r.epoch, r.train_loss, r.val_loss, r.score, r.seconds) for r in rows]

    def candidates(self, study_id: int) -> list[Candidate]:
        """Every trial of a study, by number."""
        duplicates = self.duplicates(study_id)  # first: each has an evaluation by then, and one never goes away
        return trials_of(self.evaluations(study_id), duplicates)

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


def _is_transient(error: BaseException) -> bool:
    """Whether a transaction may succeed when it is run again."""
    if isinstance(error, IntegrityError):  # another worker was first: look again
        return True
    if not isinstance(error, DBAPIError):
        return False
    lasting = any(word in str(error.orig) for word in ("full", "disk I/O", "readonly", "malformed", "not a database"))
    return error.connection_invalidated or (isinstance(error, OperationalError) and not lasting)
