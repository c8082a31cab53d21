"""A study as a worker sees it at the beginning of a step: everything is read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from optuna.trial import FrozenTrial

from osanas.results.front import Front, front_of
from osanas.store.rows import trials_of
from osanas.strategy.history import History, history_of
from osanas.study.records import Candidate, Others, StudyRecord


@dataclass(frozen=True)
class Snapshot:
    """A study as it is at the beginning of a step.

    Each part is read after the ones before it: whoever is found in a later one was not missed in an earlier.

    Attributes:
        record: The study.
        files: Checkpoints on this machine.
        unfinished: Trials that Optuna has not heard the end of.
        others: The other living workers.
        duplicates: The evaluation that each duplicate trial repeats.
        evaluations: In the order of their claims.
    """

    record: StudyRecord
    files: Sequence[Path]
    unfinished: Sequence[FrozenTrial]
    others: Others
    duplicates: Mapping[int, int]
    evaluations: Sequence[Candidate]

    @cached_property
    def trials(self) -> list[Candidate]:
        """Every trial, by number."""
        return trials_of(self.evaluations, self.duplicates)

    @cached_property
    def front(self) -> Front:
        """The front by the figures of the search."""
        return front_of(self.trials, self.record)

    @cached_property
    def history(self) -> History:
        """What the strategy decides from."""
        return history_of(self.evaluations, self.record)

    @property
    def trained(self) -> int:
        """Distinct candidates trained, at least to the first rung."""
        lowest = self.record.rungs[0]
        return sum(one.is_complete and one.epochs == lowest and one.repeat == 0 for one in self.evaluations)
