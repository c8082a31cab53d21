"""How the ladder of rungs shares out candidates."""

from __future__ import annotations

from collections.abc import Sequence

LAST_SHARE = 0.2
"""Of the candidates, how many reach the highest rung; the shares of the rungs between fall evenly in log scale."""


def shares(rungs: Sequence[int]) -> list[float]:
    """Which share of the candidates reaches each rung; all reach the first.

    Args:
        rungs: Rising numbers of epochs.
    """
    steps = max(1, len(rungs) - 1)
    return [LAST_SHARE ** (place / steps) for place in range(len(rungs))]
