from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from osanas.costs import Costs, count_costs
from osanas.measure.energy.estimate import EstimateMeter, bytes_moved, coefficients
from osanas.measure.energy.meter import Load
from osanas.measure.protocol import MeasurementProtocol

PROTOCOL = MeasurementProtocol()


@pytest.fixture(scope="module")
def costs() -> Costs:
    return count_costs(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Flatten()), (3, 16, 16))


def _load(seconds: float, costs: Costs | None) -> Load:
    return Load(lambda iterations: pytest.fail("an estimate runs nothing"), seconds, costs)


def test_the_estimate_is_the_formula_and_says_so(costs: Costs) -> None:
    meter = EstimateMeter("cpu", threads=2)
    found = meter.measure(_load(0.004, costs), PROTOCOL)
    multiply_adds, elements = 3 * 8 * 9 * 256, (3 + 8) * 256 + 3 * 8 * 9
    assert (costs.multiply_adds, costs.memory_access_elements) == (multiply_adds, elements)
    dynamic_j = (multiply_adds * 4.6 + elements * 4 * 162.5) * 1e-12
    assert found.joules_per_iteration == pytest.approx(dynamic_j + 2 * 41 / 18 * 0.004)
    assert found.power_w == pytest.approx(dynamic_j / 0.004 + 2 * 41 / 18)
    assert (found.source, found.method, found.converged) == ("estimated", "analytic", True)
    assert found.details["coefficients"]["multiply_add_pj"] == pytest.approx(4.6)
    assert found.net_joules_per_iteration == pytest.approx(dynamic_j)
    assert found.exclusive == "unknown"
    assert meter.lock_name is None


def test_the_protocols_threads_and_precision_choose_the_coefficients(costs: Costs) -> None:
    found = EstimateMeter("cpu", threads=2).measure(
        _load(0.004, costs), MeasurementProtocol(threads=1, precision="bf16")
    )
    assert found.details["coefficients"] == {
        "multiply_add_pj": pytest.approx(1.5),
        "byte_pj": 162.5,
        "static_power_w": pytest.approx(41 / 18),
    }
    assert coefficients("cuda", "fp32", 7)["static_power_w"] == 25.0


def test_an_estimate_without_costs_is_none_with_a_reason() -> None:
    found = EstimateMeter("cpu", 1).measure(_load(0.001, None), PROTOCOL)
    assert found.joules_per_iteration is found.net_joules_per_iteration is None
    assert "cannot be estimated" in found.notes[0]


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 64), st.sampled_from([2, 4]))
def test_weights_move_once_for_a_batch(elements: int, parameters: int, batch: int, size: int) -> None:
    moved = bytes_moved(elements, parameters, batch, size)
    assert bytes_moved(elements, parameters, 1, size) == elements * size
    assert elements * size <= moved <= elements * size * batch


@given(seconds=st.floats(1e-5, 1.0), factor=st.floats(1.01, 10))
def test_more_time_is_more_energy(seconds: float, factor: float) -> None:
    known: Any = _FakeCosts(10**6, 10**5, 10**4)
    meter = EstimateMeter("cpu", 1)
    short = meter.measure(_load(seconds, known), PROTOCOL).joules_per_iteration
    long = meter.measure(_load(seconds * factor, known), PROTOCOL).joules_per_iteration
    assert short is not None
    assert long is not None
    assert 0 < short < long


@dataclass
class _FakeCosts:
    multiply_adds: int
    memory_access_elements: int
    parameters: int
