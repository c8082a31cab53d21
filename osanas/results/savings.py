"""What a search did not have to pay for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from osanas.study.records import Candidate


@dataclass(frozen=True)
class Savings:
    """Trainings of a study, and those that it was spared.

    Attributes:
        epochs_trained: By all candidates together, repeated trainings included.
        epochs_saved: That candidates were not trained for as they wait below the highest rung.
        duplicates: Trials that took the result of another one.
        infeasible: Candidates that were over a limit and not trained.
        failed_at_build: Candidates that could not be built, and were not trained.
    """

    epochs_trained: int
    epochs_saved: int
    duplicates: int
    infeasible: int
    failed_at_build: int


def savings_of(
    evaluations: Sequence[Candidate], rungs: Sequence[int], *, duplicates: int, epochs_trained: int
) -> Savings:
    """Counts what a study's evaluations saved.

    Args:
        evaluations: All of the study.
        rungs: Its ladder.
        duplicates: Number of its duplicate trials.
        epochs_trained: By all evaluations together.
    """
    reached: dict[str, int] = {}
    closed = set()
    own = [evaluation for evaluation in evaluations if evaluation.repeat == 0]
    for evaluation in own:
        if evaluation.is_complete:
            reached[evaluation.digest] = max(reached.get(evaluation.digest, 0), evaluation.epochs)
        elif evaluation.status != "running":
            closed.add(evaluation.digest)
    untrained = [evaluation for evaluation in own if evaluation.digest not in reached]
    return Savings(
        epochs_trained=epochs_trained,
        epochs_saved=sum(max(0, rungs[-1] - epochs) for digest, epochs in reached.items() if digest not in closed),
        duplicates=duplicates,
        infeasible=sum(evaluation.status == "infeasible" for evaluation in untrained),
        failed_at_build=sum(evaluation.reason_kind == "build" for evaluation in untrained),
    )
