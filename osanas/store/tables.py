"""Our own tables, beside Optuna's in the same database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA_VERSION = 4
"""Raised with every change of these tables; ``osanas.store.migrations`` says how to get there from the one before."""
PREFIX = "osanas_"
"""Begins the name of each of these tables."""


class Base(DeclarativeBase):
    """Declarative base of the ``osanas_*`` tables."""

    type_annotation_map = {dict[str, Any]: JSON, list[str]: JSON, list[float]: JSON}  # noqa: RUF012 - SQLAlchemy reads it from the class


class SchemaRow(Base):
    """The version of these tables, one row."""

    __tablename__ = "osanas_schema"
    version: Mapped[int] = mapped_column(primary_key=True)


class StudyRow(Base):
    """A study: what it is (``identity``) and how it was last run (``config``)."""

    __tablename__ = "osanas_studies"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    identity: Mapped[dict[str, Any]]
    config: Mapped[dict[str, Any]]
    device: Mapped[dict[str, Any]]
    created_at: Mapped[float] = mapped_column(Float(53))
    revision: Mapped[int] = mapped_column(default=0)
    """Raised to take the write lock of a study, on every database in the same way."""
    search_key: Mapped[str | None] = mapped_column(String(80))
    """Digest of the measurement key under which the latest run measures candidates."""
    final_key: Mapped[str | None] = mapped_column(String(80))
    """That under which it measures the front in full."""
    reference: Mapped[list[float] | None]
    """Values of the objectives that are just worth nothing, set once."""


class CandidateRow(Base):
    """An architecture within a study and its costs that need no measuring."""

    __tablename__ = "osanas_candidates"
    __table_args__ = (UniqueConstraint("study_id", "digest"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("osanas_studies.id"))
    digest: Mapped[str] = mapped_column(String(80))
    architecture: Mapped[dict[str, Any]]
    parameters: Mapped[int | None] = mapped_column(BigInteger)
    multiply_adds: Mapped[int | None] = mapped_column(BigInteger)
    memory_access_elements: Mapped[int | None] = mapped_column(BigInteger)


class EvaluationRow(Base):
    """One training of a candidate to one fidelity. The unique key is also the claim: who inserts it evaluates it."""

    __tablename__ = "osanas_evaluations"
    __table_args__ = (UniqueConstraint("candidate_id", "epochs", "repeat"), UniqueConstraint("study_id", "trial"))
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("osanas_studies.id"))
    candidate_id: Mapped[int] = mapped_column(ForeignKey("osanas_candidates.id"))
    epochs: Mapped[int]
    trial: Mapped[int | None]
    """Optuna's trial number; None between the claim of a given network and the making of its trial."""
    status: Mapped[str] = mapped_column(String(16))
    reason_kind: Mapped[str | None] = mapped_column(String(40))
    reason: Mapped[str | None] = mapped_column(Text)
    score: Mapped[float | None] = mapped_column("accuracy", Float(53))
    """Of the study's task, whatever its name there."""
    latency_ms: Mapped[float | None] = mapped_column(Float(53))
    energy_mj: Mapped[float | None] = mapped_column(Float(53))
    energy_source: Mapped[str | None] = mapped_column(String(16))
    measurement_key: Mapped[str | None] = mapped_column(String(80))
    """Digest of the key that latency and energy were measured under; those of different keys never compare."""
    started_at: Mapped[float] = mapped_column(Float(53))
    finished_at: Mapped[float | None] = mapped_column(Float(53))
    training_seconds: Mapped[float | None] = mapped_column(Float(53))
    repeat: Mapped[int] = mapped_column(default=0, server_default="0")
    """0 is the candidate's own training; each higher number is one from scratch with another seed."""


class DuplicateRow(Base):
    """A trial whose network another trial evaluates or has evaluated."""

    __tablename__ = "osanas_duplicates"
    __table_args__ = (UniqueConstraint("study_id", "trial"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("osanas_studies.id"))
    trial: Mapped[int]
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("osanas_evaluations.id"))


class EpochRow(Base):
    """A point of a learning curve."""

    __tablename__ = "osanas_epochs"
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("osanas_evaluations.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    train_loss: Mapped[float] = mapped_column(Float(53))
    val_loss: Mapped[float] = mapped_column(Float(53))
    score: Mapped[float] = mapped_column("val_accuracy", Float(53))
    seconds: Mapped[float] = mapped_column(Float(53))


class MeasurementRow(Base):
    """Latency and energy of a network under one measurement key, with the raw blocks."""

    __tablename__ = "osanas_measurements"
    __table_args__ = (UniqueConstraint("key_digest", "network"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    key_digest: Mapped[str] = mapped_column(String(80))
    network: Mapped[str] = mapped_column(String(200))
    """Digest of the architecture, or a peer's name."""
    key: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any]]
    measured_at: Mapped[float] = mapped_column(Float(53))


class ReferenceRow(Base):
    """Latency of the reference network at one moment of a study: whether the device is what it was."""

    __tablename__ = "osanas_references"
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("osanas_studies.id"))
    key_digest: Mapped[str] = mapped_column(String(80), index=True)
    latency_ms: Mapped[float] = mapped_column(Float(53))
    flags: Mapped[list[str]]
    measured_at: Mapped[float] = mapped_column(Float(53))


class LeaseRow(Base):
    """A living worker, and the trial it holds. Whoever lets it expire loses the trial to another worker."""

    __tablename__ = "osanas_leases"
    __table_args__ = (UniqueConstraint("study_id", "trial"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("osanas_studies.id"))
    host: Mapped[str] = mapped_column(String(255))
    boot_id: Mapped[str] = mapped_column(String(80))
    pid: Mapped[int]
    process_started: Mapped[float] = mapped_column(Float(53))
    """Seconds since that boot."""
    expires_at: Mapped[float] = mapped_column(Float(53))
    """Seconds since 1970 by the database's clock."""
    reserved: Mapped[bool] = mapped_column(default=False)
    """Whether it is about to start or has a candidate that counts towards the study's total."""
    trial: Mapped[int | None]
