"""Searches replayed on OSA-bench: each chooses among the rows that it has not seen, and gets what was measured.

Model-based methods choose by their own acquisition over the rows. Optuna's samplers propose freely, get the unseen row
that is nearest to their proposal (by the steps between the indices), and are told that row's parameters and values.
The ladder goes by the same shares for all. The space has no starting points, so no method gets any.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, Protocol, get_args

import numpy as np
import optuna

from benchmarks.osa_bench.bench import EPOCHS, Table
from osanas.engine.optuna_study import distributions
from osanas.engine.samplers import make_sampler
from osanas.strategy.features import Features
from osanas.strategy.history import CandidateState, History
from osanas.strategy.known_cost import KnownCost, worth_of
from osanas.strategy.ladder import Promotion, next_promotion
from osanas.study.config import OptunaSampler
from osanas.study.objectives import Limits

Method = Literal["default", "two-rungs", "no-ladder", "tpe-ladder", "tpe", "gp", "nsga2", "random"]
METHODS: tuple[Method, ...] = get_args(Method)
RUNGS = (2, 4, EPOCHS)


@dataclass(frozen=True)
class Step:
    """What a search had when a candidate was fully trained.

    Attributes:
        epochs: Trained until then by the whole search.
        seconds: The time that they took when the table was made.
        share: Its hypervolume, as a share of that of all rows.
    """

    epochs: int
    seconds: float
    share: float


@dataclass(frozen=True)
class Trace:
    """A replayed search.

    Attributes:
        method: Which.
        seed: Of the method.
        steps: One a full training.
        candidates: How many rows it looked at.
        full: How many of them it trained in full.
        deciding_s: Seconds spent on deciding.
    """

    method: Method
    seed: int
    steps: tuple[Step, ...]
    candidates: int
    full: int
    deciding_s: float

    def until(self, share: float) -> tuple[float, float]:
        """Epochs and seconds until it had a share of the hypervolume; infinite if it never did."""
        found = next((step for step in self.steps if step.share >= share), None)
        return (float("inf"), float("inf")) if found is None else (float(found.epochs), found.seconds)


class Proposer(Protocol):
    """Who says which row comes next."""

    def propose(self, history: History, unseen: list[int]) -> int:
        """One of the unseen rows."""
        ...

    def learn(self, row: int, score: float) -> None:
        """Told once for each of its rows, at its first rung."""
        ...


@dataclass
class OptunaProposer:
    """One of Optuna's samplers."""

    table: Table
    name: OptunaSampler
    seed: int
    _trial: optuna.Trial | None = None

    def __post_init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(
            directions=["maximize", "minimize"], sampler=make_sampler(self.name, self.seed)
        )
        self._distributions = distributions(self.table.at)
        names = list(self._distributions)
        self._rows = np.array([[self.table.at.encode(member)[name] for name in names] for member in self.table.members])
        self._span = np.maximum(self._rows.max(axis=0), 1)

    def propose(self, history: History, unseen: list[int]) -> int:  # noqa: ARG002 - the study is its history
        """The row nearest to its proposal."""
        self._trial = self._study.ask(self._distributions)
        wanted = np.array([self._trial.params[name] for name in self._distributions])
        return unseen[int((np.abs(self._rows[unseen] - wanted) / self._span).sum(axis=1).argmin())]

    def learn(self, row: int, score: float) -> None:
        """Tells the sampler, as if it had proposed the row itself."""
        trial = self._trial
        assert trial is not None
        storage = self._study._storage
        for (name, distribution), index in zip(self._distributions.items(), self._rows[row], strict=True):
            storage.set_trial_param(trial._trial_id, name, float(index), distribution)
        self._study.tell(trial, [score, float(self.table.latencies_ms[row])])


