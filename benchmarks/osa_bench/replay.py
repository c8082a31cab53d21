"""A search on OSA-bench: seconds instead of hours, no database, every decision the one of a real search.

The space has no starting points, so no method gets any. A method trains its candidates with the bench's training seed
equal to its own seed.

    python benchmarks/osa_bench/replay.py --method tpe --seed 0 --epochs 1800
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, get_args

import optuna

from benchmarks.osa_bench.bench import EPOCHS, FOLDER, OsaBench
from osanas.engine.next_step import Patience
from osanas.engine.optuna_study import distributions
from osanas.engine.samplers import make_sampler
from osanas.errors import OsanasError
from osanas.genotype.architecture import Architecture
from osanas.pareto import Direction, front, hypervolume
from osanas.strategy.features import Features
from osanas.strategy.history import CandidateState, History
from osanas.strategy.known_cost import KnownCost, Price
from osanas.strategy.ladder import Promotion, next_promotion
from osanas.study.config import OptunaSampler
from osanas.study.objectives import Limits
from osanas.study.records import Outcome

Method = Literal["random", "tpe", "nsga2", "gp", "ladder", "known-cost", "default"]
METHODS: tuple[Method, ...] = get_args(Method)

DIRECTIONS: tuple[Direction, Direction] = ("maximize", "minimize")
RUNGS = (1, 3, EPOCHS)


@dataclass(frozen=True)
class Training:
    """A candidate trained to a rung.

    Attributes:
        spent: Epochs trained by the whole search when it is done.
        rung: Epochs behind its accuracy.
        accuracy: On the validation images.
    """

    spent: int
    architecture: Architecture
    rung: int
    accuracy: float
    latency_ms: float


@dataclass(frozen=True)
class Trace:
    """What a search did.

    Attributes:
        reference: Of the hypervolumes: accuracy, latency in ms.
        trainings: In the order of time.
        duplicates: Proposals of candidates that were known; they cost nothing.
        seconds: Wall time, nearly all of it spent on deciding.
    """

    method: str
    seed: int
    reference: tuple[float, float]
    trainings: tuple[Training, ...]
    duplicates: int
    seconds: float

    def front(self, spent: int | None = None) -> list[Training]:
        """The non-dominated among the candidates fully trained within that many epochs; None is all of them."""
        full = [one for one in self.trainings if one.rung == EPOCHS and (spent is None or one.spent <= spent)]
        return [full[index] for index in front([(one.accuracy, one.latency_ms) for one in full], DIRECTIONS)]

    def hypervolumes(self) -> list[tuple[int, float]]:
        """Epochs spent and hypervolume of the front after each full training."""
        points: list[tuple[float, float]] = []
        found = []
        for one in self.trainings:
            if one.rung == EPOCHS:
                points.append((one.accuracy, one.latency_ms))
                points = [points[index] for index in front(points, DIRECTIONS)]
                found.append((one.spent, hypervolume(points, DIRECTIONS, self.reference)))
        return found

    def hypervolume(self, spent: int | None = None) -> float:
        """Hypervolume of the front within that many epochs."""
        return max((volume for at, volume in self.hypervolumes() if spent is None or at <= spent), default=0.0)

    def epochs_to(self, target: float) -> int | None:
        """Epochs spent when the hypervolume first was at least that; None if it never was."""
        return next((at for at, volume in self.hypervolumes() if volume >= target), None)


class Proposer(Protocol):
    """Who says which candidate comes next."""

    duplicates: int

    def propose(self, history: History) -> Architecture | None:
        """A candidate that the history does not hold, in canonical form; None if there is none left."""
        ...

    def learn(self, architecture: Architecture, accuracy: float, latency_ms: float) -> None:
        """Told once for each of its candidates, at its first rung."""
        ...


@dataclass
class OptunaProposer:
    """One of Optuna's samplers, asked and told as a real search does it."""

    bench: OsaBench
    name: OptunaSampler
    seed: int
    duplicates: int = 0
    _told: dict[str, tuple[float, float]] = field(default_factory=dict)
    _patience: Patience = field(default_factory=Patience)
    _trial: optuna.Trial | None = None

    def __post_init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(directions=list(DIRECTIONS), sampler=make_sampler(self.name, self.seed))
        self._distributions = distributions(self.bench.at)

    def propose(self, history: History) -> Architecture | None:  # noqa: ARG002 - the study is its history
        """Its next new candidate, or a random one once it repeats itself; a duplicate is told the known values."""
        while not self._patience.sampler_is_stuck:
            trial = self._study.ask(self._distributions)
            architecture = self.bench.at.decode(trial.params)
            known = self._told.get(architecture.digest)
            if known is None:
                self._trial = trial
                return architecture
            self.duplicates += 1
            self._patience = self._patience.after_duplicate()
            self._study.tell(trial, known)
        return self.bench.at.unseen(self._told.keys(), self.seed)

    def learn(self, architecture: Architecture, accuracy: float, latency_ms: float) -> None:
        """Tells the sampler, about candidates drawn at random too."""
        values = self._told[architecture.digest] = (accuracy, latency_ms)
        self._patience = self._patience.after(Outcome("complete"))
        trial, self._trial = self._trial, None
        if trial is not None:
            self._study.tell(trial, values)
        else:
            params = self.bench.at.encode(architecture)
            self._study.add_trial(
                optuna.create_trial(params=params, distributions=self._distributions, values=list(values))
            )


