"""Which trials ended since the last look, whoever evaluated them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from osanas.study.records import Candidate


@dataclass
class News:
    """Remembers what has been told."""

    _told: set[int] | None = None

    def of(self, trials: Sequence[Candidate], settled: Collection[int]) -> list[Candidate]:
        """Those that have ended and were not given before.

        Args:
            trials: All of the study. Those that had ended at the first call belong to an earlier run.
            settled: Trials whose end this process was the first to tell Optuna: news even at the first call, since the
                process that evaluated them ended before it could tell anybody.
        """
        ended = {one.trial for one in trials if one.status not in ("running", "waiting")}
        before = ended - set(settled) if self._told is None else self._told
        self._told = before | ended
        return [one for one in trials if one.trial in ended - before]
