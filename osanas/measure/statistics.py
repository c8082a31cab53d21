"""Order statistics of block times and the mean of few energy windows, without assumptions on the blocks' spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import fmean, median, stdev

FEWEST_FOR_INTERVAL = 6
"""Below six samples not even their minimum and maximum bracket the median with 95 % confidence."""

_STUDENT_T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145)
"""Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom."""

_SAMPLES_BEYOND = 10
"""Samples that lie above a percentile at least, for it to be told."""


@cache
def _rank_of_lower_bound(count: int) -> int:
    """The largest 0-based rank ``k`` with P(the median is below the k-th or above the k-th last) <= 5 %.

    The number of samples below the median is binomial (count, 1/2), whatever they are drawn from.
    """
    allowed = 0.025 * 2.0**count if count <= 1000 else None
    if allowed is None:  # the normal approximation is within one rank here, and 2**count leaves the floats
        return max(0, math.floor(count / 2 - 0.98 * math.sqrt(count)) - 1)
    term, below, rank = 1, 1, 0
    while True:
        term = term * (count - rank) // (rank + 1)
        if below + term > allowed:
            return rank
        below += term
        rank += 1


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % confidence interval of the median by order statistics.

    Args:
        values: At least six samples.

    Raises:
        ValueError: Fewer than six.
    """
    if len(values) < FEWEST_FOR_INTERVAL:
        raise ValueError(f"{FEWEST_FOR_INTERVAL} samples are needed for an interval, got {len(values)}")
    ordered = sorted(values)
    rank = _rank_of_lower_bound(len(ordered))
    return ordered[rank], ordered[-1 - rank]


def relative_half_width(values: Sequence[float]) -> float:
    """Half the width of ``median_interval`` over the median; infinite for fewer than six samples."""
    if len(values) < FEWEST_FOR_INTERVAL:
        return math.inf
    low, high = median_interval(values)
    return (high - low) / 2 / median(values)


def interquartile_ratio(values: Sequence[float]) -> float:
    """Interquartile range over the median."""
    ordered = sorted(values)
    last = len(ordered) - 1
    quarter, three_quarters = ordered[round(last * 0.25)], ordered[round(last * 0.75)]
    return (three_quarters - quarter) / median(ordered)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """``p90``, ``p95`` and ``p99`` by nearest rank, each only from 100, 200 or 1000 samples on.

    Fewer than ten samples above a percentile say little about it.
    """
    ordered, count = sorted(values), len(values)
    return {
        f"p{percent}": ordered[math.ceil(count * percent / 100) - 1]
        for percent in (90, 95, 99)
        if count * (100 - percent) >= 100 * _SAMPLES_BEYOND
    }


def mean_relative_half_width(values: Sequence[float]) -> float:
    """Half the width of Student's 95 % interval of the mean, over the mean; infinite for fewer than two values."""
    if len(values) < 2:
        return math.inf
    quantile = _STUDENT_T_975[min(len(values) - 2, len(_STUDENT_T_975) - 1)]
    return quantile * stdev(values) / math.sqrt(len(values)) / fmean(values)
