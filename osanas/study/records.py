"""What is known of studies, as plain records: no session, no laziness, safe to keep. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from osanas.genotype.architecture import Architecture
from osanas.study.config import StudyConfig
from osanas.study.objectives import ACCURACY, LIMITED, Limits, Score

Status = Literal["complete", "running", "waiting", "infeasible", "failed", "duplicate"]

UNNUMBERED = -1
"""The trial of an evaluation for the moment between its claim and the making of its trial."""

DRIFT = "drift"
"""Flag of what was measured while the reference network's latency was off."""


@dataclass(frozen=True)
class StudyRecord:
    """A stored study.

    Attributes:
        id: Of its row.
        name: Its name.
        identity: What may not change on resume (JSON).
        config: The options of its latest run.
        device: The device it is measured on (JSON).
        created_at: Seconds since 1970.
        search_key: Digest of the measurement key of its latest run; only candidates measured under it compare.
        final_key: Digest of the key under which that run measures the front in full.
        reference: Values of the objectives that are just worth nothing; None before the first run has set them.
    """

    id: int
    name: str
    identity: dict[str, Any]
    config: StudyConfig
    device: dict[str, Any]
    created_at: float
    search_key: str | None = None
    final_key: str | None = None
    reference: tuple[float, ...] | None = None

    @property
    def limits(self) -> Limits:
        """The hard limits of its latest run."""
        return self.config.limits

    @property
    def score(self) -> Score:
        """What its task judges networks by."""
        return score_of(self.identity)

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives, in the order of Optuna's values."""
        return tuple(self.identity["objectives"])

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs of training at each rung of the ladder, rising."""
        return tuple(self.identity["rungs"])

    @property
    def energy_source(self) -> str | None:
        """``nvml``, ``rapl`` or ``estimated``; None where energy is not measured."""
        source: str | None = self.identity["energy_source"]
        return source


def score_of(identity: Mapping[str, Any]) -> Score:
    """The score in a study's identity, which names any but accuracy."""
    return Score(**identity["score"]) if "score" in identity else ACCURACY


@dataclass(frozen=True)
class StudySummary:
    """A line of the list of studies."""

    name: str
    created_at: float
    counts: dict[Status, int]


@dataclass(frozen=True)
class Candidate:
    """A training of a network to one fidelity, as a trial of a study. What is not known (yet) is None.

    Attributes:
        trial: Optuna's trial number.
        digest: Of the architecture.
        status: How far it is, or how it ended.
        epochs: Epochs of training behind ``score``.
        score: Of the study's task on the validation split after the last epoch.
        latency_ms: Median milliseconds of one inference at the study's batch size.
        energy_mj: Gross millijoules per image, from ``energy_source``.
        energy_source: ``nvml``, ``rapl`` or ``estimated``.
        parameters: Trainable ones.
        multiply_adds: Of one image.
        memory_access_elements: Of one image.
        reason: Why it has no score, or what it repeats.
        training_seconds: Wall time of its training, that of lower rungs included.
        architecture: The network.
        promoted_from: The trial whose training it goes on with, if it is not the first of its network.
        measurement_key: Digest of the key that latency and energy were measured under.
        reason_kind: The reason of a failure in a word.
        train_loss: Mean training loss of its last epoch.
        evaluation: Number of the evaluation behind the trial; a duplicate has that of its original.
        started_at: When it was claimed, in seconds since 1970.
        finished_at: When it ended, likewise.
        repeat: 0 is the candidate's own training, rung by rung; each higher number is one from scratch with another
            seed, which tells how much of ``score`` is luck.
    """

    trial: int
    digest: str
    status: Status
    epochs: int
    score: float | None
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
    reason_kind: str | None = None
    train_loss: float | None = None
    evaluation: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    repeat: int = 0

    @property
    def accuracy(self) -> float | None:
        """The score by its name in classification: top-1 accuracy, 0 to 1."""
        return self.score

    @property
    def is_complete(self) -> bool:
        """Whether it was trained to its end."""
        return self.status == "complete"

    @property
    def costs(self) -> dict[str, float | None]:
        """What limits are about."""
        return {name: getattr(self, name) for name in LIMITED}

    def figure(self, objective: str) -> float | None:
        """Its value of an objective."""
        value: float | None = self.costs[objective] if objective in LIMITED else self.score
        return value


@dataclass(frozen=True)
class CurvePoint:
    """A point of a learning curve.

    Attributes:
        epoch: Epochs done, from 1.
        train_loss: Mean loss over the epoch's training data, as trained (smoothed labels, augmented images).
        val_loss: Mean loss of the averaged weights on the validation data.
        score: Their score.
        seconds: Wall time of the epoch with its validation, pauses for others' measurements left out.
        other_scores: What else the task tells of them, by name.
    """

    epoch: int
    train_loss: float
    val_loss: float
    score: float
    seconds: float
    other_scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        score: Of the averaged weights on the validation data after the last epoch.
        seconds: Wall time of all epochs, over all processes that worked on them; pauses left out.
        notes: What a reader of the result should know.
        curve: Every epoch, those restored from a checkpoint included, where it is known.
    """

    score: float
    seconds: float
    notes: tuple[str, ...] = ()
    curve: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How an evaluation ended."""

    status: Literal["complete", "infeasible", "failed"]
    score: float | None = None
    reason_kind: str | None = None
    reason: str | None = None
    training_seconds: float | None = None


@dataclass(frozen=True)
class MeasurementRecord:
    """A stored measurement."""

    result: dict[str, Any]
    measured_at: float

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader of the figures should know, as words."""
        return tuple(self.result.get("flags", ()))


@dataclass(frozen=True)
class Holder:
    """Who holds a trial, for messages."""

    trial: int
    host: str
    pid: int


@dataclass(frozen=True)
class Others:
    """The other living workers of a study.

    Attributes:
        holders: Who holds a trial.
        starting: How many have a place in the study's total and no trial yet.
        older: How many began before this worker.
    """

    holders: tuple[Holder, ...]
    starting: int
    older: int

    @property
    def is_starting(self) -> bool:
        """Whether one of them is about to begin a trial, which may still have no number."""
        return self.starting > 0

    @property
    def are_busy(self) -> bool:
        """Whether any of them works on something."""
        return bool(self.holders) or self.is_starting
