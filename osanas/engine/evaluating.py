"""One evaluation: costs, limits, training. Each may end it with a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from osanas.engine.checkpoints import Checkpoints
from osanas.engine.measuring import Measuring, check_finite
from osanas.errors import CandidateError, OsanasError
from osanas.evaluation.evaluator import Trainer
from osanas.study.events import Announcer, EpochDone
from osanas.study.objectives import LIMITED, Limits
from osanas.study.records import Candidate, CurvePoint, Outcome


@dataclass(frozen=True)
class Evaluating:
    """Measures and trains candidates of a study."""

    measuring: Measuring
    trainer: Trainer
    limits: Limits
    checkpoints: Checkpoints
    announcer: Announcer

    def outcome(
        self, evaluation: Candidate, trial: int, *, promoted_from: int | None, should_stop: Callable[[], bool]
    ) -> Outcome:
        """Evaluates a candidate; what it does wrong is its outcome.

        Args:
            evaluation: What is to be done.
            trial: Its number.
            promoted_from: The trial whose training it goes on with.
            should_stop: Whether it has become another worker's.

        Raises:
            TrainingStopped: It has.
            EnvironmentFailure: Device, meter or database failed.
        """
        try:
            broken = self.limits.broken_by(self._costs(evaluation, trial))
            if broken is not None:
                return Outcome("infeasible", reason_kind="limit", reason=broken)
            return self._trained(evaluation, trial, promoted_from, should_stop)
        except Exception as error:  # noqa: BLE001 - what is not the candidate's own is raised again
            fault = own_fault(error, self.announcer)
            return Outcome("failed", reason_kind=fault.kind[:40], reason=str(fault))

    def _costs(self, evaluation: Candidate, trial: int) -> Mapping[str, float | None]:
        """Those that it has, by the present key, or else measured ones."""
        if evaluation.measurement_key == self.measuring.key:
            return evaluation.costs
        costs = self.measuring.costs(evaluation.architecture)
        self.measuring.keep(evaluation.evaluation, costs)
        for note in costs.notes:
            self.announcer.note(f"Trial {trial}: {note}.", counted_as=note)
        return {name: getattr(costs, name) for name in LIMITED}

    def _trained(
        self, evaluation: Candidate, trial: int, promoted_from: int | None, should_stop: Callable[[], bool]
    ) -> Outcome:
        def on_epoch(point: CurvePoint) -> None:
            self.measuring.store.save_epoch(evaluation.evaluation, point)
            self.announcer.tell(EpochDone(trial, point, evaluation.epochs))

        checkpoint = self.checkpoints.path(evaluation.digest, evaluation.repeat)
        if promoted_from is not None and not checkpoint.exists():
            self.announcer.note(
                f"Trial {trial}: there is no checkpoint of trial {promoted_from} on this machine, so training started "
                "over."
            )
        trained = self.trainer.train(
            evaluation.architecture,
            epochs=evaluation.epochs,
            checkpoint=checkpoint,
            on_epoch=on_epoch,
            should_stop=should_stop,
            repeat=evaluation.repeat,
        )
        check_finite(self.trainer.score.name, trained.score)
        for note in trained.notes:
            self.announcer.note(f"Trial {trial}: {note}")
        return Outcome("complete", score=trained.score, training_seconds=trained.seconds)


def own_fault(error: Exception, announcer: Announcer) -> CandidateError:
    """What a network, or a measurer or trainer of the user's, did wrong; whatever is not theirs is raised again.

    Args:
        error: Raised while a network was measured or trained.
        announcer: Knows what a listener raised meanwhile.
    """
    if isinstance(error, CandidateError):
        return error
    if isinstance(error, OsanasError) or error is announcer.error:
        raise error
    if isinstance(error, MemoryError):
        return CandidateError("out_of_memory", "The machine's memory does not hold it.")
    kind = type(error).__name__
    return CandidateError(kind, f"{kind}: {' '.join(str(error).split())[:500]}")
