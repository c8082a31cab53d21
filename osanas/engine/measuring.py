"""What candidates cost: from the database where it was measured before, otherwise measured and stored."""

from __future__ import annotations

import math
from dataclasses import dataclass

from osanas.errors import CandidateError
from osanas.evaluation.drift import DriftWatch
from osanas.evaluation.evaluator import CandidateCosts, Measurer
from osanas.genotype.architecture import Architecture
from osanas.store.references import References
from osanas.store.store import Store
from osanas.study.events import Say
from osanas.study.objectives import COST_UNITS


@dataclass(frozen=True)
class Measuring:
    """A measurer at work in a study."""

    store: Store
    measurer: Measurer
    watch: DriftWatch | None

    @property
    def key(self) -> str:
        """Digest of the search's measurement key."""
        return self.measurer.keys().search.digest

    def costs(self, architecture: Architecture, *, in_full: bool = False) -> CandidateCosts:
        """What a network costs, under the search's key or the final one.

        Raises:
            CandidateError: It cannot be measured, or a figure is infinite or no number.
            EnvironmentFailure: Device, meter or database failed.
        """
        keys = self.measurer.keys()
        key = keys.final if in_full else keys.search
        known = self.store.measurement_record(key.digest, architecture.digest)
        if known is not None:
            return self.measurer.measure(architecture, in_full=in_full, stored=known.result)
        if self.watch is not None:
            self.watch.before_measuring()
        costs = self.measurer.measure(architecture, in_full=in_full)
        for name in COST_UNITS:
            check_finite(name, getattr(costs, name))
        self.store.save_measurement(key.digest, key.document, architecture.digest, costs.stored_form())
        if self.watch is not None:
            self.watch.measured(key.digest, architecture.digest)
        return costs

    def keep(self, evaluation: int, costs: CandidateCosts) -> None:
        """Stores what a candidate costs by the search's key with its evaluation."""
        self.store.save_costs(evaluation, {**vars(costs), "measurement_key": self.key})


def measuring_in(store: Store, study_id: int, measurer: Measurer, say: Say) -> Measuring:
    """Puts a measurer to work in a study.

    Args:
        store: The open store.
        study_id: Of the study's row.
        measurer: Who measures.
        say: Tells the user something that concerns the whole run.
    """
    for note in measurer.notes():
        say(f"{note[:1].upper()}{note[1:]}".rstrip(".") + ".")
    return Measuring(store, measurer, _watch(store, study_id, measurer, say))


def _watch(store: Store, study_id: int, measurer: Measurer, say: Say) -> DriftWatch | None:
    reference_ms = measurer.reference_ms
    if reference_ms is None:
        return None
    return DriftWatch(reference_ms, References(store, study_id, measurer.keys().search.digest), say)


def check_finite(name: str, figure: float | None) -> None:
    """Refuses what no front and no database can hold.

    Raises:
        CandidateError: The figure is infinite or no number.
    """
    if figure is not None and not math.isfinite(figure):
        raise CandidateError("not_finite", f"Its {name} is {figure}.")
