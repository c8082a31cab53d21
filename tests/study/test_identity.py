from __future__ import annotations

import pytest

from osanas.errors import StudyError, UsageError
from osanas.study.identity import require_same, study_identity
from osanas.study.objectives import ACCURACY, Score
from osanas.study.records import score_of

MEASURER = {"device": {"kind": "cpu"}, "energy_source": "rapl"}
TRAINER = {"data": {"name": "digits"}, "seed": 0}


def test_the_identity_holds_what_decides_the_figures() -> None:
    found = study_identity({"name": "tiny"}, ("accuracy", "latency_ms"), (1, 3), ACCURACY, TRAINER, MEASURER)
    assert found == {
        "space": {"name": "tiny"},
        "objectives": ["accuracy", "latency_ms"],
        "rungs": [1, 3],
        "data": {"name": "digits"},
        "seed": 0,
        "device": {"kind": "cpu"},
        "energy_source": "rapl",
    }
    assert score_of(found) == ACCURACY


def test_a_score_other_than_accuracy_is_part_of_it() -> None:
    dice = Score("dice", "mean Dice")
    found = study_identity({}, ("dice",), (1,), dice, MEASURER)
    assert found["score"] == {"name": "dice", "unit": "mean Dice"}
    assert score_of(found) == dice


def test_energy_that_cannot_be_had_is_no_objective() -> None:
    silent = {"energy_source": None}
    assert study_identity({}, ("accuracy", "latency_ms"), (1,), ACCURACY, silent)["energy_source"] is None
    with pytest.raises(UsageError, match="Energy is an objective, but there is no meter and no estimate") as caught:
        study_identity({}, ("accuracy", "energy_mj"), (1,), ACCURACY, silent)
    assert caught.value.fix == "Choose another --energy, or leave energy_mj out of --objectives."


@pytest.mark.parametrize("rungs", [[1, 3], [1, 3, 9]])
def test_the_same_study_may_climb_higher(rungs: list[int]) -> None:
    require_same({"rungs": [1, 3], "seed": 0}, {"rungs": rungs, "seed": 0}, "The study 's'")


@pytest.mark.parametrize(
    ("current", "lines", "hint"),
    [
        ({"rungs": [1, 3, 9], "seed": 1}, ["  seed: stored 0, now 1"], False),
        ({"rungs": [1, 2], "seed": 0}, ["  rungs[1]: stored 3, now 2"], True),
        ({"rungs": [1], "seed": 0}, ["  rungs[1]: stored 3, now None"], True),
    ],
)
def test_another_study_is_refused_with_what_differs(current: dict[str, object], lines: list[str], hint: bool) -> None:
    with pytest.raises(StudyError) as caught:
        require_same({"rungs": [1, 3], "seed": 0}, current, "The study 's' in x.db")
    first, *others = caught.value.problem.splitlines()
    assert (first, others) == ("The study 's' in x.db was made with other settings:", lines)
    assert caught.value.fix.strip().startswith("Repeat the stored settings to resume it, or give the new study a name")
    assert caught.value.fix.endswith("only higher ones may be added at the end.") is hint
