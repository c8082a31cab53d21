"""What repeated trainings tell of the scores on a front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from osanas.study.records import Candidate

Training = tuple[str, int]
"""Digest and epochs of a candidate's training, which repeats have in common with it."""


def scores_by_training(candidates: Sequence[Candidate]) -> dict[Training, tuple[float, ...]]:
    """The scores of each training and of its repeats, its own first."""
    complete = [one for one in candidates if one.is_complete and one.score is not None]
    scores: dict[Training, tuple[float, ...]] = {}
    for one in sorted(complete, key=lambda one: one.repeat):
        scores[one.digest, one.epochs] = (*scores.get((one.digest, one.epochs), ()), float(one.score or 0.0))
    return scores


def with_mean_scores(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The complete candidates without repeats, each with the mean score of all its trainings to the same epochs."""
    scores = scores_by_training(candidates)
    return [
        replace(one, score=fmean(known)) if len(known := scores[one.digest, one.epochs]) > 1 else one
        for one in candidates
        if one.is_complete and one.repeat == 0
    ]
