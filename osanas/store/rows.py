"""Rows as plain records, and the statements that several transactions share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from osanas.genotype.architecture import Architecture
from osanas.store.tables import CandidateRow, EpochRow, EvaluationRow, StudyRow
from osanas.study.config import StudyConfig
from osanas.study.records import UNNUMBERED, Candidate, Status, StudyRecord, score_of

MEASURED = ("latency_ms", "energy_mj", "energy_source", "measurement_key")
"""Costs of an evaluation that depend on the measurement key."""

COUNTED = ("parameters", "multiply_adds", "memory_access_elements")
"""Costs of a candidate that need no measuring."""


def lock_study(session: Session, study_id: int) -> None:
    """Takes the write lock of a study: SQLite locks the file, others the row."""
    session.execute(sa.update(StudyRow).where(StudyRow.id == study_id).values(revision=StudyRow.revision + 1))


def row_count(result: sa.Result[Any]) -> int:
    """How many rows an update has matched."""
    return cast("sa.CursorResult[Any]", result).rowcount


def study_record(row: StudyRow) -> StudyRecord:
    """A study's row as a plain record."""
    known = {key: value for key, value in row.config.items() if key in StudyConfig.model_fields}
    # another version of osanas may have had more options
    config = StudyConfig.model_validate(known, context={"score": score_of(row.identity).name})
    return StudyRecord(
        id=row.id,
        name=row.name,
        identity=dict(row.identity),
        config=config,
        device=dict(row.device),
        created_at=row.created_at,
        search_key=row.search_key,
        final_key=row.final_key,
        reference=None if row.reference is None else tuple(row.reference),
    )


_OF_EVALUATION = (
    *("epochs", "status", "reason_kind", "reason", "score", "training_seconds", "repeat", "started_at", "finished_at"),
    *MEASURED,
)
_OF_CANDIDATE = ("digest", *COUNTED)


def evaluations_of(
    session: Session, *which: sa.ColumnElement[bool], architectures: dict[str, Architecture]
) -> list[Candidate]:
    """Evaluations in the order of their claims, as the trials that they are.

    Columns are read, since SQLAlchemy takes several times as long to make objects of rows.

    Args:
        session: An open one.
        which: Conditions; they take all evaluations of a candidate or none, which tells promotions.
        architectures: Those read before, by digest; new ones are added.
    """
    last = sa.and_(EpochRow.evaluation_id == EvaluationRow.id, EpochRow.epoch == EvaluationRow.epochs)
    wanted = (
        sa.select(
            EvaluationRow.id,
            EvaluationRow.trial,
            *(getattr(EvaluationRow, name) for name in _OF_EVALUATION),
            *(getattr(CandidateRow, name) for name in _OF_CANDIDATE),
            CandidateRow.architecture,
            EpochRow.train_loss,
        )
        .join(CandidateRow, EvaluationRow.candidate_id == CandidateRow.id)
        .join(EpochRow, last, isouter=True)
        .where(*which)
        .order_by(EvaluationRow.id)
    )
    found = []
    for row in session.execute(wanted):
        if row.digest not in architectures:
            architectures[row.digest] = Architecture.from_dict(row.architecture)
        found.append(
            Candidate(
                **{name: getattr(row, name) for name in (*_OF_EVALUATION, *_OF_CANDIDATE)},
                trial=UNNUMBERED if row.trial is None else row.trial,
                architecture=architectures[row.digest],
                train_loss=row.train_loss,
                evaluation=row.id,
            )
        )
    return _with_promotions(found)


def _with_promotions(evaluations: Iterable[Candidate]) -> list[Candidate]:
    """Each with the trial whose training it goes on with: that of the next lower complete rung of its network."""
    evaluations = list(evaluations)
    rungs: dict[str, list[Candidate]] = {}
    for one in evaluations:
        rungs.setdefault(one.digest, []).append(one)
    lower = {one.evaluation: lower_rung(one.epochs, rungs[one.digest]) for one in evaluations if one.repeat == 0}
    return [
        one if (found := lower.get(one.evaluation)) is None else replace(one, promoted_from=found.trial)
        for one in evaluations
    ]


def lower_rung(epochs: int, rungs: Iterable[Candidate]) -> Candidate | None:
    """The evaluation whose training goes on when its network is trained to more epochs.

    Args:
        epochs: To which it is trained.
        rungs: All evaluations of that network.
    """
    lower = [other for other in rungs if other.epochs < epochs and other.is_complete and other.repeat == 0]
    return max(lower, key=lambda other: other.epochs, default=None)


def trials_of(evaluations: Iterable[Candidate], duplicates: Mapping[int, int]) -> list[Candidate]:
    """Every trial of a study, by number.

    Args:
        evaluations: Of the study.
        duplicates: The evaluation that each duplicate trial repeats.
    """
    by_number = {one.evaluation: one for one in evaluations}
    trials = [one for one in by_number.values() if one.trial != UNNUMBERED]
    trials += [_repeated(by_number[evaluation], trial) for trial, evaluation in duplicates.items()]
    return sorted(trials, key=lambda one: one.trial)


def _repeated(original: Candidate, trial: int) -> Candidate:
    """The trial of a duplicate."""
    begun = original.trial != UNNUMBERED
    reason = f"the network of trial {original.trial}" if begun else "a network that another worker begins"
    status: Status = "waiting" if original.status == "running" else "duplicate"
    return replace(original, trial=trial, status=status, reason=reason, promoted_from=None)
