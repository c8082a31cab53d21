"""How many candidates in a row ended in the same way, and when that is reason to stop."""

from __future__ import annotations

from dataclasses import dataclass

DUPLICATES_BEFORE_RANDOM = 20
INFEASIBLE_IN_A_ROW = 200
FAILURES_IN_A_ROW = 5


@dataclass
class Streaks:
    """Counts of this process; each run of a search begins anew. A duplicate ends only the streak of duplicates."""

    duplicates: int = 0
    patience: int = DUPLICATES_BEFORE_RANDOM
    infeasible: int = 0
    failures: int = 0
    failure_kind: str | None = None

    def count(self, status: str, kind: str | None = None) -> None:
        """Counts one more trial.

        Args:
            status: As of a ``Candidate``.
            kind: The word for the reason of a failure.
        """
        if status == "duplicate":
            self.duplicates += 1
            return
        # A random member drawn for a stuck sampler gives it half as many tries to repeat itself as before.
        self.patience = max(1, self.patience // 2) if self.sampler_is_stuck else DUPLICATES_BEFORE_RANDOM
        self.duplicates = 0
        self.infeasible = self.infeasible + 1 if status == "infeasible" else 0
        same = status == "failed" and kind == self.failure_kind
        self.failures = self.failures + 1 if same else int(status == "failed")
        self.failure_kind = kind if status == "failed" else None

    @property
    def sampler_is_stuck(self) -> bool:
        """Whether the sampler repeats itself, so that a random member is drawn instead."""
        return self.duplicates >= self.patience

    @property
    def fails_alike(self) -> bool:
        """Whether too many candidates in a row failed for one reason."""
        return self.failures >= FAILURES_IN_A_ROW

    @property
    def nothing_fits(self) -> bool:
        """Whether too many candidates in a row broke a limit."""
        return self.infeasible >= INFEASIBLE_IN_A_ROW
