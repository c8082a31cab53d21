"""What is known of a study, as the strategy sees it: plain data, whoever measured and trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from osanas.genotype.architecture import Architecture
from osanas.study.objectives import ACCURACY, Limits, is_cost
from osanas.study.records import Candidate, StudyRecord


@dataclass(frozen=True)
class CandidateState:
    """A candidate that has been proposed, over all rungs that it has climbed.

    Attributes:
        digest: Of the architecture.
        architecture: In canonical form.
        costs: ``latency_ms``, ``energy_mj``, ``parameters``, ``multiply_adds``; None or missing where not known (yet).
        scores: The task's score on validation data after each number of epochs to which it was trained (the rungs).
        losses: Mean training loss of the last epoch before each of them, where it is told: it ranks young networks
            better than their score does.
        running: Epochs to which it is being trained now; None if it is not.
        is_closed: Whether it is over a limit or failed: it is never trained again.
        repeats: Scores of further full trainings, each from scratch with another seed.
        seconds: Seconds that its training to each rung took, that of lower rungs included.
        overhead_s: Seconds that its first evaluation took besides training; None where they are not known.
    """

    digest: str
    architecture: Architecture
    costs: Mapping[str, float | None]
    scores: Mapping[int, float] = field(default_factory=dict)
    losses: Mapping[int, float] = field(default_factory=dict)
    running: int | None = None
    is_closed: bool = False
    repeats: tuple[float, ...] = ()
    seconds: Mapping[int, float] = field(default_factory=dict)
    overhead_s: float | None = None

    @property
    def epochs(self) -> int:
        """Epochs behind its latest score; 0 without one."""
        return max(self.scores, default=0)


@dataclass(frozen=True)
class History:
    """A study's candidates and what is asked of them.

    Attributes:
        rungs: Rising numbers of epochs; the last is full training.
        objectives: Of the study.
        limits: Its hard limits.
        seen: Every candidate, in the order of their proposals.
        reference: Score and costs that are just worth nothing, in the order of score and cost objectives; None where
            the study has none.
    """

    rungs: tuple[int, ...]
    objectives: tuple[str, ...]
    limits: Limits
    seen: Sequence[CandidateState]
    reference: tuple[float, ...] | None = None

    @property
    def cost_objectives(self) -> tuple[str, ...]:
        """The objectives that need no training."""
        return tuple(name for name in self.objectives if is_cost(name))

    @property
    def full_trainings(self) -> list[tuple[float, ...]]:
        """Of each fully trained candidate the scores of all its full trainings, its own first."""
        full = self.rungs[-1]
        return [(one.scores[full], *one.repeats) for one in self.seen if full in one.scores]

    @property
    def score_name(self) -> str:
        """The objective that only training tells."""
        return next((name for name in self.objectives if not is_cost(name)), ACCURACY.name)

    def cost_values(self, seen: CandidateState) -> tuple[float, ...] | None:
        """Its values of the cost objectives; None if one is not known."""
        values = [seen.costs.get(name) for name in self.cost_objectives]
        known = tuple(float(value) for value in values if value is not None)
        return known if len(known) == len(values) else None


def history_of(evaluations: Sequence[Candidate], record: StudyRecord) -> History:
    """What the strategy decides from.

    A candidate that was stopped by a limit which has been relaxed since is left out, so that it may be proposed again.
    Latency and energy under another measurement key than the study's present one count as unknown.

    Args:
        evaluations: All of the study, in the order of their claims.
        record: The study, with the limits of this run.
    """
    limits, key = record.limits, record.search_key
    by_candidate: dict[str, list[Candidate]] = {}
    repeats: dict[str, list[float]] = {}
    for evaluation in evaluations:
        if evaluation.repeat == 0 and not fits_now(evaluation, limits):
            by_candidate.setdefault(evaluation.digest, []).append(evaluation)
        elif evaluation.repeat and evaluation.epochs == record.rungs[-1] and evaluation.score is not None:
            repeats.setdefault(evaluation.digest, []).append(evaluation.score)
    seen = tuple(
        replace(_seen(climbed, limits, key), repeats=tuple(repeats.get(digest, ())))
        for digest, climbed in by_candidate.items()
    )
    return History(record.rungs, record.objectives, limits, seen, _reference(record))


def _reference(record: StudyRecord) -> tuple[float, ...] | None:
    """The study's, the score first."""
    if record.reference is None:
        return None
    known = dict(zip(record.objectives, record.reference, strict=True))
    costs = [value for name, value in known.items() if is_cost(name)]
    return (*(value for name, value in known.items() if not is_cost(name)), *costs)


def fits_now(evaluation: Candidate, limits: Limits) -> bool:
    """Whether it was stopped by a limit that has been relaxed since."""
    return evaluation.status == "infeasible" and limits.broken_by(evaluation.costs) is None


def _seen(climbed: Sequence[Candidate], limits: Limits, key: str | None) -> CandidateState:
    complete = [evaluation for evaluation in climbed if evaluation.is_complete]
    latest = climbed[-1]
    comparable = {} if latest.measurement_key == key else {"latency_ms": None, "energy_mj": None}
    return CandidateState(
        digest=latest.digest,
        architecture=latest.architecture,
        costs={**latest.costs, **comparable},
        scores={one.epochs: one.score for one in complete if one.score is not None},
        losses={one.epochs: one.train_loss for one in complete if one.train_loss is not None},
        seconds={one.epochs: one.training_seconds for one in complete if one.training_seconds is not None},
        overhead_s=_overhead_s(complete[0]) if complete else None,
        running=next((one.epochs for one in climbed if one.status == "running"), None),
        is_closed=any(one.status in ("infeasible", "failed") for one in climbed)
        or (bool(complete) and limits.broken_by(latest.costs) is not None),
    )


def _overhead_s(first: Candidate) -> float | None:
    """What a candidate's first evaluation took besides its training: measuring, building, waiting for the device."""
    if first.started_at is None or first.finished_at is None or first.training_seconds is None:
        return None
    return max(0.0, first.finished_at - first.started_at - first.training_seconds)
