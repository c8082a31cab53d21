"""What is known of a study, as the strategy sees it: plain data, from any evaluator and any storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from osanas.genotype.architecture import Architecture
from osanas.study.config import Limits, Objective
from osanas.study.records import EvaluationRecord


@dataclass(frozen=True)
class Seen:
    """A candidate that has been proposed.

    Attributes:
        architecture: In canonical form.
        costs: ``latency_ms``, ``energy_mj``, ``parameters``, ``multiply_adds``; None or missing where not known (yet).
        accuracies: Validation accuracy, 0 to 1, after each number of epochs to which it was trained (the rungs).
        losses: Mean training loss of the last epoch before each of them, where it is told: it ranks young networks
            better than their accuracy does.
        running: Epochs to which it is being trained now; None if it is not.
        is_closed: Whether it is over a limit or failed: it is never trained again.
    """

    digest: str
    architecture: Architecture
    costs: Mapping[str, float | None]
    accuracies: Mapping[int, float] = field(default_factory=dict)
    losses: Mapping[int, float] = field(default_factory=dict)
    running: int | None = None
    is_closed: bool = False

    @property
    def epochs(self) -> int:
        """Epochs behind its latest accuracy; 0 without one."""
        return max(self.accuracies, default=0)


@dataclass(frozen=True)
class History:
    """A study's candidates and what is asked of them.

    Attributes:
        rungs: Rising numbers of epochs; the last is full training.
        objectives: Of the study.
        limits: Its hard limits.
        seen: Every candidate, in the order of their proposals.
    """

    rungs: tuple[int, ...]
    objectives: tuple[Objective, ...]
    limits: Limits
    seen: Sequence[Seen]

    @property
    def cost_objectives(self) -> tuple[str, ...]:
        """The objectives that need no training."""
        return tuple(name for name in self.objectives if name != "accuracy")

    def cost_values(self, seen: Seen) -> tuple[float, ...] | None:
        """Its values of the cost objectives; None if one is not known."""
        values = [seen.costs.get(name) for name in self.cost_objectives]
        known = tuple(float(value) for value in values if value is not None)
        return known if len(known) == len(values) else None


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
