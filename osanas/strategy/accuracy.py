"""What score a candidate is expected to reach at full training, from its structure and its first epochs.

Two steps. A linear model a rung says what the first epochs promise; a Gaussian process over architectures then joins
these forecasts, each as sure as the linear model is, with the scores of the fully trained. It answers for candidates
with or without any training. Neither needs a full training to begin with, and neither is tuned to the study: a few
dozen points can be explained in too many ways (``benchmarks/search_efficiency.py`` compares).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from osanas.strategy.history import CandidateState

Array = NDArray[np.float64]

_LEAST_SPREAD = 0.004
"""Least standard deviation between candidates; below it nothing can be told apart."""

_CORRELATION = 0.75
"""Of the signals of a first rung with the score at full training, before a study has shown its own."""
_NARROWING = 0.5
"""By how much candidates differ less at full training than at a lower rung, before a study has shown its own."""
_PRIOR_PAIRS = 4.0
"""Candidates trained further that these assumptions are worth."""

_AMPLITUDE = 1.5
"""Variance of what the model expects over that of the forecasts."""
_TREND, _OWN = 0.5, 0.2
"""Shares of it: a linear trend over all features, and what an architecture has of its own."""
_LENGTH = 2.0
"""Length scale of the smooth part, in units of the square root of the number of features."""


@dataclass(frozen=True)
class Forecast:
    """The expected score at full training of a candidate that was trained less, or its own if it was.

    Attributes:
        mean: The expectation.
        std: Its standard deviation, that of the noise of seeds included.
    """

    mean: float
    std: float


def forecasts(seen: Sequence[CandidateState], rungs: Sequence[int], seed_noise: float) -> dict[str, Forecast]:
    """What each candidate with a score is expected to reach, by digest.

    From the second highest rung down, a linear model maps a rung's signal (score and training loss, ranked together) to
    the forecasts of the candidates that were trained further. It starts from what is usual, so it answers before any
    candidate was.

    Args:
        seen: The candidates.
        rungs: Rising; the last is full training.
        seed_noise: Standard deviation between two full trainings of one network.
    """
    found = {member.digest: _own(member, rungs[-1], seed_noise) for member in seen if rungs[-1] in member.scores}
    for rung in reversed(rungs[:-1]):
        there = [member for member in seen if rung in member.scores]
        if any(member.digest not in found for member in there):
            found = _forecast(there, rung, found, seed_noise) | found
    return found


def _own(member: CandidateState, full: int, seed_noise: float) -> Forecast:
    """The mean over its full trainings."""
    scores = (member.scores[full], *member.repeats)
    return Forecast(float(np.mean(scores)), seed_noise / len(scores) ** 0.5)


def _forecast(
    there: Sequence[CandidateState], rung: int, found: dict[str, Forecast], seed_noise: float
) -> dict[str, Forecast]:
    """Bayesian regression of the further trained on a rung's signal, its slope and noise having a prior."""
    scores = np.array([member.scores[rung] for member in there])
    signal = _signal(there, scores, rung)
    slope = _CORRELATION * _NARROWING * max(float(scores.std()), _LEAST_SPREAD)
    noise = slope**2 * (1 / _CORRELATION**2 - 1) + seed_noise**2
    taught = [place for place, member in enumerate(there) if member.digest in found]
    if not taught:
        middle, slopes, residual, centre = float(scores.mean()), (slope, slope**2), noise, 0.0
    else:
        x = signal[taught]
        y = np.array([found[there[place].digest].mean for place in taught])
        centre, middle = float(x.mean()), float(y.mean())
        dx, dy = x - centre, y - middle
        xx, xy = float(dx @ dx), float(dx @ dy)
        residual, mean, variance = noise, slope, slope**2
        for _ in range(3):  # slope and noise in turn
            variance = 1 / (1 / slope**2 + xx / residual)
            mean = variance * (1 / slope + xy / residual)
            residual = (_PRIOR_PAIRS * noise + float(np.square(dy - mean * dx).sum())) / (_PRIOR_PAIRS + len(x))
        slopes = mean, variance
        residual += residual / len(x)
    return {
        member.digest: Forecast(
            middle + slopes[0] * (at - centre), float(np.sqrt(residual + slopes[1] * (at - centre) ** 2))
        )
        for member, at in zip(there, map(float, signal), strict=True)
    }


def _signal(there: Sequence[CandidateState], scores: Array, rung: int) -> Array:
    """Score less training loss, each of deviation 1; the score alone where a loss is missing."""
    losses = np.array([member.losses.get(rung, np.nan) for member in there])
    signal = _standardised(scores)
    if np.isfinite(losses).all():
        signal = _standardised(signal - _standardised(losses))
    return signal


def _standardised(values: Array) -> Array:
    scaled: Array = (values - values.mean()) / max(float(values.std()), 1e-9)
    return scaled


class AccuracyModel:
    """A Gaussian process over feature rows: a linear trend, a smooth deviation (Matérn 5/2), and an own part of each.

    Args:
        rows: Feature rows ``[n, d]`` of candidates with a forecast, from ``Features.accuracy``.
        known: Their forecasts, in order.
    """

    def __init__(self, rows: Array, known: Sequence[Forecast]) -> None:
        means = np.array([forecast.mean for forecast in known])
        noise = np.square([forecast.std for forecast in known])
        self._rows = rows
        self._variance = _AMPLITUDE * max(float(means.var()), _LEAST_SPREAD**2)
        weights = 1 / (noise + means.var() + 1e-12)
        self._middle = float(weights @ means / weights.sum())
        covariance = self._covariance(rows, rows) + np.diag(self._variance * _OWN + noise)
        self._factor = cho_factor(covariance)
        self._weights = cho_solve(self._factor, means - self._middle)

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the expected score of unseen candidates, each ``[n]``, noise left out."""
        return self._posterior(rows, self._covariance(rows, self._rows))

    def known(self) -> tuple[Array, Array]:
        """The same of the candidates that the model was fitted to, whose own part is partly known."""
        own = np.eye(len(self._rows)) * self._variance * _OWN
        return self._posterior(self._rows, self._covariance(self._rows, self._rows) + own)

    def _posterior(self, rows: Array, across: Array) -> tuple[Array, Array]:
        prior = self._variance * ((1 - _OWN) + _TREND * np.square(rows).mean(axis=1) + _OWN)
        explained = np.einsum("ij,ji->i", across, cho_solve(self._factor, across.T))
        return self._middle + across @ self._weights, np.sqrt(np.maximum(prior - explained, 1e-12))

    def _covariance(self, left: Array, right: Array) -> Array:
        width = left.shape[1]
        scaled = cdist(left, right) * (np.sqrt(5.0 / width) / _LENGTH)
        smooth = (1 + scaled + np.square(scaled) / 3) * np.exp(-scaled)
        covariance: Array = self._variance * ((1 - _OWN) * smooth + _TREND * (left @ right.T) / width)
        return covariance
