"""Trials and learning curves as JSON, the score under its own name."""

from __future__ import annotations

from typing import Any

from osanas.study.objectives import COST_UNITS, Score
from osanas.study.records import Candidate, CurvePoint

_COUNTS = ("parameters", "multiply_adds", "memory_access_elements")
OF_FRONT = ("trial", "digest", "epochs", "score", *COST_UNITS, *_COUNTS, "architecture")
"""What is told of a member of a front."""
OF_TRIALS = (
    *("trial", "digest", "status", "epochs", "promoted_from", "score", *COST_UNITS),
    *("measurement_key", "reason", "parameters", "architecture"),
)
"""What is told of a trial among all."""
OF_TRIAL = (
    *("trial", "digest", "status", "epochs", "score", *COST_UNITS, "energy_source", *_COUNTS),
    *("reason", "training_seconds", "architecture", "promoted_from", "measurement_key"),
)
"""What is told of a single trial."""


def candidate_document(candidate: Candidate, score: Score, keys: tuple[str, ...] = OF_TRIAL) -> dict[str, Any]:
    """A trial as JSON.

    Args:
        candidate: The trial.
        score: Of its study.
        keys: What is told.
    """
    values = {**vars(candidate), "architecture": candidate.architecture.to_dict()}
    return {score.name if key == "score" else key: values[key] for key in keys}


def point_document(point: CurvePoint, score: Score) -> dict[str, Any]:
    """A point of a learning curve as JSON.

    Args:
        point: The point.
        score: Of its study.
    """
    return {
        "epoch": point.epoch,
        "train_loss": point.train_loss,
        "val_loss": point.val_loss,
        f"val_{score.name}": point.score,
        "seconds": point.seconds,
    }
