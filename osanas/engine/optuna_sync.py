"""Optuna's trials kept in step with our results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, Trial

from osanas.engine import optuna_study as adapter
from osanas.store import leases
from osanas.store.store import Store
from osanas.study.config import Limits, Objective
from osanas.study.records import EvaluationRecord, Lease


@dataclass(frozen=True)
class Telling:
    """Tells Optuna what is in our tables, in whatever order a crash has left both.

    Attributes:
        study_id: Of our row.
    """

    store: Store
    study_id: int
    study: optuna.study.Study
    objectives: tuple[Objective, ...]
    limits: Limits

    def settle(self) -> list[int]:
        """Tells every stored result that Optuna has not heard of, of duplicates too, and returns their trials."""
        unheard = adapter.running(self.study)
        if not unheard:
            return []
        told = []
        evaluations = self.store.evaluations(self.study_id)
        by_id = {evaluation.id: evaluation for evaluation in evaluations}
        by_trial = {evaluation.trial: evaluation for evaluation in evaluations}
        duplicates = self.store.duplicates(self.study_id)
        for frozen in unheard:
            evaluation = by_trial.get(frozen.number) or by_id.get(duplicates.get(frozen.number, -1))
            if evaluation is not None and evaluation.status != "running":
                self._tell(adapter.adopt_trial(self.study, frozen), evaluation)
                told.append(frozen.number)
        return told

    def unclaimed(self, lease: Lease) -> list[FrozenTrial]:
        """Trials whose worker died between asking and claiming."""
        left = adapter.running(self.study)
        if not left or leases.others(self.store, lease)[1]:
            return []  # another worker may be just there
        # Read only now: whoever asked for one of those trials and lives has claimed it by this time.
        evaluations = self.store.evaluations(self.study_id)
        claimed = {evaluation.trial for evaluation in evaluations} | self.store.duplicates(self.study_id).keys()
        given = {(evaluation.digest, evaluation.epochs) for evaluation in evaluations if evaluation.trial is None}
        return [frozen for frozen in left if frozen.number not in claimed and adapter.added_for(frozen) not in given]

    def discard(self, trial: Trial, reason: str) -> None:
        """Ends a trial that belongs to no evaluation."""
        adapter.tell(self.study, trial, values=None, excess={}, notes={"reason": reason})

    def _tell(self, trial: Trial, evaluation: EvaluationRecord) -> None:
        values = self._values(evaluation)
        notes = {
            adapter.ARCHITECTURE_ATTR: evaluation.digest,
            "architecture": str(evaluation.architecture),
            adapter.EPOCHS_ATTR: evaluation.epochs,
            "status": evaluation.status if trial.number == evaluation.trial else f"duplicate of {evaluation.trial}",
            "parameters": evaluation.costs["parameters"],
            "multiply_adds": evaluation.costs["multiply_adds"],
        }
        if evaluation.reason is not None:
            notes["reason"] = evaluation.reason
        excess = self.limits.excess(evaluation.costs)
        adapter.tell(self.study, trial, values=values, excess=excess, notes=notes)

    def _values(self, evaluation: EvaluationRecord) -> Sequence[float] | None:
        """Optuna's values, or None of a failure.

        A candidate over a limit has the accuracy 0, since nothing would be learned from one without values.
        """
        figures = {"accuracy": evaluation.accuracy if evaluation.is_complete else 0.0, **evaluation.costs}
        values = [value for objective in self.objectives if (value := figures[objective]) is not None]
        known = evaluation.status != "failed" and len(values) == len(self.objectives)
        return values if known else None
