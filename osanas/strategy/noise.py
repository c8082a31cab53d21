"""How much of a score is the luck of a seed: pooled over the candidates that were trained more than once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.special import stdtrit

CONFIDENCE = 0.95
"""Of intervals."""
PRIOR_DEVIATION = 0.01
"""Standard deviation between seeds that is assumed while little is known: 0.013 was measured on scikit-learn's digits
after 5 epochs, 0.006 on Fashion-MNIST after 9 (``benchmarks/seed_noise.py``)."""
PRIOR_DEGREES = 2.0
"""Weight of that assumption, in repeated trainings."""


@dataclass(frozen=True)
class SeedNoise:
    """The noise between trainings of one candidate with different seeds.

    Attributes:
        deviation: Standard deviation of a training's score.
        degrees_of_freedom: Of the estimate.
    """

    deviation: float
    degrees_of_freedom: float

    def half_width(self, trainings: float) -> float:
        """Half the interval of a mean score at ``CONFIDENCE``, by Student's distribution.

        Args:
            trainings: Behind the mean.
        """
        quantile = float(stdtrit(self.degrees_of_freedom, (1 + CONFIDENCE) / 2))
        return quantile * self.deviation / math.sqrt(trainings)

    def half_width_of_difference(self, trainings: int, others: int) -> float:
        """Half the interval of the difference of two mean scores of so many trainings each."""
        return self.half_width(1 / (1 / trainings + 1 / others))


def pooled_noise(trainings: Iterable[Sequence[float]]) -> SeedNoise | None:
    """The variance within candidates, pooled by their degrees of freedom.

    Args:
        trainings: Of each candidate the scores of its trainings to the same epochs, such as
            ``History.full_trainings``.

    Returns:
        None if no candidate was trained twice.
    """
    repeated = [scores for scores in trainings if len(scores) > 1]
    degrees = sum(len(scores) - 1 for scores in repeated)
    if degrees == 0:
        return None
    squares = sum((score - fmean(scores)) ** 2 for scores in repeated for score in scores)
    return SeedNoise(math.sqrt(squares / degrees), degrees)


def seed_noise(trainings: Iterable[Sequence[float]]) -> SeedNoise:
    """The noise to reckon with: the pooled one, shrunk to a weak assumption where few trainings were repeated.

    The variance has a scaled inverse chi-square distribution beforehand, which is conjugate (Gelman et al., Bayesian
    Data Analysis, 2.6), so that means have a Student's distribution with the degrees of both.

    Args:
        trainings: As for ``pooled_noise``.
    """
    known = pooled_noise(trainings)
    if known is None:
        return SeedNoise(PRIOR_DEVIATION, PRIOR_DEGREES)
    degrees = PRIOR_DEGREES + known.degrees_of_freedom
    squares = PRIOR_DEGREES * PRIOR_DEVIATION**2 + known.degrees_of_freedom * known.deviation**2
    return SeedNoise(math.sqrt(squares / degrees), degrees)
