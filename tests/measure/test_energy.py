from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from osanas.costs import Costs, count_costs
from osanas.errors import UsageError
from osanas.measure.energy import MeterSources, open_meter
from osanas.measure.estimate import EstimateCoefficients, EstimateMeter, bytes_moved
from osanas.measure.meter import EnergyMeter, EnergyWindow, Load, Unavailable
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.windows import MAX_VOID_WINDOWS, chunk_iterations, collect, reading
from tests.measure.simulation import FakeNvml, SimulatedClock

CPU = torch.device("cpu")
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
    assert EstimateCoefficients.published("cuda", "fp32", 7).static_power_w == 25.0


def test_an_estimate_without_costs_is_none_with_a_reason() -> None:
    found = EstimateMeter("cpu", 1).measure(_load(0.001, None), PROTOCOL)
    assert found.joules_per_iteration is None
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


@pytest.mark.parametrize("choice", ["nvlm", "nvml:", "rapl:0", "auto:1", "", "tdp"])
def test_an_unknown_meter_is_a_usage_error(choice: str) -> None:
    with pytest.raises(UsageError, match=f"Unknown energy meter '{choice}'"):
        open_meter(choice, CPU)


def test_did_you_mean() -> None:
    with pytest.raises(UsageError) as failure:
        open_meter("estimate", CPU)
    assert "Did you mean 'estimated'?" in failure.value.fix


def test_none_is_unavailable_with_its_reason() -> None:
    found = open_meter("none", CPU)
    assert isinstance(found, Unavailable)
    assert "--energy none" in found.reason


def test_auto_falls_back_to_an_estimate_and_measured_refuses(tmp_path: Path) -> None:
    sources = MeterSources(SimulatedClock(), powercap_root=tmp_path)
    meter = open_meter("auto", CPU, sources=sources)
    assert isinstance(meter, EstimateMeter)
    assert "not measured" in meter.notes[0]
    with pytest.raises(UsageError, match="'measured' is not available"):
        open_meter("measured", CPU, sources=sources)
    chosen = open_meter("estimated", CPU, sources=sources)
    assert isinstance(chosen, EstimateMeter)
    assert chosen.notes == ()


def test_a_named_board_that_is_absent_is_a_usage_error() -> None:
    clock = SimulatedClock()
    sources = MeterSources(clock, FakeNvml(clock))
    with pytest.raises(UsageError, match="'nvml:3' is not available: no board matches '3'") as failure:
        open_meter("nvml:3", CPU, sources=sources)
    assert "Boards found: 0: Simulated Board" in failure.value.fix


def test_meters_tell_themselves_apart() -> None:
    clock = SimulatedClock()
    nvml = open_meter("nvml", CPU, sources=MeterSources(clock, FakeNvml(clock)))
    assert isinstance(nvml, EnergyMeter)
    one, two = EstimateMeter("cpu", 1).describe(), EstimateMeter("cpu", 2).describe()
    assert nvml.describe() != one != two


def _windows(values: Sequence[float | None]) -> list[EnergyWindow]:
    return [EnergyWindow(value or 0.0, 1.0, 1, None if value else "no_energy") for value in values]


def test_windows_are_taken_until_they_agree() -> None:
    def taken(values: Sequence[float | None]) -> int:
        waiting = _windows(values)
        return len(collect(lambda: waiting.pop(0), PROTOCOL))

    assert taken([1.0, 1.0, 1.0]) == 3
    assert taken([1.0, 1.5, 1.0] + [1.2] * 20) == PROTOCOL.energy_max_windows
    assert taken([None, 1.0, None, 1.0, 1.0]) == 5
    assert taken([None] * 20) == MAX_VOID_WINDOWS + 1


def test_every_valid_window_counts_by_its_iterations() -> None:
    windows = [EnergyWindow(2.0, 1.0, 10), EnergyWindow(4.0, 2.0, 30), EnergyWindow(3.0, 1.0, 10)]
    found = reading(windows, PROTOCOL, source="nvml", method="counter", idle_power_w=None)
    assert found.joules_per_iteration == pytest.approx(9.0 / 50)
    assert found.power_w == pytest.approx(9.0 / 4)
    assert found.flags == ("energy_not_converged",)
    assert len(found.windows) == 3


@given(st.floats(1e-6, 100))
def test_a_chunk_is_at_least_one_iteration(seconds: float) -> None:
    chunk = chunk_iterations(Load(lambda iterations: None, seconds))
    assert chunk >= 1
    assert chunk * seconds <= max(0.0225, seconds)
