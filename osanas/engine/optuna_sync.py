"""Optuna's trials kept in step with our results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, Trial

from osanas.engine import optuna_study as adapter
from osanas.errors import StudyError
from osanas.study.objectives import Limits, is_cost
from osanas.study.records import UNNUMBERED, Candidate


@dataclass(frozen=True)
class OptunaSync:
    """Tells Optuna what is in our tables, in whatever order a crash has left both."""

    study: optuna.study.Study
    objectives: tuple[str, ...]
    limits: Limits

    def unfinished(self) -> list[FrozenTrial]:
        """Trials that Optuna has not heard the end of."""
        return adapter.running(self.study)

    def settle(
        self, unfinished: Sequence[FrozenTrial], evaluations: Sequence[Candidate], duplicates: Mapping[int, int]
    ) -> None:
        """Tells every stored result that Optuna has not heard of, of duplicates too."""
        by_number = {one.evaluation: one for one in evaluations}
        by_trial = {one.trial: one for one in evaluations}
        for frozen in unfinished:
            result = by_trial.get(frozen.number) or by_number.get(duplicates.get(frozen.number, -1))
            if result is not None and result.status != "running":
                self._tell(adapter.adopt_trial(self.study, frozen), result)

    def require_ours(self, evaluations: Sequence[Candidate], study: str) -> None:
        """Refuses to go on where Optuna's tables lack trials that ours know.

        Args:
            evaluations: All of the study.
            study: Its name.

        Raises:
            StudyError: They do, as in a database that was set back in parts.
        """
        known = max((one.trial for one in evaluations), default=UNNUMBERED)
        held = len(self.study.get_trials(deepcopy=False))
        if known >= held:
            raise StudyError(
                f"Optuna's tables of the study '{study}' hold {held} trials, but trial {known} is known.",
                "Restore the database from a copy, or start a new study.",
            )

    def discard(self, trial: Trial, reason: str) -> None:
        """Ends a trial that belongs to no evaluation."""
        adapter.tell(self.study, trial, values=None, excess={}, notes={"reason": reason})

    def _tell(self, trial: Trial, evaluation: Candidate) -> None:
        notes = {
            adapter.ARCHITECTURE_ATTR: evaluation.digest,
            "architecture": str(evaluation.architecture),
            adapter.EPOCHS_ATTR: evaluation.epochs,
            "status": evaluation.status if trial.number == evaluation.trial else f"duplicate of {evaluation.trial}",
            "parameters": evaluation.parameters,
            "multiply_adds": evaluation.multiply_adds,
        }
        if evaluation.reason is not None:
            notes["reason"] = evaluation.reason
        excess = self.limits.excess(evaluation.costs)
        adapter.tell(self.study, trial, values=self._values(evaluation), excess=excess, notes=notes)

    def _values(self, evaluation: Candidate) -> Sequence[float] | None:
        """Optuna's values, or None of a failure.

        A candidate over a limit has the score 0, since nothing would be learned from one without values.
        """
        figures = [
            evaluation.figure(name) if is_cost(name) or evaluation.is_complete else 0.0 for name in self.objectives
        ]
        values = [figure for figure in figures if figure is not None]
        known = evaluation.status != "failed" and len(values) == len(self.objectives)
        return values if known else None


def unclaimed(
    unfinished: Sequence[FrozenTrial],
    evaluations: Sequence[Candidate],
    duplicates: Mapping[int, int],
    *,
    is_starting: bool,
) -> list[FrozenTrial]:
    """Trials whose worker died between asking and claiming.

    Args:
        unfinished: Trials that Optuna has not heard the end of.
        evaluations: All of the study, read after those trials and after ``is_starting``: whoever asked for one of
            them and lives has claimed it by that time.
        duplicates: Likewise.
        is_starting: Whether another worker is about to begin a trial; then nothing is known.
    """
    if is_starting:
        return []
    claimed = {one.trial for one in evaluations} | duplicates.keys()
    given = {(one.digest, one.epochs, one.repeat) for one in evaluations if one.trial == UNNUMBERED}
    return [one for one in unfinished if one.number not in claimed and adapter.added_for(one) not in given]
