"""Order statistics of block times and the mean of few energy windows, without assumptions on the blocks' spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median, stdev

from scipy.special import bdtrik, stdtrit

FEWEST_FOR_INTERVAL = 6
"""Below six samples not even their minimum and maximum bracket the median with 95 % confidence."""

_SAMPLES_BEYOND = 10
"""Samples that lie above a percentile at least, for it to be told."""


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % confidence interval of the median by order statistics.

    The number of samples below the median is binomial (count, 1/2), whatever they are drawn from: the interval ends at
    the largest rank below which the median lies with at most 2.5 %, counted from either end.

    Args:
        values: At least six samples.

    Raises:
        ValueError: Fewer than six.
    """
    if len(values) < FEWEST_FOR_INTERVAL:
        raise ValueError(f"{FEWEST_FOR_INTERVAL} samples are needed for an interval, got {len(values)}")
    ordered = sorted(values)
    rank = math.floor(bdtrik(0.025, len(ordered), 0.5))
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
    quantile = float(stdtrit(len(values) - 1, 0.975))
    return quantile * stdev(values) / math.sqrt(len(values)) / fmean(values)
