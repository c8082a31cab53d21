"""Which training is repeated with another seed: pure functions of a study's evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from osanas.genotype.architecture import Architecture
from osanas.strategy.history import fits_now
from osanas.study.objectives import Limits
from osanas.study.records import Candidate

EARLY_REPEATS = 3
"""Repeats before the search is over, so that the noise between seeds is known while candidates are chosen."""
TRAININGS_PER_REPEAT = 4
"""Full trainings after which each of those is due."""


@dataclass(frozen=True)
class Repeat:
    """Train a candidate again from scratch, with another seed.

    Attributes:
        architecture: The candidate.
        epochs: To which it is trained at once.
        repeat: Which of its repeats it is, from 1; it decides the seed.
    """

    architecture: Architecture
    epochs: int
    repeat: int


def early_repeat(evaluations: Sequence[Candidate], epochs: int, limits: Limits) -> Repeat | None:
    """The repeat that is due while the search goes on, or None.

    It is of the candidate of median training time among those that have none: cheap ones are noisier than others.

    Args:
        evaluations: All of the study. A repeat that is running, failed or over a limit counts as one.
        epochs: Of full training.
        limits: Of the study.
    """
    full = [
        one
        for one in evaluations
        if one.is_complete
        and (one.epochs, one.repeat) == (epochs, 0)
        and limits.broken_by(one.costs) is None  # a repeat of others would be stopped before training
    ]
    repeated = [one.digest for one in evaluations if one.epochs == epochs and one.repeat]
    waiting = [one for one in full if one.digest not in repeated]
    if not waiting or len(repeated) >= min(EARLY_REPEATS, len(full) // TRAININGS_PER_REPEAT):
        return None
    return _next(sorted(waiting, key=_seconds)[len(waiting) // 2], evaluations, limits)


def confirming_repeat(
    front: Sequence[Candidate], evaluations: Sequence[Candidate], confirm: int, limits: Limits
) -> Repeat | None:
    """The next repeat of a member of the front that has fewer than asked for, or None.

    The member with the fewest comes first, so that a time limit leaves as few single trainings as can be.

    Args:
        front: Its members, by their mean scores.
        evaluations: All of the study.
        confirm: Repeats that each member should have; failed ones and those still running count.
        limits: Of the study.
    """
    due = [(_next(member, evaluations, limits), member) for member in front]
    repeats = [(repeat, member) for repeat, member in due if repeat.repeat <= confirm]
    if not repeats:
        return None
    return min(repeats, key=lambda entry: (entry[0].repeat, _seconds(entry[1])))[0]


def _next(candidate: Candidate, evaluations: Sequence[Candidate], limits: Limits) -> Repeat:
    """The first repeat that there is not, or that a limit stopped which has been relaxed."""
    begun = {
        one.repeat
        for one in evaluations
        if (one.digest, one.epochs) == (candidate.digest, candidate.epochs) and not fits_now(one, limits)
    }
    return Repeat(candidate.architecture, candidate.epochs, next(number for number in count(1) if number not in begun))


def _seconds(candidate: Candidate) -> float:
    return math.inf if candidate.training_seconds is None else candidate.training_seconds
