"""Reading a study: its candidates, its front, and the JSON documents of the commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osanas.config import OBJECTIVES, Direction, Objective
from osanas.errors import MissingExtraError, StudyError
from osanas.pareto import front, hypervolume
from osanas.store.records import Candidate, CurvePoint, StudyRecord
from osanas.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

REFERENCE_MARGIN = 1.1
"""The reference point lies this factor beyond the largest cost, so that the costliest member still counts."""


@dataclass(frozen=True)
class Front:
    """The non-dominated candidates of a study.

    Attributes:
        candidates: By rising cost.
        reference_point: One value an objective: accuracy 0, and 1.1 times the largest cost among all candidates
            compared.
        hypervolume: Of the front against the reference point, in the objectives' own units.
    """

    objectives: tuple[Objective, ...]
    candidates: tuple[Candidate, ...]
    reference_point: tuple[float, ...]
    hypervolume: float


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
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives, in the order of Optuna's values."""
        return tuple(self.record.identity["objectives"])

    def candidates(self) -> list[Candidate]:
        """Every trial, by number."""
        return self._store.candidates(self.record.id)

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
        """The learning curve behind a trial; a duplicate has that of its original."""
        wanted = self.candidate(trial)
        for evaluation in self._store.evaluations(self.record.id):
            if (evaluation.digest, evaluation.epochs) == (wanted.digest, wanted.epochs):
                return self._store.curve(evaluation.id)
        return []

    def pareto(self, *, all_rungs: bool = False) -> list[Candidate]:
        """The Pareto-efficient candidates, by rising cost."""
        return list(self.front(all_rungs=all_rungs).candidates)

    def front(self, *, all_rungs: bool = False) -> Front:
        """The Pareto front over complete candidates within the limits.

        Args:
            all_rungs: Compare every fidelity instead of the highest one reached.
        """
        return front_of(self.candidates(), self.objectives, self.record, all_rungs=all_rungs)

    def to_dataframe(self) -> pd.DataFrame:
        """All candidates as a pandas DataFrame, a row a trial.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise MissingExtraError("pandas", "pandas", "A data frame") from None
        return pd.DataFrame([candidate_document(candidate) for candidate in self.candidates()])

    def pareto_document(self, *, all_rungs: bool = False) -> dict[str, Any]:
        """The JSON of ``osanas pareto``."""
        found = self.front(all_rungs=all_rungs)
        return {
            "study": self.name,
            "objectives": [self._objective_document(name) for name in found.objectives],
            "device": self.record.device,
            "hypervolume": found.hypervolume,
            "reference_point": list(found.reference_point),
            "candidates": [
                {key: document[key] for key in _FRONT_KEYS} for document in map(candidate_document, found.candidates)
            ],
        }

    def show_document(self) -> dict[str, Any]:
        """The JSON of ``osanas show STUDY``."""
        return {
            "study": self.name,
            "trials": [
                {key: document[key] for key in _TRIAL_KEYS} for document in map(candidate_document, self.candidates())
            ],
        }

    def trial_document(self, trial: int) -> dict[str, Any]:
        """The JSON of ``osanas show STUDY TRIAL``: the trial, its curve and its architecture."""
        curve = [vars(point) for point in self.curve(trial)]
        return {"study": self.name, **candidate_document(self.candidate(trial)), "curve": curve}

    def _objective_document(self, name: Objective) -> dict[str, Any]:
        direction, unit = OBJECTIVES[name]
        document = {"name": name, "direction": direction, "unit": unit}
        if name == "energy_mj":
            document["source"] = self.record.identity["energy_source"]
        return document


_FRONT_KEYS = (
    "trial",
    "digest",
    "epochs",
    "accuracy",
    "latency_ms",
    "energy_mj",
    "parameters",
    "multiply_adds",
    "memory_access_elements",
    "architecture",
)
_TRIAL_KEYS = (
    "trial",
    "digest",
    "status",
    "epochs",
    "promoted_from",
    "accuracy",
    "latency_ms",
    "energy_mj",
    "reason",
    "architecture",
)


def candidate_document(candidate: Candidate) -> dict[str, Any]:
    """A candidate as JSON."""
    return {**vars(candidate), "architecture": candidate.architecture.to_dict()}


def front_of(
    candidates: Sequence[Candidate], objectives: tuple[Objective, ...], record: StudyRecord, *, all_rungs: bool = False
) -> Front:
    """The Pareto front among records of a study."""
    compared = _compared(candidates, objectives, record, all_rungs=all_rungs)
    points = [_values(candidate, objectives) for candidate in compared]
    directions: list[Direction] = [OBJECTIVES[name][0] for name in objectives]
    if not points:
        return Front(objectives, (), (), 0.0)
    reference = tuple(
        0.0 if direction == "maximize" else REFERENCE_MARGIN * max(column)
        for direction, column in zip(directions, zip(*points, strict=True), strict=True)
    )
    members = front(points, directions)
    cost = next((name for name in objectives if name != "accuracy"), "accuracy")
    ordered = sorted((compared[index] for index in members), key=lambda member: (getattr(member, cost), member.trial))
    volume = hypervolume([points[index] for index in members], directions, reference)
    return Front(objectives, tuple(ordered), reference, volume)


def _compared(
    candidates: Sequence[Candidate], objectives: tuple[Objective, ...], record: StudyRecord, *, all_rungs: bool
) -> list[Candidate]:
    complete = [
        candidate
        for candidate in candidates
        if candidate.status == "complete"
        and record.limits.broken_by(candidate.costs) is None
        and all(getattr(candidate, name) is not None for name in objectives)
    ]
    highest = max((candidate.epochs for candidate in complete), default=0)
    return [candidate for candidate in complete if all_rungs or candidate.epochs == highest]


def _values(candidate: Candidate, objectives: tuple[Objective, ...]) -> tuple[float, ...]:
    return tuple(float(getattr(candidate, name)) for name in objectives)
