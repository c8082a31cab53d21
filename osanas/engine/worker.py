"""The loop of one worker: what to do next is read from the database, so a crash loses no decision.

Optuna's trial, our claim, our result and the telling of it are four writes in this order:

    ask (or add a RUNNING trial) -> claim the network -> store the result -> tell

Whatever write was the last before a crash, the next start goes on from there.
"""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import optuna
from optuna.trial import Trial

from osanas.arch import Architecture
from osanas.config import Objective, StudyConfig
from osanas.engine import optuna_study as adapter
from osanas.engine.events import (
    CandidateDone,
    CandidateStarted,
    EpochDone,
    Event,
    Listener,
    Note,
    SearchStarted,
    Waiting,
)
from osanas.errors import CandidateError, EnvironmentFailure, OsanasError, SearchFailed, TrainingStopped
from osanas.evaluation.evaluator import CandidateCosts, Evaluator
from osanas.spaces import SearchSpace
from osanas.store import leases
from osanas.store.database import masked
from osanas.store.records import CurvePoint, EvaluationRecord, Lease, Outcome, StudyRecord
from osanas.store.store import Store
from osanas.store.view import StudyView, front_of

DUPLICATES_BEFORE_RANDOM = 20
INFEASIBLE_IN_A_ROW = 200
FAILURES_IN_A_ROW = 5
UNSEEN_DRAWS = 2000
"""Random members drawn in the hope of an unseen one before the space is enumerated or called exhausted."""
ENUMERABLE = 200_000
COUNTABLE_AT_ONCE = 2000
POLL_S = 2.0


@dataclass
class _Streaks:
    """How many candidates in a row ended in the same way."""

    duplicates: int = 0
    infeasible: int = 0
    failures: int = 0
    failure_kind: str | None = None

    def count(self, status: str, kind: str | None = None) -> None:
        if status == "duplicate":
            self.duplicates += 1
            return
        self.duplicates = 0
        self.infeasible = self.infeasible + 1 if status == "infeasible" else 0
        same = status == "failed" and kind == self.failure_kind
        self.failures = self.failures + 1 if same else int(status == "failed")
        self.failure_kind = kind if status == "failed" else None


