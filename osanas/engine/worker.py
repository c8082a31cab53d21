"""The loop of one worker: what to do next is read from the database, so a crash loses no decision.

Optuna's trial, our claim, our result and the telling of it are four writes in this order:

    ask (or add a RUNNING trial) -> claim the network -> store the result -> tell

Whatever write was the last before a crash, the next start goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, Trial

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
from osanas.engine.figures import check_finite, keep_costs
from osanas.engine.members import Members
from osanas.engine.remeasure import Ask, Remeasurement
from osanas.engine.streaks import FAILURES_IN_A_ROW, INFEASIBLE_IN_A_ROW, Streaks
from osanas.errors import CandidateError, OsanasError, SearchFailed, StudyError, TrainingStopped
from osanas.evaluation.evaluator import CandidateCosts, Evaluator
from osanas.spaces import SearchSpace
from osanas.store import leases
from osanas.store.database import masked
from osanas.store.records import CurvePoint, EvaluationRecord, Lease, Outcome, StudyRecord
from osanas.store.rows import lease_lost
from osanas.store.store import Store
from osanas.store.view import StudyView, front_of

POLL_S = 2.0


@dataclass
class Worker:
    """Works on a study until its total is reached.

    Attributes:
        folder: Where checkpoints lie while a candidate trains.
        listener: Told of everything that happens.
        remeasure: Whether the front of an earlier measurement key is measured again; None has not been said.
        ask: For a question to the user; None where nobody can answer.
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
    remeasure: bool | None = None
    ask: Ask | None = None
    _streaks: Streaks = field(default_factory=Streaks)
    _listener_error: Exception | None = None
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._members = Members(self.space, self.evaluator.canonical)
        self._key = self.evaluator.keys().search

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
                self.study.sampler = adapter.make_sampler(self.config.sampler, self._sampler_seed(lease))
                self._check_trials()
                self._listen(self._started())
                self.evaluator = self.evaluator.in_study(self.store, self.record.id, self._say)
                again = Remeasurement(self.store, self.record.name, self.evaluator, self._listen)
                again.left_behind(remeasure=self.remeasure, ask=self.ask)
                while self._step(lease, keeper, deadline):
                    pass
                if self._is_last(lease, keeper):
                    again.front_in_full()
        finally:
            leases.close_lease(self.store, lease)
        if not any(evaluation.status == "complete" for evaluation in self._evaluations()):
            raise SearchFailed(
                f"The search ended without a trained candidate. {self._closest()}".rstrip(),
                "See 'osanas show' for the reason of each trial.",
            )

    def _step(self, lease: Lease, keeper: leases.LeaseKeeper, deadline: float | None) -> bool:
        """Does the next thing there is to do. False at the end."""
        self._settle()
        if deadline is not None and time.monotonic() > deadline:
            self._listen(Note("The time limit is reached; the same command goes on."))
            return False
        orphan = leases.adopt(self.store, lease) if self._unfinished() else None
        if orphan is not None:
            self._continue(lease, keeper, orphan)
            return True
        exhausted = False
        if leases.reserve(self.store, lease, self.config.trials, self.config.epochs):
            if self._propose(lease, keeper):
                return True
            leases.release(self.store, lease)
            exhausted = True
        holders, starting = leases.others(self.store, lease)
        if holders or starting:
            self._listen(Waiting(tuple(holders)))
            keeper.lost.wait(POLL_S)
            return True
        if self._unfinished():
            return True
        for frozen in self._unclaimed(lease):
            self._discard(adapter.adopt_trial(self.study, frozen), "its worker ended before it was begun")
        if exhausted:
            self._listen(Note(f"Every network of the space '{self.space.name}' has been evaluated."))
        return False

    # what to evaluate -------------------------------------------------------------------------------------------

    def _propose(self, lease: Lease, keeper: leases.LeaseKeeper) -> bool:
        """Evaluates the next new candidate. False if the space holds none."""
        seen = {evaluation.digest for evaluation in self._evaluations() if not self._fits_now(evaluation)}
        if self._members.count is not None and len(seen) >= self._members.count:
            return False
        start = self._members.start(seen)
        if start is not None:
            return self._evaluate_given(lease, keeper, start)
        unclaimed = self._unclaimed(lease)
        if unclaimed:
            trial = adapter.adopt_trial(self.study, unclaimed[0])
        elif self._streaks.sampler_is_stuck:
            unseen = self._members.unseen(seen, self.config.seed)
            return unseen is not None and self._evaluate_given(lease, keeper, unseen)
        else:
            trial = adapter.ask(self.study, self.space)
        proposed = adapter.decode(self.space, trial.params)
        if proposed is None:
            self._discard(trial, "its parameters name no member of the space")
            return True
        evaluation, ours = self._claim(lease, self.evaluator.canonical(proposed), trial.number)
        if ours:
            self._evaluate(lease, keeper, evaluation, trial, continued=False)
        else:
            self._streaks.count("duplicate")
            self.store.add_duplicate(self.record.id, trial.number, evaluation.id)
        return True

    def _claim(self, lease: Lease, architecture: Architecture, trial: int | None) -> tuple[EvaluationRecord, bool]:
        """Claims a network, or an infeasible one again that the limits now allow; and whether it is ours to do."""
        evaluation, ours = self.store.claim(lease, architecture.digest, architecture, self.config.epochs, trial)
        if not ours and self._fits_now(evaluation):
            reopened = self.store.reopen(lease, evaluation.id, trial)
            return (evaluation, False) if reopened is None else (reopened, True)
        return evaluation, ours

    def _evaluate_given(self, lease: Lease, keeper: leases.LeaseKeeper, architecture: Architecture) -> bool:
        """Evaluates a starting point or a random unseen member, unless another worker has just claimed it."""
        evaluation, ours = self._claim(lease, architecture, None)
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
            trial = adapter.adopt_trial(self.study, adapter.by_number(self.study, evaluation.trial))
        self._evaluate(lease, keeper, evaluation, trial, continued=True)

    def _unclaimed(self, lease: Lease) -> list[FrozenTrial]:
        """Trials whose worker died between asking and claiming."""
        left = adapter.running(self.study)
        if not left or leases.others(self.store, lease)[1]:
            return []  # another worker may be just there
        # Read only now: whoever asked for one of those trials and lives has claimed it by this time.
        evaluations = self._evaluations()
        claimed = {evaluation.trial for evaluation in evaluations} | self.store.duplicates(self.record.id).keys()
        given = {evaluation.digest for evaluation in evaluations if evaluation.trial is None}
        return [
            frozen
            for frozen in left
            if frozen.number not in claimed and frozen.user_attrs.get(adapter.ARCHITECTURE_ATTR) not in given
        ]

    def _discard(self, trial: Trial, reason: str) -> None:
        """Ends a trial that belongs to no evaluation."""
        adapter.tell(self.study, trial, values=None, excess={}, notes={"reason": reason})

    # evaluating -------------------------------------------------------------------------------------------------

    def _evaluate(
        self, lease: Lease, keeper: leases.LeaseKeeper, evaluation: EvaluationRecord, trial: Trial, *, continued: bool
    ) -> None:
        self._listen(CandidateStarted(trial.number, evaluation.architecture, continued))
        try:
            outcome = self._outcome(keeper, evaluation, trial.number)
        except TrainingStopped:
            raise lease_lost() from None
        self.store.finish(lease, evaluation.id, outcome)
        self._checkpoint(trial.number).unlink(missing_ok=True)
        if trial.number not in self._settle():  # another worker was first to tell it
            self._announce(trial.number)
        self._streaks.count(outcome.status, outcome.reason_kind)
        self._give_up_if_hopeless(outcome)

    def _outcome(self, keeper: leases.LeaseKeeper, evaluation: EvaluationRecord, number: int) -> Outcome:
        """Costs, limits, training: each may end it with a reason."""

        def on_epoch(point: CurvePoint) -> None:
            self.store.save_epoch(evaluation.id, point)
            self._listen(EpochDone(number, point.epoch, evaluation.epochs, point.val_accuracy))

        try:
            costs = self.evaluator.measure(evaluation.architecture)
            keep_costs(self.store, evaluation.id, evaluation.digest, costs, self._key)
            self._say_once(number, costs.notes)
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
            check_finite(accuracy=trained.accuracy)
        except CandidateError as error:
            return Outcome("failed", reason_kind=error.kind[:40], reason=str(error))
        except MemoryError:
            return Outcome("failed", reason_kind="out_of_memory", reason="The machine's memory does not hold it.")
        except OsanasError:
            raise
        except Exception as error:  # whatever else a network or a user's evaluator raises is its own
            if error is self._listener_error:
                raise
            kind = type(error).__name__
            return Outcome("failed", reason_kind=kind[:40], reason=f"{kind}: {' '.join(str(error).split())[:500]}")
        for note in trained.notes:
            self._listen(Note(f"Trial {number}: {note}"))
        return Outcome("complete", accuracy=trained.accuracy, training_seconds=trained.seconds)

    def _settle(self) -> set[int]:
        """Tells Optuna every stored result that it has not heard of, of duplicates too, and returns their trials."""
        unheard = adapter.running(self.study)
        if not unheard:
            return set()
        told = set()
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
            self._announce(number)
            told.add(number)
        return told

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

    # ends -------------------------------------------------------------------------------------------------------

    def _is_last(self, lease: Lease, keeper: leases.LeaseKeeper) -> bool:
        """Whether the end of this worker is that of the search; of several at their end, the oldest goes first."""
        while True:
            holders, starting = leases.others(self.store, lease)
            if holders or starting:  # they go on, and this worker's time is over
                return False
            if leases.rank(self.store, lease) == 0:
                return True
            self._listen(Waiting(()))
            keeper.lost.wait(POLL_S)

    def _give_up_if_hopeless(self, outcome: Outcome) -> None:
        if self._streaks.fails_alike:
            raise SearchFailed(
                f"{FAILURES_IN_A_ROW} candidates in a row failed for the same reason: {outcome.reason}",
                "Remove the cause (a smaller --train-batch-size, a lower learning rate), then run the same command.",
            )
        if self._streaks.nothing_fits:
            raise SearchFailed(
                f"{INFEASIBLE_IN_A_ROW} candidates in a row broke a limit before training. {self._closest()}",
                "Relax the limit, or choose a smaller --space.",
            )

    def _closest(self) -> str:
        limits = self.config.limits
        misses = [
            (max(limits.excess(evaluation.costs).values()), evaluation)
            for evaluation in self._evaluations()
            if evaluation.status == "infeasible" and not self._fits_now(evaluation)
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

    def _unfinished(self) -> bool:
        return any(evaluation.status == "running" for evaluation in self._evaluations())

    def _fits_now(self, evaluation: EvaluationRecord) -> bool:
        """Whether it was stopped by a limit that has been relaxed since."""
        return evaluation.status == "infeasible" and self.config.limits.broken_by(evaluation.costs) is None

    def _sampler_seed(self, lease: Lease) -> int:
        """A seed that differs between the runs and the workers of a study, as equal ones propose equal candidates."""
        done = len(self.study.get_trials(deepcopy=False))
        return (self.config.seed * 1_000_003 + done * 1009 + leases.rank(self.store, lease)) % 2**32

    def _check_trials(self) -> None:
        numbers = [evaluation.trial for evaluation in self._evaluations() if evaluation.trial is not None]
        known = max(numbers, default=-1)
        held = len(self.study.get_trials(deepcopy=False))
        if known >= held:
            raise StudyError(
                f"Optuna's tables of the study '{self.record.name}' hold {held} trials, but trial {known} is known.",
                "Restore the database from a copy, or start a new study.",
            )

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

    def _say_once(self, trial: int, notes: Iterable[str]) -> None:
        """Tells of the first trial to which each note applies."""
        for note in notes:
            if note not in self._said:
                self._said.add(note)
                self._listen(Note(f"Trial {trial}: {note} (later trials may be too)"))

    def _say(self, text: str) -> None:
        self._listen(Note(text))

    def _listen(self, event: Event) -> None:
        try:
            self.listener(event)
        except Exception as error:
            self._listener_error = error  # so that it is not taken for the failure of a candidate
            raise
