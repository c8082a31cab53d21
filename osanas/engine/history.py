"""A study's evaluations as the strategy sees them."""

from __future__ import annotations

from collections.abc import Sequence

from osanas.strategy.history import History, Seen
from osanas.study.config import Limits, Objective
from osanas.study.records import EvaluationRecord


def history_of(
    evaluations: Sequence[EvaluationRecord],
    *,
    rungs: tuple[int, ...],
    objectives: tuple[Objective, ...],
    limits: Limits,
    key: str,
) -> History:
    """What the strategy decides from.

    A candidate that was stopped by a limit which has been relaxed since is left out, so that it may be proposed again.

    Args:
        evaluations: All of the study, in the order of their claims.
        rungs: The ladder.
        objectives: Of the study.
        limits: Of this run.
        key: Digest of the present measurement key; latency and energy under another one count as unknown.
    """
    by_candidate: dict[str, list[EvaluationRecord]] = {}
    for evaluation in evaluations:
        if not fits_now(evaluation, limits):
            by_candidate.setdefault(evaluation.digest, []).append(evaluation)
    seen = tuple(_seen(climbed, limits, key) for climbed in by_candidate.values())
    return History(rungs, objectives, limits, seen)


def fits_now(evaluation: EvaluationRecord, limits: Limits) -> bool:
    """Whether it was stopped by a limit that has been relaxed since."""
    return evaluation.status == "infeasible" and limits.broken_by(evaluation.costs) is None


def _seen(climbed: Sequence[EvaluationRecord], limits: Limits, key: str) -> Seen:
    complete = [evaluation for evaluation in climbed if evaluation.is_complete]
    latest = climbed[-1]
    comparable = {} if latest.measurement_key == key else {"latency_ms": None, "energy_mj": None}
    return Seen(
        digest=latest.digest,
        architecture=latest.architecture,
        costs={**latest.costs, **comparable},
        accuracies={one.epochs: one.accuracy for one in complete if one.accuracy is not None},
        losses={one.epochs: one.train_loss for one in complete if one.train_loss is not None},
        running=next((one.epochs for one in climbed if one.status == "running"), None),
        is_closed=any(one.status in ("infeasible", "failed") for one in climbed)
        or (bool(complete) and limits.broken_by(latest.costs) is not None),
    )
