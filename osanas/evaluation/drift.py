"""A fixed network measured again and again: whether the device is still what it was when a study began.

Its latency is a health check and never a divisor: on a busy machine the noise of two measurements is independent, so
dividing one by the other only adds noise.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from osanas.errors import CandidateError
from osanas.genotype.architecture import Architecture, Stage, Stem
from osanas.study.events import Say
from osanas.study.records import DRIFT

REFERENCE = Architecture(
    stem=Stem(channels=(16, 16, 32)),
    stages=(
        Stage(conv_channels=16, out_channels=32, layers=3, modules=1),
        Stage(conv_channels=24, out_channels=64, layers=3, modules=1),
        Stage(conv_channels=32, out_channels=96, layers=3, modules=1),
        Stage(conv_channels=40, out_channels=128, layers=3, modules=1),
    ),
)
"""Small, so that a check takes half a second, and of the same blocks as what is searched."""

EVERY = 20
"""Measurements between two checks."""
LEAST = 3
"""Points of a series before anything is judged by it; a new one begins with so many."""
TOLERANCE = 0.05
MADS = 3.0
"""A point is off if it differs by more than ``TOLERANCE`` of the median and ``MADS`` median absolute deviations."""
WAITS_S = (0.5, 1.0, 2.0)
"""Pauses before a point that is off is measured again: what passes by itself is no drift."""


def tolerance_ms(series: Sequence[float]) -> float:
    """By how much a further point may differ from the median of a series, in milliseconds.

    Args:
        series: At least one latency in milliseconds.
    """
    median = statistics.median(series)
    deviation = statistics.median(abs(point - median) for point in series)
    return max(TOLERANCE * median, MADS * deviation)


class Series(Protocol):
    """Latencies of the reference network under one measurement key; only points of one key compare."""

    def good_ms(self) -> list[float]:
        """The points that were no drift, in milliseconds, oldest first."""
        ...

    def add(self, latency_ms: float, *, is_drift: bool) -> None:
        """Adds a point."""
        ...

    def flag_drift(self, measured: Iterable[tuple[str, str]]) -> None:
        """Flags measurements: digest of the key and network of each."""
        ...


@dataclass
class DriftWatch:
    """Checks the device before a measurement, now and then, and marks what was measured while it had drifted.

    Attributes:
        measure: Latency of the reference network by the search's protocol, in milliseconds.
        series: Earlier points of the same measurement key.
        say: Tells the user.
        sleep: Waits, in seconds.
    """

    measure: Callable[[], float]
    series: Series
    say: Say
    sleep: Callable[[float], None] = time.sleep
    _until_check: int = 0
    _since_good: list[tuple[str, str]] = field(default_factory=list)
    _drifting: bool = False

    def before_measuring(self) -> None:
        """Checks the device at the start of a run and every ``EVERY`` measurements.

        Raises:
            EnvironmentFailure: The device failed.
        """
        if self._until_check > 0:
            return
        self._until_check = EVERY
        try:
            self._check()
        except CandidateError as error:  # such as a runtime that does not take it
            self.say(
                f"The reference network cannot be measured, so drift of the device goes unseen: {error}",
                counted_as="the reference network could not be measured",
            )

    def measured(self, key_digest: str, network: str) -> None:
        """Notes a measurement that has been stored."""
        self._until_check -= 1
        self._since_good.append((key_digest, network))
        if self._drifting:
            self.series.flag_drift(self._since_good[-1:])

    def _check(self) -> None:
        series = self.series.good_ms()
        if len(series) < LEAST:
            for _ in range(LEAST - len(series)):
                self.series.add(self.measure(), is_drift=False)
            return
        median, allowed = statistics.median(series), tolerance_ms(series)
        latency = self.measure()
        for wait in () if self._drifting else WAITS_S:
            if abs(latency - median) <= allowed:
                break
            self.sleep(wait)
            latency = self.measure()
        self._drifting = abs(latency - median) > allowed
        self.series.add(latency, is_drift=self._drifting)
        if not self._drifting:
            self._since_good.clear()
            return
        self.series.flag_drift(self._since_good)
        change = "more" if latency > median else "less"
        self.say(
            f"The device has drifted: the reference network took {latency:.3g} ms, {abs(latency / median - 1):.0%} "
            f"{change} than the {median:.3g} ms of {len(series)} earlier checks, also after a pause. What is measured "
            f"from the last good check to the next carries the flag '{DRIFT}'; 'osanas show' names those trials.",
            counted_as="the reference network had drifted",
        )
