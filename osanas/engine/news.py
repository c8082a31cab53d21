"""Which trials ended since the last look, whoever evaluated them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from osanas.study.records import Candidate


@dataclass
class News:
    """Remembers what has been told."""

    _told: set[int] = field(default_factory=set)

    def begin(self, trials: Sequence[Candidate], unheard: Collection[int]) -> None:
        """What had ended before this run is no news.

        Args:
            trials: All of the study.
            unheard: Trials whose end Optuna has not heard of. They are news all the same: the process that evaluated
                them ended before it could tell anybody.
        """
        self._told = _ended(trials) - set(unheard)

    def of(self, trials: Sequence[Candidate]) -> list[Candidate]:
        """Those that have ended and were not given before.

        Args:
            trials: All of the study.
        """
        new = _ended(trials) - self._told
        self._told |= new
        return [one for one in trials if one.trial in new]


def _ended(trials: Sequence[Candidate]) -> set[int]:
    return {one.trial for one in trials if one.status not in ("running", "waiting")}
