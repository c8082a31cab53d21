"""How long a search will go on, from what its evaluations took: a pure function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from osanas.study.rungs import shares

HALF_LIFE = 15.0
"""Candidates after which what one took counts half: costs rise and fall in the course of a search."""

PRIOR_CANDIDATES = 10.0
"""How many candidates the ladder's own shares count for, before much is seen of who reaches a rung."""

FAR = 3.0
"""How many times the median a candidate's seconds may count: a few giants among the first say little of the rest."""

PRIOR_TRAININGS = 2.0
"""How many trainings of a higher rung the expectation counts for that an epoch takes what it takes on the first."""


@dataclass(frozen=True)
class Ended:
    """An evaluation that ended in this run.

    Attributes:
        at_s: When, in seconds since the run began.
        training_s: Seconds of training that it added to its candidate; 0 if it was not trained.
        other_s: Seconds of its worker before that: of deciding and measuring.
        rung: Its place on the ladder, from 0; None for a repeat, and for what was not trained.
        is_repeat: Whether it trained a candidate again with another seed.
    """

    at_s: float
    training_s: float
    other_s: float
    rung: int | None
    is_repeat: bool = False


def seconds_left(ended: Sequence[Ended], rungs: Sequence[int], *, missing: int, repeats: float) -> float | None:
    """Seconds until a search has what is asked for; None before a candidate was trained in this run.

    What is left is counted in seconds of a worker: the first rungs of the candidates that are missing, the promotions
    that the ladder still owes, and repeats. It takes the wall time that such a second has lately taken, with all
    workers at once.

    Args:
        ended: What this run has seen, in the order of its ends.
        rungs: Epochs at each rung of the ladder, rising.
        missing: Candidates that are still to be trained to the first rung.
        repeats: Trainings from scratch to the last rung that are still to come.
    """
    weights = _weights(ended)
    work = sum(weight * (one.training_s + one.other_s) for weight, one in zip(weights, ended, strict=True))
    counts = [sum(one.rung == rung for one in ended) for rung in range(len(rungs))]
    if not counts[0] or work <= 0:
        return None
    starts = [0.0, *(one.at_s for one in ended)]
    wall = sum(weight * (after - before) for weight, (before, after) in zip(weights, pairwise(starts), strict=True))
    costs = _costs(ended, weights, rungs)
    left = missing * costs[0] + repeats * sum(costs)
    for rung, expected in enumerate(shares(rungs)[1:], start=1):
        share = (counts[rung] + PRIOR_CANDIDATES * expected) / (counts[0] + PRIOR_CANDIDATES)
        left += max(0.0, share * (counts[0] + missing) - counts[rung]) * costs[rung]
    return left * wall / work


def _weights(ended: Sequence[Ended]) -> list[float]:
    later = 0
    weights = []
    for one in reversed(ended):
        weights.append(0.5 ** (later / HALF_LIFE))
        later += one.rung == 0
    return weights[::-1]


def _costs(ended: Sequence[Ended], weights: Sequence[float], rungs: Sequence[int]) -> list[float]:
    """Seconds that each rung takes."""

    def seen_on(rung: int) -> list[tuple[float, float]]:
        seen = [(weight, one.training_s) for weight, one in zip(weights, ended, strict=True) if one.rung == rung]
        most = FAR * median([seconds for _, seconds in seen[-round(2 * HALF_LIFE) :]] or [0.0])
        return [(weight, min(seconds, most)) for weight, seconds in seen]

    first = _mean(seen_on(0))
    begun = math.fsum(weight for weight, one in zip(weights, ended, strict=True) if one.rung == 0)
    # what is stopped by a limit or fails takes time for each one that is trained
    other = math.fsum(weight * one.other_s for weight, one in zip(weights, ended, strict=True) if one.rung in (0, None))
    costs = [first + other / begun]
    for rung, (before, after) in enumerate(pairwise(rungs), start=1):
        expected = (PRIOR_TRAININGS, first * (after - before) / rungs[0])
        costs.append(_mean([expected, *seen_on(rung)]))
    return costs


def _mean(weighted: Sequence[tuple[float, float]]) -> float:
    return fmean([value for _, value in weighted], [weight for weight, _ in weighted])
