"""How well each cheap signal ranked the candidates of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from osanas.strategy.features import STRUCTURE, Features
from osanas.strategy.history import History

FEWEST = 8
"""Candidates below which a correlation says nothing."""

SELECTION = (
    "Only candidates trained to the end count. These are the better ones; over all candidates the correlations would "
    "be higher."
)


@dataclass(frozen=True)
class Signal:
    """One thing known early, against the score at full training.

    Attributes:
        name: The task's score (``accuracy``), ``train_loss``, ``parameters``, ``multiply_adds``,
            ``memory_access_elements``, ``depth``, ``latency_ms`` or ``energy_mj``.
        epochs: The rung at which it was read; None for what is known without training.
        correlation: Spearman's, -1 to 1; None if it cannot be told.
        candidates: How many have both.
        reason: Why there is no correlation.
    """

    name: str
    epochs: int | None
    correlation: float | None
    candidates: int
    reason: str | None = None


def rank_correlations(history: History, features: Features) -> list[Signal]:
    """Spearman's rank correlation of each cheap signal with the score at full training.

    The candidates are those that have both. With a ladder these are the better ones by the very signals that are
    judged: their range is narrower than that of all candidates, and so are the correlations.

    Args:
        history: With scores at the highest rung.
        features: Counts what structure alone tells.

    Returns:
        Accuracy and training loss at each lower rung, then structure, then measured costs.
    """
    full = history.rungs[-1]
    finished = [member for member in history.seen if full in member.scores]
    reached = [member.scores[full] for member in finished]
    columns: list[tuple[str, int | None, list[float | None]]] = []
    for rung in history.rungs[:-1]:
        columns.append((history.score_name, rung, [member.scores.get(rung) for member in finished]))
        columns.append(("train_loss", rung, [member.losses.get(rung) for member in finished]))
    structure = [features.structure(member.architecture) for member in finished]
    for index, name in enumerate(STRUCTURE):
        columns.append((name, None, [float(row[index]) for row in structure]))
    for name in ("latency_ms", "energy_mj"):
        columns.append((name, None, [member.costs.get(name) for member in finished]))
    return [_correlated(name, epochs, values, reached, history.score_name) for name, epochs, values in columns]


def signals_document(signals: Sequence[Signal], rungs: Sequence[int]) -> dict[str, Any]:
    """The signals as JSON.

    Args:
        signals: From ``rank_correlations``.
        rungs: Of the same history.
    """
    return {
        "epochs": rungs[-1],
        "signals": [
            {
                "signal": one.name if one.epochs is None else f"{one.name} at {one.epochs}",
                **{name: getattr(one, name) for name in ("name", "epochs", "correlation", "candidates", "reason")},
            }
            for one in signals
        ],
        "selection": SELECTION,
    }


def _correlated(
    name: str, epochs: int | None, values: Sequence[float | None], scores: Sequence[float], score_name: str
) -> Signal:
    found = [(value, top) for value, top in zip(values, scores, strict=True) if value is not None]
    if len(found) < FEWEST:
        return Signal(name, epochs, None, len(found), f"fewer than {FEWEST} candidates have it")
    read, reached = np.array(found, dtype=np.float64).T
    for column, what in ((read, "value of it"), (reached, score_name)):
        if np.ptp(column) == 0:
            return Signal(name, epochs, None, len(found), f"all candidates have one {what}")
    from scipy.stats import spearmanr  # takes a second, which a listing pays only where there is something to tell

    return Signal(name, epochs, float(spearmanr(read, reached).statistic), len(found))
