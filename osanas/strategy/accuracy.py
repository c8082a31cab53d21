"""What accuracy a candidate is expected to reach at full training, from its structure and its first epochs.

"Accuracy" is the task's score, whatever its name there.

Two steps. A linear model a rung, fitted to the candidates that were trained further, says what the first epochs
promise; a Gaussian process over architectures then joins these forecasts, each as sure as the linear model is, with the
accuracies of the fully trained. It answers for candidates with or without any training.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from osanas.strategy.history import CandidateState

if TYPE_CHECKING:
    from sklearn.gaussian_process.kernels import Sum

Array = NDArray[np.float64]

_FEWEST_PAIRS = 5
_TUNED_ON = 200
"""Points, the last ones, by which the scales are chosen: it takes many fits."""
SEED_NOISE = 0.002
"""Least standard deviation between two trainings of one network."""


@dataclass(frozen=True)
class Forecast:
    """The expected score at full training of a candidate that was trained less, or its own if it was."""

    mean: float
    std: float


def forecasts(seen: Sequence[CandidateState], rungs: Sequence[int]) -> dict[str, Forecast]:
    """What each candidate with an accuracy is expected to reach, by digest.

    From the second highest rung down, a linear model maps accuracy and training loss of a rung to the forecast of the
    candidates that were trained further. Where they are too few, the rung's accuracy stands for itself, as unsure as
    the candidates differ.

    Args:
        seen: The candidates.
        rungs: Rising; the last is full training.
    """
    found = {
        member.digest: Forecast(member.scores[rungs[-1]], SEED_NOISE) for member in seen if rungs[-1] in member.scores
    }
    for rung in reversed(rungs[:-1]):
        there = [member for member in seen if rung in member.scores]
        taught = [member for member in there if member.digest in found]
        waiting = [member for member in there if member.digest not in found]
        if not waiting:
            continue
        if len(taught) < _FEWEST_PAIRS:
            spread = max(float(np.std([member.scores[rung] for member in there])), SEED_NOISE)
            gap = float(np.mean([found[m.digest].mean - m.scores[rung] for m in taught])) if taught else 0.0
            for member in waiting:
                found[member.digest] = Forecast(member.scores[rung] + gap, spread)
            continue
        found |= _extrapolated(taught, waiting, rung, found)
    return found


def _extrapolated(
    taught: Sequence[CandidateState], waiting: Sequence[CandidateState], rung: int, found: dict[str, Forecast]
) -> dict[str, Forecast]:
    from sklearn.linear_model import BayesianRidge  # loaded once there is something to fit: it takes a second

    inputs, centre, scale = _signals(taught, rung)
    targets = np.array([found[member.digest].mean for member in taught])
    middle, spread = targets.mean(), max(float(targets.std()), SEED_NOISE)
    model = BayesianRidge().fit(inputs, (targets - middle) / spread)
    mean, std = model.predict(_signals(waiting, rung, centre, scale)[0], return_std=True)
    inherited = float(np.mean([found[member.digest].std ** 2 for member in taught]))
    return {
        member.digest: Forecast(middle + spread * m, float(np.hypot(spread * s, np.sqrt(inherited))))
        for member, m, s in zip(waiting, mean, std, strict=True)
    }


def _signals(
    members: Sequence[CandidateState], rung: int, centre: Array | None = None, scale: Array | None = None
) -> tuple[Array, Array, Array]:
    """Accuracy and training loss at a rung, standardised; the loss is left out where one is not told."""
    rows = np.array([[member.scores[rung], member.losses.get(rung, np.nan)] for member in members])
    if centre is None or scale is None:
        centre, scale = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
    signals = np.nan_to_num((rows - centre) / scale)
    return signals, centre, scale


class AccuracyModel:
    """A Gaussian process over feature rows: a linear trend and a smooth deviation from it (Matérn 5/2).

    Its scales are those of greatest likelihood within narrow bounds, since a few dozen points can be explained in too
    many ways; the same points give the same model.

    Args:
        rows: Feature rows ``[n, d]`` of candidates with a forecast, from ``Features.accuracy``.
        known: Their forecasts, in order.
    """

    def __init__(self, rows: Array, known: Sequence[Forecast]) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor

        means = np.array([forecast.mean for forecast in known])
        self._middle, self._spread = float(means.mean()), max(float(means.std()), SEED_NOISE)
        targets = (means - self._middle) / self._spread
        noise = np.array([forecast.std for forecast in known]) ** 2 / self._spread**2
        kernel = _tuned(rows[-_TUNED_ON:], targets[-_TUNED_ON:], noise[-_TUNED_ON:])
        self._process = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(rows, targets)
        self._noise = float(kernel.k2.noise_level)

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the expected accuracy, each ``[n]``; one more training is noisier."""
        mean, std = self._process.predict(rows, return_std=True)
        certain = np.sqrt(np.maximum(std**2 - self._noise, 1e-6))
        return self._middle + self._spread * mean, self._spread * certain


def _tuned(rows: Array, targets: Array, noise: Array) -> Sum:
    """The kernel with the greatest likelihood."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

    trend = ConstantKernel(0.1, (0.03, 0.3)) * DotProduct(0.0, "fixed")
    smooth = ConstantKernel(0.5, (0.2, 2.0)) * Matern(2.0, (1.5, 6.0), nu=2.5)
    kernel = trend + smooth + WhiteKernel(0.1, (0.05, 0.6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # on values at their bounds, where many are
        return GaussianProcessRegressor(kernel, alpha=noise).fit(rows, targets).kernel_
