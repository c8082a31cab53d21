"""Rows as plain records, and the statements that several transactions share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from osanas.errors import EnvironmentFailure
from osanas.genotype.architecture import Architecture
from osanas.store.tables import CandidateRow, DuplicateRow, EpochRow, EvaluationRow, LeaseRow, StudyRow
from osanas.study.config import LIMITED, StudyConfig
from osanas.study.records import Candidate, EvaluationRecord, Lease, Status, StudyRecord


def lock_study(session: Session, study_id: int) -> None:
    """Takes the write lock of a study: SQLite locks the file, others the row."""
    session.execute(sa.update(StudyRow).where(StudyRow.id == study_id).values(revision=StudyRow.revision + 1))


def row_count(result: sa.Result[Any]) -> int:
    """How many rows an update has matched."""
    return cast("sa.CursorResult[Any]", result).rowcount


def update_lease(session: Session, lease: Lease, *, trial: int | None, reserved: bool) -> None:
    """Notes the trial that a worker holds, and whether it has a place in the study's total.

    Raises:
        EnvironmentFailure: The lease is gone: it expired, and another worker cleared it away.
    """
    statement = sa.update(LeaseRow).where(LeaseRow.id == lease.id).values(trial=trial, reserved=reserved)
    if row_count(session.execute(statement)) == 0:
        raise lease_lost()


def lease_lost() -> EnvironmentFailure:
    """The error of a worker whose lease is gone."""
    return EnvironmentFailure(
        "This worker was cut off from the database for longer than its lease.",
        "Run the same command again; a trial that it held goes on with another worker.",
    )


def study_record(row: StudyRow) -> StudyRecord:
    """A study's row as a plain record."""
    known = {key: value for key, value in row.config.items() if key in StudyConfig.model_fields}
    config = StudyConfig.model_validate(known)  # another version of osanas may have had more options
    return StudyRecord(
        id=row.id,
        name=row.name,
        identity=dict(row.identity),
        config=config,
        device=dict(row.device),
        created_at=row.created_at,
        search_key=row.search_key,
        final_key=row.final_key,
    )


def evaluation_record(row: EvaluationRow, candidate: CandidateRow) -> EvaluationRecord:
    """A row and its candidate as a plain record, without its training loss."""
    return EvaluationRecord(
        id=row.id,
        digest=candidate.digest,
        epochs=row.epochs,
        trial=row.trial,
        status=cast("Literal['running', 'complete', 'infeasible', 'failed']", row.status),
        reason_kind=row.reason_kind,
        reason=row.reason,
        accuracy=row.accuracy,
        costs={
            "latency_ms": row.latency_ms,
            "energy_mj": row.energy_mj,
            "parameters": candidate.parameters,
            "multiply_adds": candidate.multiply_adds,
        },
        architecture=Architecture.from_dict(candidate.architecture),
        measurement_key=row.measurement_key,
    )


def evaluations_of(study_id: int) -> sa.Select[Any]:
    """All evaluations of a study in the order of their claims, for ``evaluation_of``.

    Columns, since SQLAlchemy takes several times as long to make objects of rows.
    """
    last = sa.and_(EpochRow.evaluation_id == EvaluationRow.id, EpochRow.epoch == EvaluationRow.epochs)
    return (
        sa.select(*EvaluationRow.__table__.columns, *_OF_CANDIDATE, EpochRow.train_loss)
        .join(CandidateRow, EvaluationRow.candidate_id == CandidateRow.id)
        .join(EpochRow, last, isouter=True)
        .where(EvaluationRow.study_id == study_id)
        .order_by(EvaluationRow.id)
    )


_OF_CANDIDATE = (
    CandidateRow.digest,
    CandidateRow.architecture,
    CandidateRow.parameters,
    CandidateRow.multiply_adds,
)


def evaluation_of(row: sa.Row[Any], architecture: Architecture) -> EvaluationRecord:
    """A row of ``evaluations_of`` as a plain record."""
    return EvaluationRecord(
        **{name: getattr(row, name) for name in _ALIKE},
        costs={name: getattr(row, name) for name in LIMITED},
        architecture=architecture,
    )


_ALIKE = (
    *("id", "digest", "epochs", "trial", "status", "reason_kind", "reason", "accuracy", "measurement_key"),
    "train_loss",
)


def lower_rung(row: EvaluationRow, rows: Iterable[EvaluationRow]) -> EvaluationRow | None:
    """The evaluation of the same candidate whose training another one goes on with, among some of that candidate."""
    lower = [other for other in rows if other.epochs < row.epochs and other.status == "complete"]
    return max(lower, key=lambda other: other.epochs, default=None)


def candidate_record(
    row: EvaluationRow, candidate: CandidateRow, trial: int, promoted_from: int | None = None
) -> Candidate:
    """What a trial shows of an evaluation: its own, or the one that it repeats."""
    status, reason = cast("Status", row.status), row.reason
    if trial != row.trial:
        status = "waiting" if row.status == "running" else "duplicate"
        reason = "a network that another worker begins" if row.trial is None else f"the network of trial {row.trial}"
    return Candidate(
        trial=trial,
        digest=candidate.digest,
        status=status,
        epochs=row.epochs,
        accuracy=row.accuracy,
        latency_ms=row.latency_ms,
        energy_mj=row.energy_mj,
        energy_source=row.energy_source,
        parameters=candidate.parameters,
        multiply_adds=candidate.multiply_adds,
        memory_access_elements=candidate.memory_access_elements,
        reason=reason,
        training_seconds=row.training_seconds,
        promoted_from=promoted_from,
        architecture=Architecture.from_dict(candidate.architecture),
        measurement_key=row.measurement_key,
    )


def candidate_records(
    pairs: Sequence[tuple[EvaluationRow, CandidateRow]], copies: Sequence[DuplicateRow]
) -> list[Candidate]:
    """Every trial of a study by number.

    Args:
        pairs: Its evaluations, each with its candidate.
        copies: Its duplicates.
    """
    originals = {row.id: (row, candidate) for row, candidate in pairs}
    rungs: dict[int, list[EvaluationRow]] = {}
    for row, candidate in pairs:
        rungs.setdefault(candidate.id, []).append(row)
    records = []
    for row, candidate in pairs:
        if row.trial is not None:
            lower = lower_rung(row, rungs[candidate.id])
            records.append(candidate_record(row, candidate, row.trial, None if lower is None else lower.trial))
    records += [candidate_record(*originals[copy.evaluation_id], copy.trial) for copy in copies]
    return sorted(records, key=lambda record: record.trial)
