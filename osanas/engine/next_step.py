"""What a worker does next, as a pure function of what the database holds: so a crash loses no decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

from osanas.engine.repeats import Repeat, confirming_repeat, early_repeat
from osanas.engine.starting_points import START_SHARE, StartingPoints, none_fits
from osanas.errors import SearchFailed
from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.strategy.history import History, fits_now
from osanas.strategy.ladder import Promotion
from osanas.study.objectives import Limits
from osanas.study.records import UNNUMBERED, Candidate, Holder, Others, Outcome

# what to do -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Adopt:
    """Go on with an evaluation whose worker is gone."""

    evaluation: Candidate


@dataclass(frozen=True)
class Promote:
    """Train a candidate to a higher rung."""

    promotion: Promotion


@dataclass(frozen=True)
class Start:
    """Begin a starting point of the space."""

    architecture: Architecture


@dataclass(frozen=True)
class Ask:
    """Begin what the sampler proposes; a ``trial`` was asked for before and never begun."""

    trial: int | None = None


@dataclass(frozen=True)
class Draw:
    """Begin a random candidate, since the sampler repeats itself."""

    architecture: Architecture


@dataclass(frozen=True)
class Wait:
    """There is nothing to do until other workers are done."""

    holders: tuple[Holder, ...]


@dataclass(frozen=True)
class End:
    """The search is over for this worker.

    Attributes:
        note: What the user should know about it.
        failure: Why it ends without what was asked for.
        is_complete: Whether nothing is left to be done; a time limit leaves something.
    """

    note: str | None = None
    failure: SearchFailed | None = None
    is_complete: bool = True


Action = Adopt | Promote | Repeat | Start | Ask | Draw | Wait | End


# from what ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Patience:
    """How many candidates in a row ended in the same way, and how many may. Each run of a search begins anew.

    A duplicate ends only the streak of duplicates.

    Attributes:
        duplicates_before_random: Duplicates in a row after which a random member is drawn. A member drawn for a stuck
            sampler gives it half as many tries to repeat itself as before.
        infeasible_in_a_row: Candidates over a limit in a row that end the search.
        failures_in_a_row: Failures in a row for one reason that end the search.
        allowed_duplicates: How many the sampler may repeat itself now.
        duplicates: In a row so far.
        infeasible: In a row so far.
        failures: In a row so far, all for one reason.
        failure: The last of them.
    """

    duplicates_before_random: int = 20
    infeasible_in_a_row: int = 200
    failures_in_a_row: int = 5
    allowed_duplicates: int | None = None
    duplicates: int = 0
    infeasible: int = 0
    failures: int = 0
    failure: Outcome | None = None

    def after_duplicate(self) -> Patience:
        """With one more duplicate."""
        return replace(self, duplicates=self.duplicates + 1)

    def after(self, outcome: Outcome) -> Patience:
        """With one more candidate."""
        failed = outcome if outcome.status == "failed" else None
        same = failed is not None and self.failure is not None and failed.reason_kind == self.failure.reason_kind
        return replace(
            self,
            allowed_duplicates=max(1, self._allowed // 2) if self.sampler_is_stuck else self.duplicates_before_random,
            duplicates=0,
            infeasible=self.infeasible + 1 if outcome.status == "infeasible" else 0,
            failures=self.failures + 1 if same else int(failed is not None),
            failure=failed,
        )

    @property
    def sampler_is_stuck(self) -> bool:
        """Whether the sampler repeats itself, so that a random member is drawn instead."""
        return self.duplicates >= self._allowed

    @property
    def _allowed(self) -> int:
        return self.duplicates_before_random if self.allowed_duplicates is None else self.allowed_duplicates


@dataclass(frozen=True)
class Situation:
    """What a decision depends on.

    Attributes:
        at: The space that is searched.
        target: Candidates that the study should train.
        seed: Of random members.
        counts_decide: Whether the sampler relies on counted costs, so that limits which nothing meets end the search.
        evaluations: All of the study, in the order of their claims.
        history: The same as the strategy sees it.
        others: The other living workers.
        unclaimed: Optuna's trials that were asked for and never begun.
        patience: With repetitions.
        is_time_up: Whether the time limit is reached.
        is_settled: Whether the search is to end because going on is expected to add next to nothing.
        confirm: Repeated trainings that each member of the front should have at the end; with 0 none is repeated.
        front: Its members, by their mean scores.
        epoch_seconds: Expected seconds of an epoch of a network; None while nothing is known.
    """

    at: SpaceAt
    target: int
    seed: int
    counts_decide: bool
    evaluations: Sequence[Candidate]
    history: History
    others: Others
    unclaimed: tuple[int, ...] = ()
    patience: Patience = Patience()
    is_time_up: bool = False
    is_settled: bool = False
    confirm: int = 0
    front: Sequence[Candidate] = ()
    epoch_seconds: Callable[[Architecture], float | None] = lambda _: None

    @cached_property
    def seen(self) -> Set[str]:
        """Digests of the candidates that there were."""
        return {member.digest for member in self.history.seen}

    @property
    def orphan(self) -> Candidate | None:
        """The first unfinished evaluation that no living worker holds."""
        held = {holder.trial for holder in self.others.holders}
        for one in self.evaluations:
            # one without a trial may be that of a worker that is about to make the trial
            is_held = self.others.is_starting if one.trial == UNNUMBERED else one.trial in held
            if one.status == "running" and not is_held:
                return one
        return None

    @property
    def is_free(self) -> bool:
        """Whether a further candidate would count towards the target."""
        lowest = self.history.rungs[0]
        own = [one for one in self.evaluations if one.epochs == lowest and one.repeat == 0]
        taken = sum(one.status in ("complete", "running") for one in own)
        return taken + self.others.starting < self.target


def decide(now: Situation, promotion: Callable[[bool], Promotion | None]) -> Action:
    """What to do in a situation.

    Args:
        now: The situation.
        promotion: The promotion that is due, or None. It is told whether a new candidate might be begun instead.
    """
    hopeless = _hopeless(now)
    if hopeless is not None:
        return End(failure=hopeless)
    if now.is_time_up:
        return End("The time limit is reached. Run the same command to go on.", is_complete=False)
    if now.orphan is not None:
        return Adopt(now.orphan)
    limits = now.history.limits
    early = early_repeat(now.evaluations, now.history.rungs[-1], limits) if now.confirm else None
    if early is not None:
        return early
    is_exhausted = now.is_free and len(now.seen) >= now.at.count
    may_begin = now.is_free and not is_exhausted and not now.is_settled
    due = promotion(may_begin) if len(now.history.rungs) > 1 and not now.is_settled else None
    if due is not None:
        return Promote(due)
    if may_begin:
        action = _new_candidate(now)
        if action is not None:
            return action
        is_exhausted = True
    confirming = confirming_repeat(now.front, now.evaluations, now.confirm, limits)
    if confirming is not None:
        return confirming
    if now.others.are_busy:
        return Wait(now.others.holders)
    if now.is_settled:
        return End("The search is settled, so it ends here. Without --until-settled the same command goes on.")
    return End(_last_words(now, is_exhausted=is_exhausted))


def _last_words(now: Situation, *, is_exhausted: bool) -> str | None:
    if is_exhausted:
        return f"Every network of the space '{now.at.space.name}' has been evaluated."
    waiting = StartingPoints(now.at, now.history.limits).waiting(now.seen)
    if not waiting:
        return None
    return (
        f"Starting points that were not begun: {', '.join(waiting)}. One is begun where its first rung takes no more "
        f"than {START_SHARE * 100:.0f} % of the search's time."
    )


def _new_candidate(now: Situation) -> Action | None:
    """The next new candidate; None if the space holds none."""
    reason = none_fits(now.at, now.history.limits) if now.counts_decide else None
    if reason is not None:
        return End(
            failure=SearchFailed(
                f"No network of the space '{now.at.space.name}' is within the limits: the smallest has {reason}.",
                "Relax the limit, or choose a smaller --space.",
            )
        )
    start = StartingPoints(now.at, now.history.limits).due(now.history, now.target, now.epoch_seconds)
    if start is not None:
        return Start(start)
    if now.unclaimed:
        return Ask(now.unclaimed[0])
    if not now.patience.sampler_is_stuck:
        return Ask()
    unseen = now.at.unseen(now.seen, now.seed)
    return None if unseen is None else Draw(unseen)


def _hopeless(now: Situation) -> SearchFailed | None:
    patience = now.patience
    if patience.failure is not None and patience.failures >= patience.failures_in_a_row:
        return SearchFailed(
            f"{patience.failures} candidates in a row failed for the same reason: {patience.failure.reason}",
            "Remove the cause (a smaller --train-batch-size, a lower learning rate), then run the same command.",
        )
    if patience.infeasible >= patience.infeasible_in_a_row:
        return SearchFailed(
            f"{patience.infeasible} candidates in a row broke a limit before training. "
            f"{closest(now.evaluations, now.history.limits)}".rstrip(),
            "Relax the limit, or choose a smaller --space.",
        )
    return None


def closest(evaluations: Sequence[Candidate], limits: Limits) -> str:
    """The infeasible candidate that broke the limits by least, in a sentence; empty where there is none."""
    misses = [
        (max(limits.excess(one.costs).values()), one)
        for one in evaluations
        if one.status == "infeasible" and not fits_now(one, limits)
    ]
    if not misses:
        return ""
    _, nearest = min(misses, key=lambda miss: miss[0])
    return f"The closest was trial {nearest.trial}: {limits.broken_by(nearest.costs)}."
