"""Plain records that the store gives out: no session, no laziness, safe to keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from osanas.genotype.architecture import Architecture
from osanas.study.config import LIMITED, Limits, StudyConfig

Status = Literal["complete", "running", "waiting", "infeasible", "failed", "duplicate"]


@dataclass(frozen=True)
class StudyRecord:
    """A stored study.

    Attributes:
        identity: What may not change on resume (JSON).
        config: The options of its latest run.
        device: The device it is measured on (JSON).
        created_at: Seconds since 1970.
        search_key: Digest of the measurement key of its latest run; only candidates measured under it compare.
        final_key: Digest of the key under which that run measures the front in full.
    """

    id: int
    name: str
    identity: dict[str, Any]
    config: StudyConfig
    device: dict[str, Any]
    created_at: float
    search_key: str | None = None
    final_key: str | None = None

    @property
    def limits(self) -> Limits:
        """The hard limits of its latest run."""
        return self.config.limits


@dataclass(frozen=True)
class StudySummary:
    """A line of the list of studies: how many candidates are in which state."""

    name: str
    created_at: float
    counts: dict[Status, int]


@dataclass(frozen=True)
class Candidate:
    """A trial of a study. What is not known (yet) is None.

    Attributes:
        trial: Optuna's trial number.
        epochs: Epochs of training behind ``accuracy``.
        accuracy: Top-1 on the validation split, 0 to 1.
        latency_ms: Median milliseconds of one inference at the study's batch size.
        energy_mj: Gross millijoules per image, from ``energy_source``.
        reason: Why it has no accuracy, or what it repeats.
        training_seconds: Wall time of its training, that of lower rungs included.
        promoted_from: The trial whose training it goes on with, if it is not the first of its network.
        measurement_key: Digest of the key that latency and energy were measured under.
    """

    trial: int
    digest: str
    status: Status
    epochs: int
    accuracy: float | None
    latency_ms: float | None
    energy_mj: float | None
    energy_source: str | None
    parameters: int | None
    multiply_adds: int | None
    memory_access_elements: int | None
    reason: str | None
    training_seconds: float | None
    architecture: Architecture
    promoted_from: int | None = None
    measurement_key: str | None = None

    @property
    def costs(self) -> dict[str, float | None]:
        """What limits are about."""
        return {name: getattr(self, name) for name in LIMITED}


@dataclass(frozen=True)
class CurvePoint:
    """A point of a learning curve: losses and validation accuracy (0 to 1) after an epoch."""

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True)
class EvaluationRecord:
    """One candidate at one fidelity, as the worker sees it."""

    id: int
    digest: str
    epochs: int
    trial: int | None
    status: Literal["running", "complete", "infeasible", "failed"]
    reason_kind: str | None
    reason: str | None
    accuracy: float | None
    costs: dict[str, float | None]
    """``latency_ms``, ``energy_mj``, ``parameters``, ``multiply_adds``."""
    architecture: Architecture
    measurement_key: str | None = None
    train_loss: float | None = None
    """Of the last epoch, where it is told."""

    @property
    def is_complete(self) -> bool:
        """Whether it was trained to its end."""
        return self.status == "complete"


@dataclass(frozen=True)
class Outcome:
    """How an evaluation ended."""

    status: Literal["complete", "infeasible", "failed"]
    accuracy: float | None = None
    reason_kind: str | None = None
    reason: str | None = None
    training_seconds: float | None = None


@dataclass(frozen=True)
class MeasurementRecord:
    """A stored measurement.

    Attributes:
        result: What was measured, as JSON; at least ``latency_ms`` and ``energy_mj``.
        measured_at: Seconds since 1970.
    """

    result: dict[str, Any]
    measured_at: float

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader of the figures should know, as words."""
        return tuple(self.result.get("flags", ()))


@dataclass(frozen=True)
class ReferencePoint:
    """Latency of the reference network at one moment (``measured_at``, seconds since 1970)."""

    latency_ms: float
    flags: tuple[str, ...]
    measured_at: float


@dataclass(frozen=True)
class Lease:
    """A worker's place in a study."""

    id: int
    study_id: int


@dataclass(frozen=True)
class Holder:
    """Who holds a trial, for messages."""

    trial: int
    host: str
    pid: int


@dataclass(frozen=True)
class EpochRecord:
    """A point of the learning curve.

    Attributes:
        epoch: Epochs done, from 1.
        train_loss: Mean loss over the epoch's training images, as trained (smoothed labels, augmented images).
        val_loss: Cross-entropy of the averaged weights on the validation images.
        val_accuracy: Their top-1 accuracy, 0..1.
        seconds: Wall time of the epoch with its validation, pauses for others' measurements left out.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True)
class TrainingResult:
    """A finished training.

    Attributes:
        accuracy: Top-1 accuracy of the averaged weights on the validation images after the last epoch, 0..1.
        curve: Every epoch, those restored from a checkpoint included.
        seconds: Wall time of all epochs, over all processes that worked on them; pauses left out.
        notes: What a reader of the result should know.
    """

    accuracy: float
    curve: tuple[EpochRecord, ...]
    seconds: float
    notes: tuple[str, ...] = ()


DRIFT = "drift"
"""Flag of what was measured while the reference network's latency was off."""
