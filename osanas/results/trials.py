"""Trials and learning curves as JSON, the score under its own name."""

from __future__ import annotations

from typing import Any

from osanas.results.seeds import Certainty
from osanas.study.objectives import COST_UNITS, Score
from osanas.study.records import Candidate, CurvePoint

_COUNTS = ("parameters", "multiply_adds", "memory_access_elements")
OF_FRONT = ("trial", "digest", "epochs", "score", *COST_UNITS, *_COUNTS, "architecture")
"""What is told of a member of a front."""
OF_TRIALS = (
    *("trial", "digest", "status", "epochs", "promoted_from", "score", *COST_UNITS),
    *("measurement_key", "reason", "parameters", "architecture", "repeat"),
)
"""What is told of a trial among all."""
OF_TRIAL = (
    *("trial", "digest", "status", "epochs", "score", *COST_UNITS, "energy_source", *_COUNTS),
    *("reason", "training_seconds", "architecture", "promoted_from", "measurement_key", "repeat"),
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


def certainty_document(certainty: Certainty, score: Score) -> dict[str, Any]:
    """How well the score of a member of a front is known, as JSON.

    Args:
        certainty: Of the member.
        score: Of its study.
    """
    return {
        f"{score.name}_interval": None if certainty.interval is None else list(certainty.interval),
        f"{score.name}_of_seeds": list(certainty.scores),
        "seeds": len(certainty.scores),
        "indistinct_from": certainty.indistinct_from,
    }


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
