"""``osanas plan``."""

from __future__ import annotations

import inspect
from typing import Any

from osanas.cli.search import search

_OF_RUNS = ("dry_run", "remeasure")
"""Options of a search that say how it runs, not what."""


def plan(**options: Any) -> None:
    """Say what a search with these options would meet and take. About a minute; nothing is stored.

    It tells what the smallest, median and largest members cost on this device, the share of the space within the
    limits, and the time of the search, with its energy where a meter measures it.

    Example: osanas plan --space vovnet --max-latency-ms 5
    """
    search(**options, dry_run=True)


# Typer reads the options from here, so that the two commands can never differ.
plan.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [option for name, option in inspect.signature(search, eval_str=True).parameters.items() if name not in _OF_RUNS]
)
