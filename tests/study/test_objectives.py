from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from osanas.study.objectives import ACCURACY, COST_UNITS, LIMITED, Limits, Objective, directions, is_cost

LIMITS = tuple(f"max_{name}" for name in LIMITED)

amounts = st.floats(1e-6, 1e12)
limits = st.builds(
    Limits,
    max_latency_ms=st.none() | amounts,
    max_energy_mj=st.none() | amounts,
    max_parameters=st.none() | st.integers(1, 10**12),
    max_multiply_adds=st.none() | st.integers(1, 10**15),
)
costs = st.fixed_dictionaries({name: st.none() | amounts for name in LIMITED})


# limits -------------------------------------------------------------------------------------------------------------


@given(limits, costs)
def test_excess_has_all_keys_and_finite_values(limit: Limits, cost: dict[str, float | None]) -> None:
    excess = limit.excess(cost)
    assert tuple(excess) == LIMITS
    assert all(math.isfinite(value) and value >= -1 for value in excess.values())


@given(limits, costs)
def test_excess_is_positive_exactly_where_a_limit_is_broken(limit: Limits, cost: dict[str, float | None]) -> None:
    for name, excess in limit.excess(cost).items():
        bound, value = getattr(limit, name), cost[name.removeprefix("max_")]
        if bound is None:
            assert excess == -1
        elif value is None:
            assert excess == 1
        elif value <= bound:
            assert excess <= 0
        elif value > bound * (1 + 1e-12):
            assert excess > 0


@given(limits, costs, st.sampled_from(LIMITED), st.floats(1.0, 10.0))
def test_a_dearer_candidate_never_exceeds_less(
    limit: Limits, cost: dict[str, float | None], name: str, factor: float
) -> None:
    value = cost[name]
    dearer = {**cost, name: None if value is None else value * factor}
    assert all(limit.excess(dearer)[key] >= excess for key, excess in limit.excess(cost).items())


@given(limits, costs)
def test_what_is_broken_is_said_for_each_limit(limit: Limits, cost: dict[str, float | None]) -> None:
    text = limit.broken_by(cost)
    broken = [key for key, excess in limit.excess(cost).items() if excess > 0]
    assert (text is None) == (not broken)
    if text is not None:
        named = re.findall(r"([a-z_]+) (?:[\d.,e+-]+ over the limit|could not be measured)", text)
        assert named == [name.removeprefix("max_") for name in broken]


def test_the_words_for_a_broken_limit() -> None:
    limit = Limits(max_latency_ms=2.5, max_energy_mj=1.0, max_parameters=1_000_000)
    found = {"latency_ms": 3.14159265, "energy_mj": None, "parameters": 2_500_000, "multiply_adds": 10**9}
    assert limit.broken_by(found) == (
        "latency_ms 3.14159 over the limit 2.5, energy_mj could not be measured, limit 1, "
        "parameters 2.5e+06 over the limit 1e+06"
    )
    assert limit.broken_by({**found, "latency_ms": 2.5, "energy_mj": 1.0, "parameters": 1}) is None


@pytest.mark.parametrize("value", [0, -1.5, math.inf, -math.inf, math.nan, "much"])
@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_finite_and_above_zero(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate({name: value})


# objectives ---------------------------------------------------------------------------------------------------------


def test_every_objective_has_a_direction_and_a_unit() -> None:
    assert {ACCURACY.name: ACCURACY.unit, **COST_UNITS} == {
        "accuracy": "top1",
        "latency_ms": "ms",
        "energy_mj": "mJ/image",
    }
    assert directions(["accuracy", "latency_ms", "energy_mj"]) == ["maximize", "minimize", "minimize"]
    assert directions(["dice"]) == ["maximize"]
    assert [is_cost(name) for name in ("accuracy", "latency_ms", "energy_mj")] == [False, True, True]


@pytest.mark.parametrize(
    ("score", "name", "expected"),
    [
        (None, "latency", "Input should be 'accuracy', 'latency_ms', 'energy_mj'"),
        (None, "dice", "Input should be 'accuracy', 'latency_ms', 'energy_mj'"),
        ("dice", "accuracy", "Input should be 'dice', 'latency_ms', 'energy_mj'"),
        ("dice", "dice", None),
        (None, "energy_mj", None),
    ],
)
def test_the_score_is_accuracy_unless_the_context_names_another(
    score: str | None, name: str, expected: str | None
) -> None:
    objective, context = TypeAdapter(Objective), None if score is None else {"score": score}
    if expected is None:
        assert objective.validate_python(name, context=context) == name
        return
    with pytest.raises(ValidationError) as caught:
        objective.validate_python(name, context=context)
    (error,) = caught.value.errors()
    assert (error["type"], error["msg"], error["input"]) == ("literal_error", expected, name)
