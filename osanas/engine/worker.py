"""The loop of one worker: what to do next is read from the database, so a crash loses no decision.

Optuna's trial, our claim, our result and the telling of it are four writes in this order:

    ask (or claim, then add a RUNNING trial) -> claim the network at its rung -> store the result -> tell

Whatever write was the last before a crash, the next start goes on from there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.samplers import BaseSampler

from osanas.engine import optuna_study as adapter
from osanas.engine.checkpoints import Checkpoints
from osanas.engine.evaluating import Evaluating
from osanas.engine.next_step import FAILURES_IN_A_ROW, INFEASIBLE_IN_A_ROW, NextStep, StartingPoints, Streaks, none_fits
from osanas.engine.optuna_sync import Telling
from osanas.engine.remeasure import Ask, Remeasurement
from osanas.engine.samplers import FirstRungs, KnownCostSampler, make_sampler
from osanas.errors import SearchFailed, StudyError, TrainingStopped
from osanas.evaluation.evaluator import Evaluator
from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.results.study import StudyView, front_of
from osanas.store import leases
from osanas.store.database import masked
from osanas.store.rows import lease_lost
from osanas.store.store import Store
from osanas.strategy.features import Features
from osanas.strategy.history import History, fits_now, history_of
from osanas.strategy.known_cost import KnownCost
from osanas.strategy.ladder import Promotion, worth_keeping
from osanas.study.config import Objective, StudyConfig
from osanas.study.events import CandidateDone, CandidateStarted, Listener, Note, SearchStarted, Voice, Waiting
from osanas.study.records import EvaluationRecord, Lease, Outcome, StudyRecord

POLL_S = 2.0


@dataclass
class Worker:
    """Works on a study until its total is reached and nothing is to be promoted.

    Attributes:
        folder: Of the study; checkpoints lie in it.
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

    def __post_init__(self) -> None:
        limits = self.config.limits
        self._voice = Voice(self.listener)
        self._key = self.evaluator.keys().search
        self._at = SpaceAt(self.space, self.evaluator.shape())
        self._starts = StartingPoints(self._at, limits)
        self._telling = Telling(self.store, self.record.id, self.study, self.objectives, limits)
        # the time of the study's creation keeps apart studies of one name in several databases
        self._checkpoints = Checkpoints(self.folder / "checkpoints", f"{int(self.record.created_at * 1000):x}")
        self._rungs = self.config.rungs

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
                self._check_trials()
                self._voice.tell(self._started())
                self._begin(lease)
                again = Remeasurement(self.store, self.record.name, self.evaluator, self._voice.tell)
                again.left_behind(remeasure=self.remeasure, ask=self.ask)
                while self._step(lease, keeper, deadline):
                    pass
                if self._is_last(lease, keeper):
                    again.front_in_full()
        finally:
            leases.close_lease(self.store, lease)
        if not any(evaluation.is_complete for evaluation in self._evaluations()):
            raise SearchFailed(
                f"The search ended without a trained candidate. {self._closest()}".rstrip(),
                "See 'osanas show' for the reason of each trial.",
            )

    def _begin(self, lease: Lease) -> None:
        """Puts evaluator, strategy and sampler to work."""
        self.evaluator = self.evaluator.in_study(self.store, self.record.id, self._voice.note)
        self._evaluating = Evaluating(
            self.store, self.evaluator, self.config.limits, self._key, self._checkpoints, self._voice
        )
        # workers of equal seeds propose equal candidates
        seed = self.config.seed + 1_000_003 * leases.rank(self.store, lease)
        strategy = KnownCost(Features(self._at), seed)
        by_strategy = self.config.sampler == "known-cost"
        self._next = NextStep(strategy, self._evaluating.price if by_strategy else None)
        self.study.sampler = self._sampler(strategy, lease)
        self._tidy()
        if self._starts.left_out:
            self._voice.note(f"Starting points over a limit are left out: {'; '.join(self._starts.left_out)}.")

    def _sampler(self, strategy: KnownCost, lease: Lease) -> BaseSampler:
        # a seed that differs between runs and workers, since samplers of equal seeds repeat each other
        done = len(self.study.get_trials(deepcopy=False))
        seed = (self.config.seed * 1_000_003 + done * 1009 + leases.rank(self.store, lease)) % 2**32
        if self.config.sampler == "known-cost":
            return KnownCostSampler(strategy, self._history, self._evaluating.price, seed)
        return FirstRungs(make_sampler(self.config.sampler, seed))

    def _step(self, lease: Lease, keeper: leases.LeaseKeeper, deadline: float | None) -> bool:
        """Does the next thing there is to do. False at the end."""
        self._settle()
        if deadline is not None and time.monotonic() > deadline:
            self._voice.note("The time limit is reached; the same command goes on.")
            return False
        orphan = leases.adopt(self.store, lease) if self._unfinished() else None
        if orphan is not None:
            self._continue(lease, keeper, orphan)
            return True
        is_free = leases.reserve(self.store, lease, self.config.trials, self._rungs[0])
        exhausted = is_free and self._is_exhausted()
        promotion = self._next.promotion(self._history, self._rungs, may_begin=is_free and not exhausted)
        if promotion is not None:
            self._promote(lease, keeper, promotion)
            return True
        if is_free:
            if not exhausted and self._propose(lease, keeper):
                return True
            leases.release(self.store, lease)
            exhausted = True
        holders, starting = leases.others(self.store, lease)
        if holders or starting:
            self._voice.tell(Waiting(tuple(holders)))
            keeper.lost.wait(POLL_S)
            return True
        if self._unfinished():
            return True
        for frozen in self._telling.unclaimed(lease):
            self._telling.discard(adapter.adopt_trial(self.study, frozen), "its worker ended before it was begun")
        if exhausted:
            self._voice.tell(Note(f"Every network of the space '{self.space.name}' has been evaluated."))
        return False

    # what to evaluate -------------------------------------------------------------------------------------------

    def _propose(self, lease: Lease, keeper: leases.LeaseKeeper) -> bool:
        """Evaluates the next new candidate. False if the space holds none."""
        self._refuse_hopeless_limits()
        seen = self._seen()
        start = self._starts.due(seen)
        if start is not None:
            return self._evaluate_given(lease, keeper, start)
        unclaimed = self._telling.unclaimed(lease)
        if unclaimed:
            trial = adapter.adopt_trial(self.study, unclaimed[0])
        elif self._streaks.sampler_is_stuck:
            unseen = self._at.unseen(seen, self.config.seed)
            return unseen is not None and self._evaluate_given(lease, keeper, unseen)
        else:
            trial = adapter.ask(self.study, self._at)
        proposed = adapter.decode(self._at, trial.params)
        if proposed is None:
            self._telling.discard(trial, "its parameters name no member of the space")
            return True
        evaluation, ours = self._claim(lease, proposed, self._rungs[0], trial.number)
        if ours:
            self._evaluate(lease, keeper, evaluation, trial.number, continued=False)
        else:
            self._streaks.count("duplicate")
            self.store.add_duplicate(self.record.id, trial.number, evaluation.id)
        return True

    def _claim(
        self, lease: Lease, architecture: Architecture, epochs: int, trial: int | None
    ) -> tuple[EvaluationRecord, bool]:
        """Claims a network at a rung, or an infeasible one again that the limits now allow; and whether it is ours."""
        evaluation, ours = self.store.claim(lease, architecture.digest, architecture, epochs, trial)
        if not ours and fits_now(evaluation, self.config.limits):
            reopened = self.store.reopen(lease, evaluation.id, trial)
            return (evaluation, False) if reopened is None else (reopened, True)
        return evaluation, ours

    def _evaluate_given(
        self, lease: Lease, keeper: leases.LeaseKeeper, architecture: Architecture, epochs: int | None = None
    ) -> bool:
        """Evaluates a network that no sampler proposed, unless another worker has just claimed it.

        Args:
            epochs: The rung; None is the lowest.
        """
        evaluation, ours = self._claim(lease, architecture, self._rungs[0] if epochs is None else epochs, None)
        if ours:
            self._evaluate(lease, keeper, evaluation, self._add_trial(lease, evaluation), continued=False)
        return True

    def _promote(self, lease: Lease, keeper: leases.LeaseKeeper, promotion: Promotion) -> None:
        """Trains a candidate to a higher rung, unless another worker has just claimed that."""
        self._evaluate_given(lease, keeper, promotion.architecture, promotion.epochs)

    def _add_trial(self, lease: Lease, evaluation: EvaluationRecord) -> int:
        """Makes the trial of a claimed evaluation and returns its number."""
        trial = adapter.add_running(
            self.study,
            self._at,
            evaluation.architecture,
            epochs=evaluation.epochs,
            promoted_from=self._promoted_from(evaluation),
        )
        self.store.assign_trial(lease, evaluation.id, trial.number)
        return trial.number

    def _continue(self, lease: Lease, keeper: leases.LeaseKeeper, evaluation: EvaluationRecord) -> None:
        """Goes on with an evaluation whose worker is gone, under the same trial number."""
        number = evaluation.trial
        if number is None:
            trial = adapter.find_running(self.study, evaluation.digest, evaluation.epochs)
            if trial is None:
                number = self._add_trial(lease, evaluation)
            else:
                number = trial.number
                self.store.assign_trial(lease, evaluation.id, number)
        self._evaluate(lease, keeper, evaluation, number, continued=True)

    def _promoted_from(self, evaluation: EvaluationRecord) -> int | None:
        """The trial whose training an evaluation goes on with."""
        lower = [
            other
            for other in self._evaluations()
            if other.digest == evaluation.digest and other.epochs < evaluation.epochs and other.is_complete
        ]
        return max(lower, key=lambda other: other.epochs).trial if lower else None

    # evaluating -------------------------------------------------------------------------------------------------

    def _evaluate(
        self, lease: Lease, keeper: leases.LeaseKeeper, evaluation: EvaluationRecord, number: int, *, continued: bool
    ) -> None:
        lower = self._promoted_from(evaluation)
        self._voice.tell(
            CandidateStarted(number, evaluation.architecture, evaluation.epochs, lower, continued=continued)
        )
        try:
            outcome = self._evaluating.outcome(evaluation, number, promoted_from=lower, should_stop=keeper.lost.is_set)
        except TrainingStopped:
            raise lease_lost() from None
        self.store.finish(lease, evaluation.id, outcome)
        if number not in self._settle():  # another worker was first to tell it
            self._announce(number)
        self._tidy()
        self._streaks.count(outcome.status, outcome.reason_kind)
        self._give_up_if_hopeless(outcome)

    def _settle(self) -> list[int]:
        """Brings Optuna up to date, and returns the trials that it had not heard the end of."""
        told = self._telling.settle()
        for number in told:
            self._announce(number)
        return told

    def _tidy(self) -> None:
        """Deletes checkpoints that nothing will go on from."""

        def needed() -> set[str]:
            found = front_of(self.store.candidates(self.record.id), self.objectives, self.record)
            return worth_keeping(self._history(), {member.digest for member in found.candidates})

        self._checkpoints.tidy(needed)

    # ends -------------------------------------------------------------------------------------------------------

    def _is_last(self, lease: Lease, keeper: leases.LeaseKeeper) -> bool:
        """Whether the end of this worker is that of the search; of several at their end, the oldest goes first."""
        while True:
            holders, starting = leases.others(self.store, lease)
            if holders or starting:  # they go on, and this worker's time is over
                return False
            if leases.rank(self.store, lease) == 0:
                return True
            self._voice.tell(Waiting(()))
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

    def _refuse_hopeless_limits(self) -> None:
        """Says at once what otherwise the failures of many candidates would.

        An evaluator of the user's may count otherwise; the strategy relies on the closed form all the same.
        """
        reason = none_fits(self._at, self.config.limits)
        if self.config.sampler == "known-cost" and reason is not None:
            raise SearchFailed(
                f"No network of the space '{self.space.name}' is within the limits: the smallest has {reason}.",
                "Relax the limit, or choose a smaller --space.",
            )

    def _closest(self) -> str:
        limits = self.config.limits
        misses = [
            (max(limits.excess(evaluation.costs).values()), evaluation)
            for evaluation in self._evaluations()
            if evaluation.status == "infeasible" and not fits_now(evaluation, limits)
        ]
        if not misses:
            return ""
        _, nearest = min(misses, key=lambda miss: miss[0])
        return f"The closest was trial {nearest.trial}: {limits.broken_by(nearest.costs)}."

    # small things -----------------------------------------------------------------------------------------------

    def _evaluations(self) -> list[EvaluationRecord]:
        return self.store.evaluations(self.record.id)

    def _history(self) -> History:
        return history_of(
            self._evaluations(),
            rungs=self._rungs,
            objectives=self.objectives,
            limits=self.config.limits,
            key=self._key,
        )

    def _seen(self) -> set[str]:
        return {member.digest for member in self._history().seen}

    def _is_exhausted(self) -> bool:
        return len(self._seen()) >= self._at.count

    def _unfinished(self) -> bool:
        return any(evaluation.status == "running" for evaluation in self._evaluations())

    def _check_trials(self) -> None:
        numbers = [evaluation.trial for evaluation in self._evaluations() if evaluation.trial is not None]
        known = max(numbers, default=-1)
        held = len(self.study.get_trials(deepcopy=False))
        if known >= held:
            raise StudyError(
                f"Optuna's tables of the study '{self.record.name}' hold {held} trials, but trial {known} is known.",
                "Restore the database from a copy, or start a new study.",
            )

    def _trained(self) -> int:
        return sum(e.is_complete and e.epochs == self._rungs[0] for e in self._evaluations())

    def _announce(self, trial: int) -> None:
        view = StudyView(self.store, self.record.name)
        candidates = view.candidates()
        found = front_of(candidates, self.objectives, view.record)
        candidate = next(candidate for candidate in candidates if candidate.trial == trial)
        self._voice.tell(
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
            rungs=self._rungs,
            trained=self._trained(),
            target=self.config.trials,
            limits=self.config.limits,
        )
