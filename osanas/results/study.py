"""A study as its reader sees it: plain records, the front, and a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from osanas.errors import MissingExtraError, StudyError
from osanas.results.front import Front, front_of, in_full, in_full_figures, with_figures
from osanas.results.savings import Savings, savings_of
from osanas.results.seeds import Certainty, certainties, noise_after, with_mean_scores
from osanas.results.trials import candidate_document
from osanas.store.store import Store
from osanas.strategy.noise import SeedNoise
from osanas.study.records import DRIFT, Candidate, CurvePoint, MeasurementRecord, StudyRecord

if TYPE_CHECKING:
    import pandas as pd


class StudyView:
    """A stored study, read only.

    Args:
        store: The open store.
        name: The study's name.

    Raises:
        StudyError: There is no such study.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self.record: StudyRecord = store.study(name)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.record.name

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives, in the order of Optuna's values."""
        return self.record.objectives

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs of training at each rung of the ladder, rising."""
        return self.record.rungs

    def candidates(self) -> list[Candidate]:
        """Every trial, by number."""
        return self._store.candidates(self.record.id)

    def evaluations(self) -> list[Candidate]:
        """Every candidate at every fidelity, in the order of their claims: the trials without duplicates."""
        return self._store.evaluations(self.record.id)

    def candidate(self, trial: int) -> Candidate:
        """One trial.

        Raises:
            StudyError: The study has no trial of this number.
        """
        numbers = []
        for candidate in self.candidates():
            if candidate.trial == trial:
                return candidate
            numbers.append(candidate.trial)
        held = f"Its trials are {numbers[0]} to {numbers[-1]}." if numbers else "It has no trial yet."
        raise StudyError(f"The study '{self.name}' has no trial {trial}.", held)

    def curve(self, trial: int) -> list[CurvePoint]:
        """The learning curve behind a trial, from the first epoch; a duplicate has that of its original."""
        wanted = self.candidate(trial)
        climbed = [
            evaluation
            for evaluation in self.evaluations()
            if evaluation.digest == wanted.digest
            and evaluation.epochs <= wanted.epochs
            and evaluation.repeat == wanted.repeat
        ]
        points: dict[int, CurvePoint] = {}
        for evaluation in sorted(climbed, key=lambda evaluation: evaluation.epochs):
            points |= {point.epoch: point for point in self._store.curve(evaluation.evaluation)}
        return [points[epoch] for epoch in sorted(points)]

    def savings(self) -> Savings:
        """What the search trained, and what it was spared."""
        return savings_of(
            self.evaluations(),
            self.rungs,
            duplicates=len(self._store.duplicates(self.record.id)),
            epochs_trained=self._store.epochs_trained(self.record.id),
        )

    def pareto(self, *, all_rungs: bool = False) -> list[Candidate]:
        """The Pareto-efficient candidates, by rising cost."""
        return list(self.front(all_rungs=all_rungs).candidates)

    def front(self, *, all_rungs: bool = False) -> Front:
        """The Pareto front over complete candidates within the limits, with full figures where all members have them.

        Args:
            all_rungs: Compare every fidelity instead of the highest one reached.
        """
        found = front_of(self.candidates(), self.record, all_rungs=all_rungs)
        return in_full(found, self.record, self._final_measurements(found.candidates))

    def certainties(self, found: Front) -> list[Certainty]:
        """How well the score of each member of a front is known, by the trainings that were repeated."""
        return certainties(found.candidates, self.candidates(), found.objectives)

    def seed_noise(self, found: Front) -> SeedNoise | None:
        """The noise between seeds of trainings to the highest rung on a front; None if none was repeated."""
        return noise_after(max((one.epochs for one in found.candidates), default=0), self.candidates())

    def without_full_figures(self) -> list[Candidate]:
        """Members of the front by the search's figures that have not been measured in full."""
        found = front_of(self.candidates(), self.record)
        final = self._final_measurements(found.candidates)
        return [member for member in found.candidates if in_full_figures(member, self.record, final) is None]

    def left_behind(self) -> list[Candidate]:
        """Members of the fronts under other measurement keys that were not measured under the present one."""
        complete = with_mean_scores(self.candidates())
        present = [candidate for candidate in complete if candidate.measurement_key == self.record.search_key]
        members: list[Candidate] = []
        for key in sorted({c.measurement_key or "" for c in complete} - {self.record.search_key or ""}):
            old = [candidate for candidate in complete if (candidate.measurement_key or "") == key]
            # what was measured again since then still belongs to that front, or the next layer would take its place
            known = self._store.measurements(key, [candidate.digest for candidate in present])
            again = [with_figures(c, known[c.digest], old[0].measurement_key) for c in present if c.digest in known]
            record = replace(self.record, search_key=old[0].measurement_key)
            found = front_of([*old, *again], record)
            numbers = {candidate.trial for candidate in old}
            members += [member for member in found.candidates if member.trial in numbers]
        return sorted(members, key=lambda member: member.trial)

    def drifted(self, candidates: Sequence[Candidate]) -> list[int]:
        """Trials among ``candidates`` whose figures were measured while the reference network had drifted."""
        trials = []
        for key in {candidate.measurement_key for candidate in candidates} - {None}:
            here = [candidate for candidate in candidates if candidate.measurement_key == key]
            found = self._store.measurements(key or "", [candidate.digest for candidate in here])
            trials += [c.trial for c in here if c.digest in found and DRIFT in found[c.digest].flags]
        return sorted(trials)

    def _final_measurements(self, candidates: Sequence[Candidate]) -> dict[str, MeasurementRecord]:
        if self.record.final_key is None:
            return {}
        return self._store.measurements(self.record.final_key, [candidate.digest for candidate in candidates])

    def to_dataframe(self) -> pd.DataFrame:
        """All candidates as a pandas DataFrame, a row a trial.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise MissingExtraError("pandas", "pandas", "A data frame") from None
        return pd.DataFrame([candidate_document(candidate, self.record.score) for candidate in self.candidates()])
