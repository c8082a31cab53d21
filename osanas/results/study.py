"""Reading a study: its candidates, its front, and the JSON documents of the commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from osanas.errors import MissingExtraError, StudyError
from osanas.pareto import front, hypervolume
from osanas.results.savings import Savings, savings_of
from osanas.store.store import Store
from osanas.study.config import OBJECTIVES, Direction, Objective
from osanas.study.records import DRIFT, Candidate, CurvePoint, EvaluationRecord, MeasurementRecord, StudyRecord

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
        measured: Whether latency and energy of the members are those of the full protocol or of the search's.
        overtaken: Candidates that were on it by the search's figures and are not by the full ones.
        other_key: Complete candidates that were not compared, as they were measured under another key.
    """

    objectives: tuple[Objective, ...]
    candidates: tuple[Candidate, ...]
    reference_point: tuple[float, ...]
    hypervolume: float
    measured: Literal["full", "search"] = "search"
    overtaken: int = 0
    other_key: int = 0


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

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs of training at each rung of the ladder, rising."""
        return tuple(self.record.identity["rungs"])

    def candidates(self) -> list[Candidate]:
        """Every trial, by number."""
        return self._store.candidates(self.record.id)

    def evaluations(self) -> list[EvaluationRecord]:
        """Every candidate at every fidelity, as the search sees them."""
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
            for evaluation in self._store.evaluations(self.record.id)
            if evaluation.digest == wanted.digest and evaluation.epochs <= wanted.epochs
        ]
        points: dict[int, CurvePoint] = {}
        for evaluation in sorted(climbed, key=lambda evaluation: evaluation.epochs):
            points |= {point.epoch: point for point in self._store.curve(evaluation.id)}
        return [points[epoch] for epoch in sorted(points)]

    def savings(self) -> Savings:
        """What the search trained, and what it was spared."""
        return savings_of(
            self._store.evaluations(self.record.id),
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
        found = front_of(self.candidates(), self.objectives, self.record, all_rungs=all_rungs)
        return in_full(found, self.record, self._final_measurements(found.candidates))

    def without_full_figures(self) -> list[Candidate]:
        """Members of the front by the search's figures that have not been measured in full."""
        found = front_of(self.candidates(), self.objectives, self.record)
        final = self._final_measurements(found.candidates)
        return [member for member in found.candidates if in_full_figures(member, self.record, final) is None]

    def left_behind(self) -> list[Candidate]:
        """Members of the fronts under other measurement keys that were not measured under the present one."""
        complete = [candidate for candidate in self.candidates() if candidate.status == "complete"]
        present = [candidate for candidate in complete if candidate.measurement_key == self.record.search_key]
        members: list[Candidate] = []
        for key in sorted({c.measurement_key or "" for c in complete} - {self.record.search_key or ""}):
            old = [candidate for candidate in complete if (candidate.measurement_key or "") == key]
            # what was measured again since then still belongs to that front, or the next layer would take its place
            known = self._store.measurements(key, [candidate.digest for candidate in present])
            again = [_with_figures(c, known[c.digest], old[0].measurement_key) for c in present if c.digest in known]
            record = replace(self.record, search_key=old[0].measurement_key)
            found = front_of([*old, *again], self.objectives, record)
            members += [member for member in found.candidates if member in old]
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
            "measured": found.measured,
            "overtaken": found.overtaken,
            "other_key": found.other_key,
            "drifted": self.drifted(found.candidates),
            "rungs": list(self.rungs),
            "savings": asdict(self.savings()),
            "candidates": [
                {key: document[key] for key in _FRONT_KEYS} for document in map(candidate_document, found.candidates)
            ],
        }

    def show_document(self) -> dict[str, Any]:
        """The JSON of ``osanas show STUDY``."""
        candidates = self.candidates()
        return {
            "study": self.name,
            "measurement_key": self.record.search_key,
            "drifted": self.drifted(candidates),
            "rungs": list(self.rungs),
            "savings": asdict(self.savings()),
            "trials": [{key: document[key] for key in _TRIAL_KEYS} for document in map(candidate_document, candidates)],
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
    "measurement_key",
    "reason",
    "architecture",
)


