from __future__ import annotations

from typing import Any

import pytest

from osanas.genotype.space import SearchSpace
from osanas.study.config import StudyConfig
from osanas.study.objectives import ACCURACY, Score
from osanas.study.records import Candidate, Holder, MeasurementRecord, Others, StudyRecord
from tests.fakes import SMALL

MEMBER = SearchSpace.from_dict(SMALL).smallest()
CANDIDATE = Candidate(
    trial=0,
    digest=MEMBER.digest,
    status="complete",
    epochs=1,
    score=0.75,
    latency_ms=2.0,
    energy_mj=None,
    energy_source=None,
    parameters=100,
    multiply_adds=1000,
    memory_access_elements=10,
    reason=None,
    training_seconds=1.0,
    architecture=MEMBER,
)


def test_a_candidates_figure_of_each_objective() -> None:
    assert [CANDIDATE.figure(name) for name in ("accuracy", "dice")] == [0.75, 0.75]  # whatever the score's name
    assert [CANDIDATE.figure(name) for name in ("latency_ms", "energy_mj", "parameters")] == [2.0, None, 100]
    assert CANDIDATE.accuracy == CANDIDATE.score
    assert CANDIDATE.costs == {"latency_ms": 2.0, "energy_mj": None, "parameters": 100, "multiply_adds": 1000}


@pytest.mark.parametrize("score", [ACCURACY, Score("dice", "mean Dice")])
def test_a_study_is_what_its_identity_says(score: Score) -> None:
    identity: dict[str, Any] = {"objectives": [score.name, "latency_ms"], "rungs": [1, 3], "energy_source": "rapl"}
    if score != ACCURACY:
        identity["score"] = vars(score)
    record = StudyRecord(1, "s", identity, StudyConfig(max_parameters=5), {}, 0.0)
    assert (record.score, record.objectives, record.rungs) == (score, (score.name, "latency_ms"), (1, 3))
    assert (record.energy_source, record.limits.max_parameters) == ("rapl", 5)


@pytest.mark.parametrize(
    ("others", "is_starting", "are_busy"),
    [
        (Others((), starting=0, older=3), False, False),
        (Others((), starting=1, older=0), True, True),
        (Others((Holder(1, "host", 2),), starting=0, older=0), False, True),
    ],
)
def test_what_others_do(others: Others, is_starting: bool, are_busy: bool) -> None:
    assert (others.is_starting, others.are_busy) == (is_starting, are_busy)


def test_a_measurement_may_have_flags() -> None:
    assert MeasurementRecord({"latency_ms": 1.0}, 0.0).flags == ()
    assert MeasurementRecord({"latency_ms": 1.0, "flags": ["noisy", "drift"]}, 0.0).flags == ("noisy", "drift")
