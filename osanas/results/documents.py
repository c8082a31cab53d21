"""A study's JSON documents: what ``--json`` prints, and what tables are made from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from osanas.results.signals import study_signals
from osanas.results.study import StudyView
from osanas.results.trials import OF_FRONT, OF_TRIALS, candidate_document, certainty_document, point_document
from osanas.study.objectives import COST_UNITS, directions
from osanas.study.records import StudyRecord


def pareto_document(view: StudyView, *, all_rungs: bool = False) -> dict[str, Any]:
    """The document of ``osanas pareto``. The score of a member whose training was repeated is the mean of its seeds.

    Args:
        view: The study.
        all_rungs: Compare every fidelity instead of the highest one reached.
    """
    found, record = view.front(all_rungs=all_rungs), view.record
    noise = view.seed_noise(found)
    return {
        "study": view.name,
        "objectives": [_objective(name, record) for name in found.objectives],
        "score": record.score.name,
        "device": record.device,
        "energy_source": record.energy_source,
        "hypervolume": found.hypervolume,
        "reference_point": list(found.reference_point),
        "measured": found.measured,
        "overtaken": found.overtaken,
        "other_key": found.other_key,
        "drifted": view.drifted(found.candidates),
        "rungs": list(view.rungs),
        "savings": asdict(view.savings()),
        "seed_noise": None if noise is None else asdict(noise),
        "candidates": [
            candidate_document(member, record.score, OF_FRONT) | certainty_document(certainty, record.score)
            for member, certainty in zip(found.candidates, view.certainties(found), strict=True)
        ],
    }


def show_document(view: StudyView) -> dict[str, Any]:
    """The document of ``osanas show STUDY``: every trial, and how well cheap signals ranked them."""
    candidates, record = view.candidates(), view.record
    return {
        "study": view.name,
        "score": record.score.name,
        "measurement_key": record.search_key,
        "energy_source": record.energy_source,
        "other_key": view.front().other_key,
        "drifted": view.drifted(candidates),
        "rungs": list(view.rungs),
        "savings": asdict(view.savings()),
        "trials": [candidate_document(candidate, record.score, OF_TRIALS) for candidate in candidates],
        "signals": study_signals(record, view.evaluations()),
    }


def trial_document(view: StudyView, trial: int) -> dict[str, Any]:
    """The document of ``osanas show STUDY TRIAL``: the trial, its learning curve and its architecture.

    Raises:
        StudyError: The study has no trial of this number.
    """
    score = view.record.score
    curve = [point_document(point, score) for point in view.curve(trial)]
    candidate = candidate_document(view.candidate(trial), score)
    return {"study": view.name, "score": score.name, **candidate, "curve": curve}


def _objective(name: str, record: StudyRecord) -> dict[str, Any]:
    (direction,) = directions([name])
    document = {"name": name, "direction": direction, "unit": COST_UNITS.get(name, record.score.unit)}
    return document | ({"source": record.energy_source} if name == "energy_mj" else {})
