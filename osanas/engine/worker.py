"""The loop of one worker: what to do next is read from the database, so a crash loses no decision.

Optuna's trial, our claim, our result and the telling of it are four writes in this order:

    ask (or claim, then add a RUNNING trial) -> claim the network at its rung -> store the result -> tell

Whatever write was the last before a crash, the next start goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from osanas.engine import optuna_study as adapter
from osanas.engine.checkpoints import Checkpoints
from osanas.engine.companions import Companions
from osanas.engine.evaluating import Evaluating
from osanas.engine.measuring import measuring_in
from osanas.engine.news import News
from osanas.engine.next_step import (
    Action,
    Adopt,
    Ask,
    Draw,
    End,
    Patience,
    Promote,
    Situation,
    Start,
    Wait,
    closest,
    decide,
)
from osanas.engine.optuna_sync import OptunaSync, unclaimed
from osanas.engine.reference import with_reference
from osanas.engine.remeasure import Question, Remeasurement
from osanas.engine.repeats import Repeat
from osanas.engine.samplers import study_to_ask
from osanas.engine.snapshot import Snapshot
from osanas.engine.starting_points import StartingPoints
from osanas.errors import SearchFailed, TrainingStopped
from osanas.evaluation.evaluator import Measurer, Trainer
from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.store.database import masked
from osanas.store.leases import Lease, Pace, lease_lost
from osanas.store.store import Store
from osanas.strategy.features import Features
from osanas.strategy.history import fits_now
from osanas.strategy.known_cost import KnownCost
from osanas.strategy.ladder import Promotion, next_promotion, worth_keeping
from osanas.strategy.outlook import Outlook
from osanas.study.config import StudyConfig
from osanas.study.events import Announcer, CandidateDone, CandidateStarted, SearchStarted, Waiting
from osanas.study.records import UNNUMBERED, Candidate, StudyRecord


@dataclass
class Worker:
    """Works on a study until its total is reached and nothing is to be promoted."""

    store: Store
    record: StudyRecord
    study: optuna.study.Study
    at: SpaceAt
    measurer: Measurer
    trainer: Trainer
    folder: Path
    announcer: Announcer
    remeasure: bool | None
    ask: Question | None
    pace: Pace
    patience: Patience
    companions: Companions
    is_companion: bool
    time_left_s: float | None

    def __post_init__(self) -> None:
        # the time of the study's creation keeps apart studies of one name in several databases
        self._checkpoints = Checkpoints(self.folder / "checkpoints", f"{int(self.record.created_at * 1000):x}")
        self._sync = OptunaSync(self.study, self.record.objectives, self.record.limits)
        self._outlook: Outlook | None = None  # while too little is known
        self._news = News()

    @property
    def _config(self) -> StudyConfig:
        return self.record.config

    def run(self) -> None:
        """Evaluates candidates until the total, the time limit or the end of the space.

        Raises:
            SearchFailed: Nothing feasible, the same failure again and again, or no candidate trained at all.
            EnvironmentFailure: Device, meter or database; resumable.
            KeyboardInterrupt: Resumable, too.
        """
        deadline = None if self.time_left_s is None else time.monotonic() + self.time_left_s
        with Lease.open(self.store, self.record.id, self.pace) as lease:
            self._lease = lease
            now = self._look()
            self._sync.require_ours(now.evaluations, self.record.name)
            self._news.begin(now.trials, [trial.number for trial in now.unfinished])
            storage, space = masked(self.store.url), self.at.space
            self.announcer.tell(SearchStarted(self.record, storage, space.name, space.size, now.trained))
            self.companions.start(None if deadline is None else deadline - time.monotonic())  # they load meanwhile
            self._begin(now)
            again = Remeasurement(self.record.name, self._evaluating.measuring, self.announcer.tell)
            if not self.is_companion:
                again.left_behind(remeasure=self.remeasure, ask=self.ask)
            while self._step(is_time_up=deadline is not None and time.monotonic() > deadline):
                pass
            self._end_companions()
            if not self.is_companion and self._is_last():
                again.front_in_full()
        evaluations = self.store.evaluations(self.record.id)
        if not any(one.is_complete for one in evaluations):
            raise SearchFailed(
                f"The search ended without a trained candidate. {closest(evaluations, self.record.limits)}".rstrip(),
                "See 'osanas show' for the reason of each trial.",
            )

    def _begin(self, now: Snapshot) -> None:
        """Puts measurer, trainer, strategy and sampler to work."""
        limits = self.record.limits
        measuring = measuring_in(self.store, self.record.id, self.measurer, self.announcer.note)
        self._evaluating = Evaluating(measuring, self.trainer, limits, self._checkpoints, self.announcer)
        self.record = with_reference(self.record, self.at, self.trainer.score, measuring, self.announcer)
        self._strategy = KnownCost(Features(self.at), self._config.seed, now.others.older)
        self._asked = study_to_ask(
            self.study, self._config, self._strategy, lambda: self._now.history, older=now.others.older
        )
        left_out = StartingPoints(self.at, limits).left_out
        if left_out:
            self.announcer.note(f"Starting points over a limit are left out: {'; '.join(left_out)}.")

    # a step ------------------------------------------------------------------------------------------------------

    def _step(self, *, is_time_up: bool) -> bool:
        """Does the next thing there is to do. False at the end."""
        now = self._now = self._look()
        self._report(now)
        left = unclaimed(now.unfinished, now.evaluations, now.duplicates, is_starting=now.others.is_starting)
        situation = Situation(
            at=self.at,
            target=self._config.trials,
            seed=self._config.seed,
            counts_decide=self._config.sampler == "known-cost",
            evaluations=now.evaluations,
            history=now.history,
            others=now.others,
            unclaimed=tuple(trial.number for trial in left),
            patience=self.patience,
            is_time_up=is_time_up,
            is_settled=self._config.until_settled and self._is_settled,
            confirm=self._config.confirm,
            front=now.front.candidates,
            epoch_seconds=self._epoch_seconds,
        )
        return self._act(decide(situation, self._promotion), left)

    def _look(self) -> Snapshot:
        return Snapshot(
            record=self.record,
            files=self._checkpoints.files(),
            unfinished=self._sync.unfinished(),
            others=self._lease.look(),
            duplicates=self.store.duplicates(self.record.id),
            evaluations=self.store.evaluations(self.record.id),
        )

    def _report(self, now: Snapshot) -> None:
        """Brings Optuna, the listener and the checkpoints up to date."""
        for failure in self.companions.failures():
            self.announcer.note(failure)
        self._sync.settle(now.unfinished, now.evaluations, now.duplicates)
        front, target, news = now.front, self._config.trials, self._news.of(now.trials)
        if news or self._outlook is None:
            self._outlook = self._strategy.outlook(now.history, target)
        share = None if self._outlook is None else self._outlook.share
        for one in news:
            size, volume = len(front.candidates), front.hypervolume
            self.announcer.tell(CandidateDone(one, now.trained, target, size, volume, share, self._is_settled))
        if now.files:
            members = {member.digest for member in front.candidates}
            needed = [self._checkpoints.path(digest) for digest in worth_keeping(now.history, members)]
            repeats = [one for one in now.evaluations if one.repeat and one.status == "running"]
            needed += [self._checkpoints.path(one.digest, one.repeat) for one in repeats]
            self._checkpoints.tidy(now.files, needed)

    @property
    def _is_settled(self) -> bool:
        return self._outlook is not None and self._outlook.is_settled

    def _promotion(self, may_begin: bool) -> Promotion | None:  # noqa: FBT001 - as ``decide`` calls it
        return next_promotion(self._now.history, self._strategy, may_begin=may_begin)

    def _epoch_seconds(self, architecture: Architecture) -> float | None:
        found = self._strategy.epoch_seconds([architecture], self._now.history)
        return None if found is None else float(found[0])

    def _act(self, action: Action, left: Sequence[FrozenTrial]) -> bool:
        """Acts, unless another worker was first; the next step then sees what it did. False at the end."""
        match action:
            case Adopt(evaluation):
                self._adopt(evaluation)
            case Promote(promotion):
                self._give(promotion.architecture, promotion.epochs)
            case Repeat(architecture, epochs, repeat):
                self._give(architecture, epochs, repeat)
            case Start(architecture) | Draw(architecture):
                if self._reserve():
                    self._give(architecture, self.record.rungs[0])
            case Ask(number):
                if self._reserve():
                    self._ask(number)
            case Wait(holders):
                self.announcer.tell(Waiting(holders))
                self._lease.lost.wait(self.pace.poll_s)
            case End():
                self._end(action, left)
                return False
        return True

    def _end(self, end: End, left: Sequence[FrozenTrial]) -> None:
        if end.failure is not None:
            raise end.failure
        for frozen in left if end.is_complete else ():
            self._sync.discard(adapter.adopt_trial(self.study, frozen), "its worker ended before it was begun")
        if end.note is not None:
            self.announcer.note(end.note)

    def _reserve(self) -> bool:
        return self._lease.reserve(self._config.trials, self.record.rungs[0])

    # evaluations -------------------------------------------------------------------------------------------------

    def _ask(self, number: int | None) -> None:
        """Evaluates what the sampler proposes, or a trial that was asked for before."""
        if number is None:
            trial = adapter.ask(self._asked, self.at)
        else:
            trial = adapter.adopt_trial(self.study, adapter.by_number(self.study, number))
        proposed = adapter.decode(self.at, trial.params)
        if proposed is None:
            self._sync.discard(trial, "its parameters name no member of the space")
            return
        evaluation, ours = self._claim(proposed, self.record.rungs[0], trial.number)
        if ours:
            self._evaluate(evaluation, trial.number, continued=False)
        else:
            self.patience = self.patience.after_duplicate()
            self.store.add_duplicate(self.record.id, trial.number, evaluation.evaluation)

    def _give(self, architecture: Architecture, epochs: int, repeat: int = 0) -> None:
        """Evaluates a network that no sampler proposed, at a rung."""
        evaluation, ours = self._claim(architecture, epochs, None, repeat)
        if ours:
            self._evaluate(evaluation, self._add_trial(evaluation), continued=False)

    def _adopt(self, orphan: Candidate) -> None:
        """Goes on with an evaluation whose worker is gone, under the same trial number."""
        evaluation = self._lease.adopt(orphan.evaluation)
        if evaluation is None:
            return
        number = evaluation.trial
        if number == UNNUMBERED:
            trial = adapter.find_running(self.study, evaluation.digest, evaluation.epochs, evaluation.repeat)
            if trial is None:
                number = self._add_trial(evaluation)
            else:
                number = trial.number
                self._lease.assign_trial(evaluation.evaluation, number)
        self._evaluate(evaluation, number, continued=True)

    def _claim(
        self, architecture: Architecture, epochs: int, trial: int | None, repeat: int = 0
    ) -> tuple[Candidate, bool]:
        """Claims a network at a rung, or an infeasible one again that the limits now allow; and whether it is ours."""
        evaluation, ours = self._lease.claim(architecture, epochs, trial, repeat)
        if not ours and fits_now(evaluation, self.record.limits):
            reopened = self._lease.reopen(evaluation.evaluation, trial)
            return (evaluation, False) if reopened is None else (reopened, True)
        return evaluation, ours

    def _add_trial(self, evaluation: Candidate) -> int:
        """Makes the trial of a claimed evaluation and returns its number."""
        trial = adapter.add_running(
            self.study,
            self.at,
            evaluation.architecture,
            epochs=evaluation.epochs,
            promoted_from=evaluation.promoted_from,
            repeat=evaluation.repeat,
        )
        self._lease.assign_trial(evaluation.evaluation, trial.number)
        return trial.number

    def _evaluate(self, evaluation: Candidate, number: int, *, continued: bool) -> None:
        lower = evaluation.promoted_from
        self.announcer.tell(
            CandidateStarted(
                number,
                evaluation.architecture,
                evaluation.epochs,
                lower,
                continued=continued,
                repeat=evaluation.repeat,
            )
        )
        try:
            outcome = self._evaluating.outcome(
                evaluation, number, promoted_from=lower, should_stop=self._lease.lost.is_set
            )
        except TrainingStopped:
            raise lease_lost() from None
        self._lease.finish(evaluation.evaluation, outcome)
        self.patience = self.patience.after(outcome)

    # begin and end -----------------------------------------------------------------------------------------------

    def _end_companions(self) -> None:
        """Ends the processes beside this one, after what they have begun: a time limit cuts no training off."""
        while True:
            now = self._look()
            self._report(now)
            if not self.companions.hold(now.others.holders):
                break
            self.announcer.tell(Waiting(now.others.holders))
            self._lease.lost.wait(self.pace.poll_s)
        self.companions.close()

    def _is_last(self) -> bool:
        """Whether the end of this worker is that of the search; of several at their end, the oldest goes first."""
        while True:
            others = self._lease.look()
            if others.are_busy:  # they go on, and this worker's time is over
                return False
            if others.older == 0:
                return True
            self.announcer.tell(Waiting(()))
            self._lease.lost.wait(self.pace.poll_s)
