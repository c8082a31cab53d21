"""Events of a search that never ran."""

from __future__ import annotations

from typing import Any

from osanas.genotype.space import SearchSpace
from osanas.study.config import StudyConfig
from osanas.study.events import CandidateStarted, EpochDone, SearchStarted
from osanas.study.records import Candidate, CurvePoint, StudyRecord
from tests.fakes import SMALL

MEMBER = SearchSpace.from_dict(SMALL).smallest()
IDENTITY = {"objectives": ["accuracy", "latency_ms", "energy_mj"], "energy_source": "rapl", "rungs": [1]}


def begun(*, trained: int = 2, trials: int = 6, size: int = 144, confirm: int = 0, **identity: Any) -> SearchStarted:
    config = StudyConfig(sampler="tpe", trials=trials, confirm=confirm)
    record = StudyRecord(1, "s", IDENTITY | identity, config, {"name": "Fast CPU"}, 0.0)
    return SearchStarted(record, "sqlite:///studies/s/study.db", "small", size, trained)


STARTED = begun()
COMPLETE = Candidate(
    trial=7,
    digest="a1:0",
    status="complete",
    epochs=1,
    score=0.9,
    latency_ms=1.23456,
    energy_mj=None,
    energy_source=None,
    parameters=1000,
    multiply_adds=10**6,
    memory_access_elements=10,
    reason=None,
    training_seconds=1.0,
    architecture=MEMBER,
)


def candidate_started(trial: int, promoted_from: int | None = None, *, continued: bool = False) -> CandidateStarted:
    return CandidateStarted(trial, MEMBER, 5, promoted_from, continued=continued)


def epoch_done(trial: int, epoch: int, score: float) -> EpochDone:
    return EpochDone(trial, CurvePoint(epoch, 1.0, 1.0, score, 0.1), 5)