@dataclass
class Worker:
    """Works on a study until its total is reached.

    Attributes:
        folder: Where checkpoints lie while a candidate trains.
        listener: Told of everything that happens.
    """

    store: Store
    record: StudyRecord
    study: optuna.study.Study
    space: SearchSpace
    evaluator: Evaluator
    config: StudyConfig
    objectives: tuple[Objective, ...]
    folder: Path
    listener: Listener
    _streaks: _Streaks = field(default_factory=_Streaks)
    _distinct: int | None = None
    """Number of distinct networks in a space small enough to count them at once."""

    def __post_init__(self) -> None:
        if self.space.size <= COUNTABLE_AT_ONCE:
            self._distinct = len({self.evaluator.canonical(member).digest for member in self.space.enumerate()})

    def run(self) -> None:
        """Evaluates candidates until the total, the time limit or the end of the space.

        Raises:
            SearchFailed: Nothing feasible, the same failure again and again, or no candidate trained at all.
            EnvironmentFailure: Device, meter or database; resumable.
            KeyboardInterrupt: Resumable, too.
        """
        deadline = None if self.config.timeout is None else time.monotonic() + self.config.timeout
        lease = leases.open_lease(self.store, self.record.id)
        try:
            with leases.LeaseKeeper(self.store, lease) as keeper:
                self._listen(self._started())
                while self._step(lease, keeper, deadline):
                    pass
        finally:
            leases.close_lease(self.store, lease)
        if not any(evaluation.status == "complete" for evaluation in self._evaluations()):
            raise SearchFailed(
                "The search ended without a trained candidate.", "See 'osanas show' for the reason of each trial."
            )

    def _step(self, lease: Lease, keeper: leases.LeaseKeeper, deadline: float | None) -> bool:
        """Does the next thing there is to do. False at the end."""
        self._settle()
        if deadline is not None and time.monotonic() > deadline:
            self._listen(Note("The time limit is reached; the same command goes on."))
            return False
        unfinished = [evaluation for evaluation in self._evaluations() if evaluation.status == "running"]
        orphan = leases.adopt(self.store, lease, unfinished) if unfinished else None
        if orphan is not None:
            self._continue(lease, keeper, orphan)
            return True
        if leases.reserve(self.store, lease, self.config.trials, self.config.epochs):
            if self._propose(lease, keeper):
                return True
            leases.release(self.store, lease)
            self._listen(Note(f"Every network of the space '{self.space.name}' has been evaluated."))
        holders, starting = leases.others(self.store, lease)
        if holders or starting:
            self._listen(Waiting(tuple(holders)))
            keeper.lost.wait(POLL_S)
            return True
        return any(evaluation.status == "running" for evaluation in self._evaluations())

    # what to evaluate -------------------------------------------------------------------------------------------

    def _propose(self, lease: Lease, keeper: leases.LeaseKeeper) -> bool:
        """Evaluates the next new candidate. False if the space holds none."""
        evaluations = self._evaluations()
        seen = {evaluation.digest for evaluation in evaluations}
        if self._distinct is not None and len(seen) >= self._distinct:
            return False
        for _, start in self.space.start_from:
            architecture = self.evaluator.canonical(start)
            if architecture.digest not in seen:
                return self._evaluate_given(lease, keeper, architecture)
        unclaimed = self._unclaimed(lease, evaluations)
        if unclaimed is not None:
            trial, architecture = unclaimed
        elif self._streaks.duplicates >= DUPLICATES_BEFORE_RANDOM:
            unseen = self._unseen(seen)
            return unseen is not None and self._evaluate_given(lease, keeper, unseen)
        else:
            trial, architecture = adapter.ask(self.study, self.space)
        architecture = self.evaluator.canonical(architecture)
        evaluation, ours = self.store.claim(lease, architecture.digest, architecture, self.config.epochs, trial.number)
        if not ours and evaluation.status == "infeasible" and self._feasible(evaluation):
            reopened = self.store.reopen(lease, evaluation.id, trial.number)
            evaluation, ours = (reopened, True) if reopened is not None else (evaluation, False)
        if ours:
            self._evaluate(lease, keeper, evaluation, trial, continued=False)
        else:
            self._streaks.count("duplicate")
            self.store.add_duplicate(self.record.id, trial.number, evaluation.id)
        return True

    def _evaluate_given(self, lease: Lease, keeper: leases.LeaseKeeper, architecture: Architecture) -> bool:
        """Evaluates a starting point or a random unseen member, unless another worker has just claimed it."""
        evaluation, ours = self.store.claim(lease, architecture.digest, architecture, self.config.epochs, None)
        if ours:
            trial = adapter.add_running(self.study, self.space, architecture, self.evaluator.canonical)
            self.store.assign_trial(lease, evaluation.id, trial.number)
            self._evaluate(lease, keeper, evaluation, trial, continued=False)
        return True

    def _continue(self, lease: Lease, keeper: leases.LeaseKeeper, evaluation: EvaluationRecord) -> None:
        """Goes on with an evaluation whose worker is gone, under the same trial number."""
        if evaluation.trial is None:
            trial = adapter.find_running(self.study, evaluation.digest)
            if trial is None:
                trial = adapter.add_running(self.study, self.space, evaluation.architecture, self.evaluator.canonical)
            self.store.assign_trial(lease, evaluation.id, trial.number)
        else:
            number = evaluation.trial
            frozen = next((frozen for frozen in self.study.get_trials(deepcopy=False) if frozen.number == number), None)
            if frozen is None:
                raise SearchFailed(
                    f"Trial {number} is missing from Optuna's tables of the study '{self.record.name}'.",
                    "Restore the database from a copy, or start a new study.",
                )
            trial = adapter.adopt_trial(self.study, frozen)
        self._evaluate(lease, keeper, evaluation, trial, continued=True)

    def _unclaimed(self, lease: Lease, evaluations: list[EvaluationRecord]) -> tuple[Trial, Architecture] | None:
        """A trial whose worker died between asking and claiming."""
        known = {evaluation.trial for evaluation in evaluations} | self.store.duplicates(self.record.id).keys()
        left = [frozen for frozen in adapter.running(self.study) if frozen.number not in known]
        if not left or leases.others(self.store, lease)[1]:
            return None  # another worker may be just there
        for frozen in left:
            architecture = adapter.decode(self.space, frozen)
            if architecture is not None:
                return adapter.adopt_trial(self.study, frozen), architecture
            adapter.tell(
                self.study,
                adapter.adopt_trial(self.study, frozen),
                values=None,
                excess={},
                notes={"reason": "cut off before its parameters were stored"},
            )
        return None

    def _unseen(self, seen: set[str]) -> Architecture | None:
        """A random member that no trial has claimed, or None if there is none left."""
        rng = random.Random(f"{self.config.seed}-{len(seen)}")  # noqa: S311 - a draw, not a secret
        for _ in range(UNSEEN_DRAWS):
            architecture = self.evaluator.canonical(self.space.sample(rng))
            if architecture.digest not in seen:
                return architecture
        if self.space.size > ENUMERABLE:
            return None
        members = (self.evaluator.canonical(member) for member in self.space.enumerate())
        return next((member for member in members if member.digest not in seen), None)

    # evaluating -------------------------------------------------------------------------------------------------

    def _evaluate(
        self, lease: Lease, keeper: leases.LeaseKeeper, evaluation: EvaluationRecord, trial: Trial, *, continued: bool
    ) -> None:
        self._listen(CandidateStarted(trial.number, evaluation.architecture, continued))
        try:
            outcome = self._outcome(keeper, evaluation, trial.number)
        except TrainingStopped:
            self._listen(Note(f"Trial {trial.number} was taken over by another worker."))
            raise EnvironmentFailure(
                "This worker was cut off from the database for longer than its lease.",
                "Run the same command again; the trial goes on with another worker.",
            ) from None
        self.store.finish(lease, evaluation.id, outcome)
        self._checkpoint(trial.number).unlink(missing_ok=True)
        self._settle()
        self._streaks.count(outcome.status, outcome.reason_kind)
        self._give_up_if_hopeless(outcome)

    def _outcome(self, keeper: leases.LeaseKeeper, evaluation: EvaluationRecord, number: int) -> Outcome:
        """Costs, limits, training: each may end it with a reason."""

        def on_epoch(point: CurvePoint) -> None:
            self.store.save_epoch(evaluation.id, point)
            self._listen(EpochDone(number, point.epoch, evaluation.epochs, point.val_accuracy))

        try:
            costs = self.evaluator.measure(evaluation.architecture)
            self.store.save_costs(evaluation.id, asdict(costs))
            broken = self._broken_by(costs)
            if broken is not None:
                return Outcome("infeasible", reason_kind="limit", reason=broken)
            trained = self.evaluator.train(
                evaluation.architecture,
                epochs=evaluation.epochs,
                checkpoint=self._checkpoint(number),
                on_epoch=on_epoch,
                should_stop=keeper.lost.is_set,
            )
        except CandidateError as error:
            return Outcome("failed", reason_kind=error.kind, reason=str(error))
        except MemoryError:
            return Outcome("failed", reason_kind="out_of_memory", reason="The machine's memory does not hold it.")
        except OsanasError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever else a network or a user's evaluator raises is its own
            kind = type(error).__name__
            return Outcome("failed", reason_kind=kind[:40], reason=f"{kind}: {' '.join(str(error).split())[:500]}")
        for note in trained.notes:
            self._listen(Note(f"Trial {number}: {note}"))
        return Outcome("complete", accuracy=trained.accuracy, training_seconds=trained.seconds)

    def _settle(self) -> None:
        """Tells Optuna every stored result that it has not heard of, of duplicates too."""
        unheard = adapter.running(self.study)
        if not unheard:
            return
        evaluations = self._evaluations()
        by_id = {evaluation.id: evaluation for evaluation in evaluations}
        by_trial = {evaluation.trial: evaluation for evaluation in evaluations}
        duplicates = self.store.duplicates(self.record.id)
        for frozen in unheard:
            number = frozen.number
            evaluation = by_trial.get(number) or by_id.get(duplicates.get(number, -1))
            if evaluation is None or evaluation.status == "running":
                continue
            self._tell(adapter.adopt_trial(self.study, frozen), evaluation)

    def _tell(self, trial: Trial, evaluation: EvaluationRecord) -> None:
        figures = {"accuracy": evaluation.accuracy if evaluation.status == "complete" else 0.0, **evaluation.costs}
        values = [figures[objective] for objective in self.objectives]
        known = evaluation.status != "failed" and None not in values
        notes = {
            adapter.ARCHITECTURE_ATTR: evaluation.digest,
            "architecture": str(evaluation.architecture),
            "epochs": evaluation.epochs,
            "status": evaluation.status if trial.number == evaluation.trial else f"duplicate of {evaluation.trial}",
            "parameters": evaluation.costs["parameters"],
            "multiply_adds": evaluation.costs["multiply_adds"],
        }
        if evaluation.reason is not None:
            notes["reason"] = evaluation.reason
        adapter.tell(
            self.study,
            trial,
            values=[value for value in values if value is not None] if known else None,
            excess=self.config.limits.excess(evaluation.costs),
            notes=notes,
        )
        self._announce(trial.number)

    # ends -------------------------------------------------------------------------------------------------------

    def _give_up_if_hopeless(self, outcome: Outcome) -> None:
        if self._streaks.failures >= FAILURES_IN_A_ROW:
            raise SearchFailed(
                f"{FAILURES_IN_A_ROW} candidates in a row failed for the same reason: {outcome.reason}",
                "Remove the cause (a smaller --train-batch-size, a lower learning rate), then run the same command.",
            )
        if self._streaks.infeasible >= INFEASIBLE_IN_A_ROW:
            raise SearchFailed(
                f"{INFEASIBLE_IN_A_ROW} candidates in a row broke a limit before training. {self._closest()}",
                "Relax the limit, or choose a smaller --space.",
            )

    def _closest(self) -> str:
        limits = self.config.limits
        misses = [
            (max(limits.excess(evaluation.costs).values()), evaluation)
            for evaluation in self._evaluations()
            if evaluation.status == "infeasible"
        ]
        if not misses:
            return ""
        _, nearest = min(misses, key=lambda miss: miss[0])
        return f"The closest was trial {nearest.trial}: {limits.broken_by(nearest.costs)}."

    # small things -----------------------------------------------------------------------------------------------

    def _evaluations(self) -> list[EvaluationRecord]:
        return self.store.evaluations(self.record.id)

    def _broken_by(self, costs: CandidateCosts) -> str | None:
        return self.config.limits.broken_by(
            {
                "latency_ms": costs.latency_ms,
                "energy_mj": costs.energy_mj,
                "parameters": costs.parameters,
                "multiply_adds": costs.multiply_adds,
            }
        )

    def _feasible(self, evaluation: EvaluationRecord) -> bool:
        return self.config.limits.broken_by(evaluation.costs) is None

    def _checkpoint(self, trial: int) -> Path:
        # The time of the study's creation keeps apart studies of one name in several databases.
        return self.folder / "checkpoints" / f"{int(self.record.created_at * 1000):x}-{trial}.ckpt"

    def _trained(self) -> int:
        return sum(e.status == "complete" and e.epochs == self.config.epochs for e in self._evaluations())

    def _announce(self, trial: int) -> None:
        view = StudyView(self.store, self.record.name)
        candidates = view.candidates()
        found = front_of(candidates, self.objectives, view.record)
        candidate = next(candidate for candidate in candidates if candidate.trial == trial)
        self._listen(
            CandidateDone(candidate, self._trained(), self.config.trials, len(found.candidates), found.hypervolume)
        )

    def _started(self) -> SearchStarted:
        return SearchStarted(
            study=self.record.name,
            storage=masked(self.store.url),
            folder=self.folder,
            objectives=self.objectives,
            energy_source=self.record.identity["energy_source"],
            device=self.record.device,
            sampler=self.config.sampler,
            space=self.space.name,
            space_size=self.space.size,
            epochs=self.config.epochs,
            trained=self._trained(),
            target=self.config.trials,
            limits=self.config.limits,
        )

    def _listen(self, event: Event) -> None:
        self.listener(event)
