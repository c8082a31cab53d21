"""What an evaluator says a candidate costs, on its way into the database."""

from __future__ import annotations

import math
from dataclasses import asdict

from osanas.errors import CandidateError
from osanas.evaluation.evaluator import CandidateCosts
from osanas.store.store import Store


def check_finite(**figures: float | None) -> None:
    """Refuses what no front and no database can hold.

    Raises:
        CandidateError: A figure is infinite or no number.
    """
    for name, figure in figures.items():
        if figure is not None and not math.isfinite(figure):
            raise CandidateError("not_finite", f"Its {name} is {figure}.")


def keep_costs(store: Store, evaluation_id: int, network: str, costs: CandidateCosts, default_key: str) -> None:
    """Stores what a candidate costs with its evaluation, and its figures as a measurement.

    Args:
        network: Digest of the architecture.
        default_key: The measurement key where ``costs`` name none.

    Raises:
        CandidateError: A figure is infinite or no number.
    """
    keep_measurement(store, network, costs, default_key)
    store.save_costs(evaluation_id, {**asdict(costs), "measurement_key": costs.measurement_key or default_key})


def keep_measurement(store: Store, network: str, costs: CandidateCosts, default_key: str) -> None:
    """Stores latency and energy as a measurement; one that the evaluator has stored itself, and in full, stays."""
    check_finite(latency_ms=costs.latency_ms, energy_mj=costs.energy_mj)
    figures = {name: getattr(costs, name) for name in ("latency_ms", "energy_mj", "energy_source")}
    store.save_measurement(costs.measurement_key or default_key, {}, network, figures)
