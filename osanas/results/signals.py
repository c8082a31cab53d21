"""The cheap signals of a stored study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.strategy.features import Features
from osanas.strategy.history import history_of
from osanas.strategy.signals import rank_correlations, signals_document
from osanas.study.records import Candidate, StudyRecord


def study_signals(record: StudyRecord, evaluations: Sequence[Candidate]) -> dict[str, Any] | None:
    """How well each cheap signal ranked the candidates of a study, as JSON.

    Args:
        record: The study.
        evaluations: All of it.

    Returns:
        As ``signals_document``; None for a study whose identity does not tell what its networks are built for.
    """
    identity = record.identity
    data, reduction = identity.get("data"), identity.get("stem_reduction")
    if not isinstance(data, Mapping) or reduction is None or not {"resolution", "in_channels"} <= data.keys():
        return None
    shape = NetworkShape(data["resolution"], data["in_channels"], data.get("num_classes"), reduction)
    features = Features(SpaceAt(SearchSpace.from_dict(identity["space"]), shape))
    return signals_document(rank_correlations(history_of(evaluations, record), features), record.rungs)
