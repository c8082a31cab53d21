"""Which candidate is trained further: a pure function of the history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from osanas.genotype.architecture import Architecture
from osanas.pareto import rank, score_and_costs
from osanas.strategy.history import CandidateState, History
from osanas.strategy.known_cost import KnownCost, Price


@dataclass(frozen=True)
class Promotion:
    """A candidate to be trained on from its checkpoint, to ``epochs`` in all."""

    digest: str
    architecture: Architecture
    epochs: int


def next_promotion(
    history: History, strategy: KnownCost, *, price: Price | None = None, has_rival: bool
) -> Promotion | None:
    """The promotion that is due, or None.

    Args:
        history: What is known.
        strategy: Judges candidates.
        price: As for ``KnownCost.best_new``.
        has_rival: Whether ``strategy`` would propose a new candidate otherwise. Then the promotion has to promise more
            for each epoch that is left than the new candidate does; else a fixed share of each rung goes on.
    """
    waiting = [member for member in history.seen if _awaits_promotion(member, history)]
    if not waiting:
        return None
    return _worth_more(waiting, history, strategy, price) if has_rival else _by_share(waiting, history, strategy)


def _worth_more(
    waiting: list[CandidateState], history: History, strategy: KnownCost, price: Price | None
) -> Promotion | None:
    full = history.rungs[-1]
    surrogate = strategy.surrogate(history)
    if surrogate is None:  # the first candidates are trained in full, since all models start from them
        return _promotion(waiting[0], history)
    gains = surrogate.gains()
    rates = [gains.get(member.digest, 0.0) / (full - member.epochs) for member in waiting]
    best = max(range(len(waiting)), key=rates.__getitem__)
    new, worth = strategy.best_new(history, price)
    return None if new is not None and worth / full > rates[best] else _promotion(waiting[best], history)


def _by_share(waiting: list[CandidateState], history: History, strategy: KnownCost) -> Promotion | None:
    """From the highest rung down: of those that reached a rung, the share goes on that its epochs are of the next's."""
    for rung, following in reversed(list(zip(history.rungs, history.rungs[1:], strict=False))):
        reached = [member for member in history.seen if rung in member.scores and not member.is_closed]
        here = [member for member in waiting if member.epochs == rung]
        gone = sum(member.epochs > rung or (member.running or 0) > rung for member in reached)
        if here and gone < len(reached) * rung // following:
            return _promotion(_best(here, history, strategy), history)
    return None


def _best(waiting: list[CandidateState], history: History, strategy: KnownCost) -> CandidateState:
    surrogate = strategy.surrogate(history)
    if surrogate is None:
        return max(waiting, key=lambda member: member.scores[member.epochs])
    gains = surrogate.gains()
    return max(waiting, key=lambda member: gains.get(member.digest, 0.0))


def _awaits_promotion(member: CandidateState, history: History) -> bool:
    return 0 < member.epochs < history.rungs[-1] and member.running is None and not member.is_closed


def _promotion(member: CandidateState, history: History) -> Promotion:
    epochs = next(rung for rung in history.rungs if rung > member.epochs)
    return Promotion(member.digest, member.architecture, epochs)


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