def candidate_document(candidate: Candidate) -> dict[str, Any]:
    """A candidate as JSON."""
    return {**vars(candidate), "architecture": candidate.architecture.to_dict()}


def front_of(
    candidates: Sequence[Candidate], objectives: tuple[Objective, ...], record: StudyRecord, *, all_rungs: bool = False
) -> Front:
    """The Pareto front among records of a study, by the figures that they were searched with.

    Only candidates measured under the study's present key compare: figures of different keys never meet.
    """
    usable = [candidate for candidate in candidates if candidate.status == "complete"]
    same_key = [candidate for candidate in usable if candidate.measurement_key == record.search_key]
    other_key = len(usable) - len(same_key)
    compared = _compared(same_key, objectives, record, all_rungs=all_rungs)
    points = [_values(candidate, objectives) for candidate in compared]
    if not points:
        return Front(objectives, (), (), 0.0, other_key=other_key)
    reference = tuple(
        0.0 if direction == "maximize" else REFERENCE_MARGIN * max(column)
        for direction, column in zip(_directions(objectives), zip(*points, strict=True), strict=True)
    )
    members, volume = _ranked(compared, objectives, reference)
    return Front(objectives, members, reference, volume, other_key=other_key)


def in_full(found: Front, record: StudyRecord, final: Mapping[str, MeasurementRecord]) -> Front:
    """A front with its members ranked among themselves by their full figures, if all have them.

    Limits have been judged by the search's figures, before training; they are not judged again.

    Args:
        found: From ``front_of``.
        record: Its study.
        final: Measurements under the study's final key, by digest.
    """
    full = [in_full_figures(member, record, final) for member in found.candidates]
    known = [member for member in full if member is not None]
    if not full or len(known) < len(full):
        return found
    members, volume = _ranked(known, found.objectives, found.reference_point)
    return replace(found, candidates=members, hypervolume=volume, measured="full", overtaken=len(known) - len(members))


def in_full_figures(
    candidate: Candidate, record: StudyRecord, final: Mapping[str, MeasurementRecord]
) -> Candidate | None:
    """A candidate with its full figures, or None if it has none (yet).

    Where the study's two keys are one, the search's figures are the full ones.
    """
    if record.final_key is not None and record.final_key == record.search_key:
        return candidate
    found = final.get(candidate.digest)
    if found is None:
        return None
    full = _with_figures(candidate, found, record.final_key)
    lost = [name for name in ("latency_ms", "energy_mj") if getattr(full, name) is None]
    return None if any(getattr(candidate, name) is not None for name in lost) else full


def _with_figures(candidate: Candidate, found: MeasurementRecord, key: str | None) -> Candidate:
    latency_ms, energy_mj = found.result["latency_ms"], found.result["energy_mj"]
    return replace(candidate, latency_ms=latency_ms, energy_mj=energy_mj, measurement_key=key)


def _ranked(
    candidates: Sequence[Candidate], objectives: tuple[Objective, ...], reference: tuple[float, ...]
) -> tuple[tuple[Candidate, ...], float]:
    """The non-dominated ones by rising cost, and their hypervolume."""
    points = [_values(candidate, objectives) for candidate in candidates]
    members = front(points, _directions(objectives))
    cost = next((name for name in objectives if name != "accuracy"), "accuracy")
    ordered = sorted((candidates[index] for index in members), key=lambda member: (getattr(member, cost), member.trial))
    volume = hypervolume([points[index] for index in members], _directions(objectives), reference)
    return tuple(ordered), volume


def _directions(objectives: tuple[Objective, ...]) -> list[Direction]:
    return [OBJECTIVES[name][0] for name in objectives]


def _compared(
    candidates: Sequence[Candidate], objectives: tuple[Objective, ...], record: StudyRecord, *, all_rungs: bool
) -> list[Candidate]:
    fitting = [
        candidate
        for candidate in candidates
        if record.limits.broken_by(candidate.costs) is None
        and all(getattr(candidate, name) is not None for name in objectives)
    ]
    highest = max((candidate.epochs for candidate in fitting), default=0)
    return [candidate for candidate in fitting if all_rungs or candidate.epochs == highest]


def _values(candidate: Candidate, objectives: tuple[Objective, ...]) -> tuple[float, ...]:
    return tuple(float(getattr(candidate, name)) for name in objectives)
