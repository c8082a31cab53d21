"""One evaluation: costs, limits, training. Each may end it with a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from osanas.engine.checkpoints import Checkpoints
from osanas.engine.figures import check_finite, keep_costs
from osanas.errors import CandidateError, OsanasError
from osanas.evaluation.evaluator import Evaluator
from osanas.genotype.architecture import Architecture
from osanas.store.store import Store
from osanas.study.config import LIMITED, Limits
from osanas.study.events import EpochDone, Voice
from osanas.study.records import CurvePoint, EvaluationRecord, Outcome


@dataclass(frozen=True)
class Evaluating:
    """Measures and trains candidates of a study.

    Attributes:
        evaluator: At work in it.
        key: Digest of the present measurement key.
    """

    store: Store
    evaluator: Evaluator
    limits: Limits
    key: str
    checkpoints: Checkpoints
    voice: Voice

    def outcome(
        self,
        evaluation: EvaluationRecord,
        trial: int,
        *,
        promoted_from: int | None,
        should_stop: Callable[[], bool],
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
            costs = self._costs(evaluation, trial)
            broken = self.limits.broken_by(costs)
            if broken is not None:
                return Outcome("infeasible", reason_kind="limit", reason=broken)
            return self._trained(evaluation, trial, promoted_from, should_stop)
        except Exception as error:  # noqa: BLE001 - what is not the candidate's own is raised again
            fault = self._own_fault(error)
            return Outcome("failed", reason_kind=fault.kind[:40], reason=str(fault))

    def price(self, architecture: Architecture) -> Mapping[str, float | None]:
        """What a member of the space costs; nothing is known of one that cannot be measured.

        Raises:
            EnvironmentFailure: Device, meter or database failed.
        """
        try:
            costs = asdict(self.evaluator.measure(architecture))
            check_finite(**{name: costs[name] for name in LIMITED})
        except Exception as error:  # noqa: BLE001 - what is not the candidate's own is raised again
            self._own_fault(error)
            return dict.fromkeys(LIMITED)
        return {name: costs[name] for name in LIMITED}

    def _costs(self, evaluation: EvaluationRecord, trial: int) -> Mapping[str, float | None]:
        """Those that it has, by the present key, or else measured ones."""
        if evaluation.measurement_key == self.key:
            return evaluation.costs
        costs = self.evaluator.measure(evaluation.architecture)
        keep_costs(self.store, evaluation.id, evaluation.digest, costs, self.key)
        self.voice.note_once(trial, costs.notes)
        return {name: getattr(costs, name) for name in LIMITED}

    def _trained(
        self,
        evaluation: EvaluationRecord,
        trial: int,
        promoted_from: int | None,
        should_stop: Callable[[], bool],
    ) -> Outcome:
        def on_epoch(point: CurvePoint) -> None:
            self.store.save_epoch(evaluation.id, point)
            self.voice.tell(EpochDone(trial, point.epoch, evaluation.epochs, point.val_accuracy))

        checkpoint = self.checkpoints.path(evaluation.digest)
        if promoted_from is not None and not checkpoint.exists():
            self.voice.note(
                f"Trial {trial}: there is no checkpoint of trial {promoted_from} on this machine, so training started "
                "over."
            )
        trained = self.evaluator.train(
            evaluation.architecture,
            epochs=evaluation.epochs,
            checkpoint=checkpoint,
            on_epoch=on_epoch,
            should_stop=should_stop,
        )
        check_finite(accuracy=trained.accuracy)
        for note in trained.notes:
            self.voice.note(f"Trial {trial}: {note}")
        return Outcome("complete", accuracy=trained.accuracy, training_seconds=trained.seconds)

    def _own_fault(self, error: Exception) -> CandidateError:
        """What a network or a user's evaluator did wrong; whatever is not theirs is raised again."""
        if isinstance(error, CandidateError):
            return error
        if isinstance(error, OsanasError) or error is self.voice.error:
            raise error
        if isinstance(error, MemoryError):
            return CandidateError("out_of_memory", "The machine's memory does not hold it.")
        kind = type(error).__name__
        return CandidateError(kind, f"{kind}: {' '.join(str(error).split())[:500]}")
