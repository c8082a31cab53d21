"""Which candidate is trained further: a pure function of the history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from osanas.genotype.architecture import Architecture
from osanas.pareto import rank, score_and_costs
from osanas.strategy.history import CandidateState, History
from osanas.study.rungs import shares


@dataclass(frozen=True)
class Promotion:
    """A candidate to be trained on from its checkpoint, to ``epochs`` in all."""

    digest: str
    architecture: Architecture
    epochs: int


class Judge(Protocol):
    """Who says which of several candidates is worth most."""

    def best_waiting(self, waiting: list[CandidateState], history: History) -> CandidateState:
        """The one to be trained further."""
        ...


def expected_epochs(rungs: Sequence[int]) -> float:
    """Epochs that the ladder gives a candidate on average."""
    done = [0, *rungs[:-1]]
    return sum(share * (high - low) for share, low, high in zip(shares(rungs), done, rungs, strict=True))


def next_promotion(history: History, judge: Judge, *, may_begin: bool) -> Promotion | None:
    """The promotion that is due, or None: from the highest rung down, where a rung lacks candidates to its share.

    Args:
        history: What is known.
        judge: Chooses among the candidates of a rung.
        may_begin: Whether new candidates may be begun instead. Else at least one goes on to each rung.
    """
    entered = sum(history.rungs[0] in member.scores for member in history.seen)
    for place in range(len(history.rungs) - 1, 0, -1):
        rung, lower = history.rungs[place], history.rungs[place - 1]
        due = shares(history.rungs)[place] * entered
        allowed = int(due) if may_begin else max(1, round(due))
        reached = sum(max(member.epochs, member.running or 0) >= rung for member in history.seen)
        waiting = [
            member
            for member in history.seen
            if member.epochs == lower and member.running is None and not member.is_closed
        ]
        if waiting and reached < allowed:
            chosen = judge.best_waiting(waiting, history)
            return Promotion(chosen.digest, chosen.architecture, rung)
    return None


MOST_WAITING = 32
"""Candidates below the highest rung whose checkpoints are kept. One further down trains again from its start if it is
promoted all the same."""


def worth_keeping(history: History, front: Collection[str], most: int = MOST_WAITING) -> set[str]:
    """Digests of the candidates whose checkpoints are kept.

    Args:
        history: What is known.
        front: Digests of the members of the front.
        most: How many of those that wait for a promotion; the best by non-dominated rank within their rung.

    Returns:
        Those, the members of the front that have not failed further up, and all that train.
    """
    running = {member.digest for member in history.seen if member.running is not None}
    closed = {member.digest for member in history.seen if member.is_closed}
    return running | (set(front) - closed) | {member.digest for member in _ranked(history)[:most]}


def _ranked(history: History) -> list[CandidateState]:
    """The candidates that may be promoted, the best first."""
    directions = score_and_costs(len(history.cost_objectives))
    placed: list[tuple[int, int, float, str, CandidateState]] = []
    for rung in history.rungs[:-1]:
        here = [member for member in history.seen if member.epochs == rung and _may_go_on(member)]
        known = [member for member in here if history.cost_values(member) is not None]
        ranks = rank([_point(member, history) for member in known], directions)
        last = len(here)
        places = {member.digest: place for member, place in zip(known, ranks, strict=True)}
        placed += [
            (places.get(member.digest, last), -rung, -member.scores[rung], member.digest, member) for member in here
        ]
    return [entry[-1] for entry in sorted(placed, key=lambda entry: entry[:-1])]


def _may_go_on(member: CandidateState) -> bool:
    return member.running is None and not member.is_closed


def _point(member: CandidateState, history: History) -> Sequence[float]:
    return (member.scores[member.epochs], *(history.cost_values(member) or ()))
