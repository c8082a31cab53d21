"""What a candidate costs that was never measured or trained, from those that were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

_FOLDS = 5
FEWEST = 5
"""Measured candidates below which nothing is predicted."""


class CostModel:
    """A sum over features, none of it negative: so much a layer, a multiply-add and an element moved, of each block.

    It is fitted to relative errors, since small networks count as much as large ones on a front.

    Args:
        rows: Features ``[n, b]`` of candidates whose cost is known, from ``Features.cost`` or ``Features.training``; n
            is at least ``FEWEST``.
        values: What they cost ``[n]``, all positive.

    Attributes:
        error: Median relative error on candidates left out of the fit.
    """

    def __init__(self, rows: Array, values: Sequence[float]) -> None:
        costs = np.asarray(values, dtype=np.float64)
        fold = np.arange(len(costs)) % _FOLDS
        errors = np.empty(len(costs))
        for held in range(_FOLDS):
            out = fold == held
            predicted = _Fit(rows[~out], costs[~out]).predict(rows[out])
            errors[out] = np.abs(predicted / costs[out] - 1.0)
        self.error = float(np.median(errors))
        self._fit = _Fit(rows, costs)

    def predict(self, rows: Array) -> Array:
        """Predicted costs ``[n]``."""
        return self._fit.predict(rows)


class _Fit:
    def __init__(self, rows: Array, costs: Array) -> None:
        self._scale = np.maximum(rows.max(axis=0), 1.0)
        self._weights = nnls(self._inputs(rows) / costs[:, None], np.ones(len(costs)))[0]

    def predict(self, rows: Array) -> Array:
        predicted: Array = self._inputs(rows) @ self._weights
        return np.maximum(predicted, 1e-12)

    def _inputs(self, rows: Array) -> Array:
        return np.column_stack([np.ones(len(rows)), rows / self._scale])
