"""The Pareto front of a study's candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from osanas.pareto import REFERENCE_MARGIN, front, hypervolume
from osanas.results.seeds import with_mean_scores
from osanas.study.objectives import COST_UNITS, directions, is_cost
from osanas.study.records import Candidate, MeasurementRecord, StudyRecord


@dataclass(frozen=True)
class Front:
    """The non-dominated candidates of a study.

    Attributes:
        objectives: By name.
        candidates: By rising cost.
        reference_point: One value an objective, the study's own. A study without one counts from score 0 and 1.1 times
            the largest cost compared.
        hypervolume: Of the front against the reference point, in the objectives' own units.
        measured: Whether latency and energy of the members are those of the full protocol or of the search's.
        overtaken: Candidates that were on it by the search's figures and are not by the full ones.
        other_key: Complete candidates that were not compared, as they were measured under another key.
    """

    objectives: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    reference_point: tuple[float, ...]
    hypervolume: float
    measured: Literal["full", "search"] = "search"
    overtaken: int = 0
    other_key: int = 0


def front_of(candidates: Sequence[Candidate], record: StudyRecord, *, all_rungs: bool = False) -> Front:
    """The Pareto front among the trials of a study, by the figures that they were searched with.

    Only candidates measured under the study's present key compare: figures of different keys never meet. A candidate
    whose training was repeated has the mean score of its trainings: a lucky one does not keep it on the front.

    Args:
        candidates: Trials, by number.
        record: Their study.
        all_rungs: Compare every fidelity instead of the highest one reached.
    """
    usable = with_mean_scores(candidates)
    same_key = [candidate for candidate in usable if candidate.measurement_key == record.search_key]
    other_key = len(usable) - len(same_key)
    objectives = record.objectives
    compared = _compared(same_key, record, all_rungs=all_rungs)
    points = [_values(candidate, objectives) for candidate in compared]
    if not points:
        return Front(objectives, (), (), 0.0, other_key=other_key)
    reference = record.reference or tuple(
        REFERENCE_MARGIN * max(column) if is_cost(name) else 0.0
        for name, column in zip(objectives, zip(*points, strict=True), strict=True)
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
    full = with_figures(candidate, found, record.final_key)
    lost = [name for name in COST_UNITS if full.figure(name) is None]
    return None if any(candidate.figure(name) is not None for name in lost) else full


def with_figures(candidate: Candidate, found: MeasurementRecord, key: str | None) -> Candidate:
    """A candidate with latency and energy of another measurement."""
    latency_ms, energy_mj = found.result["latency_ms"], found.result["energy_mj"]
    return replace(candidate, latency_ms=latency_ms, energy_mj=energy_mj, measurement_key=key)


def _ranked(
    candidates: Sequence[Candidate], objectives: tuple[str, ...], reference: tuple[float, ...]
) -> tuple[tuple[Candidate, ...], float]:
    """The non-dominated ones by rising cost, and their hypervolume."""
    points = [_values(candidate, objectives) for candidate in candidates]
    members = front(points, directions(objectives))
    cost = next(filter(is_cost, objectives), objectives[0])
    ordered = sorted((candidates[index] for index in members), key=lambda member: (member.figure(cost), member.trial))
    volume = hypervolume([points[index] for index in members], directions(objectives), reference)
    return tuple(ordered), volume


def _compared(candidates: Sequence[Candidate], record: StudyRecord, *, all_rungs: bool) -> list[Candidate]:
    fitting = [
        candidate
        for candidate in candidates
        if record.limits.broken_by(candidate.costs) is None
        and all(candidate.figure(name) is not None for name in record.objectives)
    ]
    highest = max((candidate.epochs for candidate in fitting), default=0)
    return [candidate for candidate in fitting if all_rungs or candidate.epochs == highest]


def _values(candidate: Candidate, objectives: tuple[str, ...]) -> tuple[float, ...]:
    return tuple(float(value) for name in objectives if (value := candidate.figure(name)) is not None)