@dataclass
class KnownCostProposer:
    """The known-cost strategy, which learns from the history and may measure what it does not train."""

    strategy: KnownCost
    price: Price
    duplicates: int = 0

    def propose(self, history: History) -> Architecture | None:
        """Its next candidate."""
        return self.strategy.propose(history, self.price)

    def learn(self, architecture: Architecture, accuracy: float, latency_ms: float) -> None:
        """Nothing to keep."""


@dataclass(frozen=True)
class Search:
    """Who proposes candidates, and who promotes them."""

    proposer: Proposer
    rungs: tuple[int, ...]
    promote: Callable[[History], Promotion | None]


def search_of(method: Method, bench: OsaBench, seed: int) -> Search:
    """The parts of a method."""
    strategy = KnownCost(Features(bench.at), seed)

    price = partial(_costs, bench)

    def never(_: History) -> Promotion | None:
        return None

    match method:
        case "ladder":
            promote = partial(next_promotion, strategy=strategy, has_rival=False)
            return Search(OptunaProposer(bench, "tpe", seed), RUNGS, promote)
        case "known-cost":
            return Search(KnownCostProposer(strategy, price), (EPOCHS,), never)
        case "default":
            promote = partial(next_promotion, strategy=strategy, price=price, has_rival=True)
            return Search(KnownCostProposer(strategy, price), RUNGS, promote)
        case _:
            return Search(OptunaProposer(bench, method, seed), (EPOCHS,), never)


def replay(method: Method, bench: OsaBench, *, seed: int, budget_epochs: int) -> Trace:
    """Searches until the next training would exceed the budget.

    Args:
        method: Which search.
        seed: Of the method and of its trainings.
        budget_epochs: Epochs trained in all.
    """
    start = time.perf_counter()
    search = search_of(method, bench, seed)
    seen: dict[str, CandidateState] = {}
    trainings: list[Training] = []
    spent = 0
    while (due := _next(search, seen, bench)) is not None:
        candidate, epochs = due
        spent += epochs - candidate.epochs
        if spent > budget_epochs:
            break
        accuracy = float(bench.curves([candidate.architecture], seed)[0, epochs - 1])
        latency_ms = candidate.costs["latency_ms"]
        assert latency_ms is not None
        is_first = not candidate.scores
        seen[candidate.digest] = replace(candidate, scores={**candidate.scores, epochs: accuracy})
        trainings.append(Training(spent, candidate.architecture, epochs, accuracy, latency_ms))
        if is_first:
            search.proposer.learn(candidate.architecture, accuracy, latency_ms)
    duration = time.perf_counter() - start
    return Trace(method, seed, bench.reference, tuple(trainings), search.proposer.duplicates, duration)


def _next(search: Search, seen: Mapping[str, CandidateState], bench: OsaBench) -> tuple[CandidateState, int] | None:
    """What to train, and to how many epochs: a promotion where one is due, else a new candidate at the lowest rung."""
    history = History(search.rungs, ("accuracy", "latency_ms"), Limits(), tuple(seen.values()))
    promotion = search.promote(history)
    if promotion is not None:
        return seen[promotion.digest], promotion.epochs
    architecture = search.proposer.propose(history)
    if architecture is None:
        return None
    return CandidateState(architecture.digest, architecture, _costs(bench, architecture)), search.rungs[0]


def _costs(bench: OsaBench, architecture: Architecture) -> dict[str, float | None]:
    found = bench.at.costs(architecture)
    return {
        "latency_ms": float(bench.latencies_ms([architecture])[0]),
        "energy_mj": None,
        "parameters": found.parameters,
        "multiply_adds": found.multiply_adds,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints what a search found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=METHODS, default="tpe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=200 * EPOCHS)
    parser.add_argument("--table", type=Path, default=FOLDER, help="folder of another table of this space")
    options = parser.parse_args(arguments)
    trace = replay(options.method, OsaBench.load(options.table), seed=options.seed, budget_epochs=options.epochs)
    print(
        f"{trace.method}, seed {trace.seed}: hypervolume {trace.hypervolume():.5f} after "
        f"{trace.trainings[-1].spent} epochs, {len(trace.trainings)} trainings, {trace.duplicates} duplicates, "
        f"{trace.seconds:.1f} s"
    )
    for one in sorted(trace.front(), key=lambda one: one.latency_ms):
        print(f"  {one.accuracy:.4f}  {one.latency_ms:.4f} ms  {one.architecture}")


if __name__ == "__main__":
    try:
        main()
    except OsanasError as error:
        sys.exit(str(error))