@dataclass
class KnownCostProposer:
    """The known-cost strategy."""

    table: Table
    strategy: KnownCost
    _rows: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._rows = dict(self.table.rows)

    def propose(self, history: History, unseen: list[int]) -> int:
        """The row worth most; while it explores, the one most like its proposal."""
        found = self.strategy.asked_of(history)
        if found is not None:
            members = {self.table.members[row].digest: self.table.members[row] for row in unseen}
            worth = worth_of(members, found, history)
            return self._rows[max(worth, key=worth.__getitem__)]
        wanted = self.strategy.propose(history)
        assert wanted is not None
        rows = self.strategy.features.accuracy([wanted, *(self.table.members[row] for row in unseen)])
        return unseen[int(np.square(rows[1:] - rows[0]).sum(axis=1).argmin())]

    def learn(self, row: int, score: float) -> None:
        """It learns from the history."""


@dataclass(frozen=True)
class Search:
    """Who proposes candidates, and who promotes them."""

    proposer: Proposer
    rungs: tuple[int, ...]
    promote: Callable[[History], Promotion | None]


def search_of(method: Method, table: Table, seed: int) -> Search:
    """The parts of a method."""
    strategy = KnownCost(Features(table.at), seed)
    promote = partial(next_promotion, judge=strategy, may_begin=True)
    match method:
        case "default":
            return Search(KnownCostProposer(table, strategy), RUNGS, promote)
        case "two-rungs":
            return Search(KnownCostProposer(table, strategy), (RUNGS[0], EPOCHS), promote)
        case "no-ladder":
            return Search(KnownCostProposer(table, strategy), (EPOCHS,), promote)
        case "tpe-ladder":
            return Search(OptunaProposer(table, "tpe", seed), RUNGS, promote)
        case _:
            return Search(OptunaProposer(table, method, seed), (EPOCHS,), promote)


def replay(method: Method, table: Table, *, seed: int, share: float = 1.0, most_epochs: int | None = None) -> Trace:
    """Searches until a share of the hypervolume is reached, the epochs are spent or the rows are.

    Args:
        method: Which search.
        table: What it chooses from.
        seed: Of the method; the trainings are those of the table.
        share: Of the hypervolume of all rows.
        most_epochs: Of training, by all candidates together.
    """
    search = search_of(method, table, seed)
    seen: dict[str, CandidateState] = {}
    steps: list[Step] = []
    full: list[int] = []
    spent, spent_s, deciding_s = 0, 0.0, 0.0
    while (most_epochs is None or spent < most_epochs) and not (steps and steps[-1].share >= share):
        started = time.perf_counter()
        history = History(search.rungs, ("accuracy", "latency_ms"), Limits(), tuple(seen.values()))
        promotion = search.promote(history)
        if promotion is not None:
            row, epochs = table.rows[promotion.digest], promotion.epochs
        else:
            unseen = [row for row in range(len(table.members)) if table.members[row].digest not in seen]
            if not unseen:
                break
            row, epochs = search.proposer.propose(history, unseen), search.rungs[0]
        deciding_s += time.perf_counter() - started
        before = seen.get(table.members[row].digest, _untrained(table, row))
        spent += epochs - before.epochs
        spent_s += float(table.seconds[row]) * (epochs - before.epochs) / EPOCHS
        seen[before.digest] = _trained(table, row, before, epochs)
        if not before.scores:
            search.proposer.learn(row, float(table.accuracies[row, epochs - 1]))
        if epochs == EPOCHS:
            full.append(row)
            steps.append(Step(spent, spent_s, table.hypervolume(full) / table.best))
    return Trace(method, seed, tuple(steps), len(seen), len(full), deciding_s)


def _untrained(table: Table, row: int) -> CandidateState:
    member = table.members[row]
    found = table.at.costs(member)
    costs = {
        "latency_ms": float(table.latencies_ms[row]),
        "energy_mj": None,
        "parameters": found.parameters,
        "multiply_adds": found.multiply_adds,
    }
    return CandidateState(member.digest, member, costs)


def _trained(table: Table, row: int, before: CandidateState, epochs: int) -> CandidateState:
    return replace(
        before,
        scores={**before.scores, epochs: float(table.accuracies[row, epochs - 1])},
        losses={**before.losses, epochs: float(table.losses[row, epochs - 1])},
        seconds={**before.seconds, epochs: float(table.seconds[row]) * epochs / EPOCHS},
    )
