"""What repeated trainings tell of the scores on a front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from osanas.strategy.noise import SeedNoise, pooled_noise, seed_noise
from osanas.study.objectives import is_cost
from osanas.study.records import Candidate

Training = tuple[str, int]
"""Digest and epochs of a candidate's training, which repeats have in common with it."""


@dataclass(frozen=True)
class Certainty:
    """How well the score of a member of a front is known.

    Attributes:
        scores: Of each of its trainings with another seed, its own first; the front has their mean.
        interval: Of that mean at 95 %, by the noise between the seeds of all candidates; None where no training to the
            same epochs was repeated, so that nothing is known of it.
        indistinct_from: Trial of a member that costs no more, and whose score may be as good: the interval of the
            difference holds 0. None if there is none.
    """

    scores: tuple[float, ...]
    interval: tuple[float, float] | None
    indistinct_from: int | None


def scores_by_training(candidates: Sequence[Candidate]) -> dict[Training, tuple[float, ...]]:
    """The scores of each training and of its repeats, its own first."""
    scores: dict[Training, tuple[float, ...]] = {}
    for one in sorted(candidates, key=lambda one: one.repeat):
        if one.is_complete and one.score is not None:
            scores[one.digest, one.epochs] = (*scores.get((one.digest, one.epochs), ()), one.score)
    return scores


def with_mean_scores(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The complete candidates without repeats, each with the mean score of all its trainings to the same epochs."""
    scores = scores_by_training(candidates)
    own = [one for one in candidates if one.is_complete and one.repeat == 0]
    known = [scores.get((one.digest, one.epochs), ()) for one in own]
    return [replace(one, score=fmean(of)) if len(of) > 1 else one for one, of in zip(own, known, strict=True)]


def noise_after(epochs: int, candidates: Sequence[Candidate]) -> SeedNoise | None:
    """The noise between seeds of trainings to so many epochs; None if none was repeated."""
    trainings = [scores for (_, trained), scores in scores_by_training(candidates).items() if trained == epochs]
    return None if pooled_noise(trainings) is None else seed_noise(trainings)


def certainties(
    members: Sequence[Candidate], candidates: Sequence[Candidate], objectives: Sequence[str]
) -> list[Certainty]:
    """How well the score of each member of a front is known.

    Args:
        members: Of the front, with their mean scores.
        candidates: All trials of the study.
        objectives: Of the study.
    """
    scores = scores_by_training(candidates)
    noises = {epochs: noise_after(epochs, candidates) for epochs in {member.epochs for member in members}}
    costs = tuple(filter(is_cost, objectives))
    found = []
    for member in members:
        noise, own = noises[member.epochs], scores[member.digest, member.epochs]
        if noise is None:
            found.append(Certainty(own, None, None))
            continue
        mean, half = fmean(own), noise.half_width(len(own))
        rival = _best_cheaper(member, members, costs)
        indistinct = None
        if rival is not None:
            others = scores[rival.digest, rival.epochs]
            if abs(mean - fmean(others)) <= noise.half_width_of_difference(len(own), len(others)):
                indistinct = rival.trial
        found.append(Certainty(own, (mean - half, mean + half), indistinct))
    return found


def _best_cheaper(member: Candidate, members: Sequence[Candidate], costs: Sequence[str]) -> Candidate | None:
    """The one with the highest score among those of the same epochs that cost no more in anything."""
    cheaper = [
        other
        for other in members
        if other.trial != member.trial
        and other.epochs == member.epochs
        and all((other.figure(cost) or 0.0) <= (member.figure(cost) or 0.0) for cost in costs)
    ]
    return max(cheaper, key=lambda other: other.score or 0.0, default=None)
