from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.errors import EnvironmentFailure
from osanas.measure.energy.meter import EnergyReading, EnergyWindow, Load
from osanas.measure.energy.windows import MAX_VOID_WINDOWS, chunk_iterations, collect, plausible, reading
from osanas.measure.protocol import MeasurementProtocol

PROTOCOL = MeasurementProtocol()


def _windows(values: Sequence[float | str]) -> list[EnergyWindow]:
    return [
        EnergyWindow(1.0, 1.0, 1, value) if isinstance(value, str) else EnergyWindow(value, 1.0, 1) for value in values
    ]


def _reading(windows: Sequence[EnergyWindow], idle_power_w: float | None = None) -> EnergyReading:
    return reading(windows, PROTOCOL, source="nvml", method="counter", idle_power_w=idle_power_w)


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([1.0, 1.0, 1.0], 3),
        ([1.0, 1.5, 1.0] + [1.2] * 20, PROTOCOL.energy_max_windows),
        (["no_energy", 1.0, "no_energy", 1.0, 1.0], 5),
        (["no_energy"] * 20, MAX_VOID_WINDOWS + 1),
    ],
)
def test_windows_are_taken_until_they_agree(values: list[float | str], count: int) -> None:
    waiting = _windows(values)
    assert len(collect(lambda: waiting.pop(0), PROTOCOL)) == count


def test_every_valid_window_counts_by_its_iterations() -> None:
    windows = [EnergyWindow(2.0, 1.0, 10), EnergyWindow(4.0, 2.0, 30), EnergyWindow(3.0, 1.0, 10)]
    found = _reading(windows, idle_power_w=0.5)
    assert found.joules_per_iteration == pytest.approx(9.0 / 50)
    assert found.net_joules_per_iteration == pytest.approx((9.0 - 0.5 * 4) / 50)
    assert found.power_w == pytest.approx(9.0 / 4)
    assert found.flags == ("energy_not_converged",)
    assert len(found.windows) == 3


@pytest.mark.parametrize("cause", ["throttled", "foreign_process"])
def test_disturbed_windows_stand_in_for_missing_ones(cause: str) -> None:
    found = _reading(_windows([4.0, cause, cause, cause, cause]))
    assert found.joules_per_iteration == pytest.approx(8.0 / 5)
    assert found.flags == ("energy_not_converged", "energy_unstable")
    assert found.details["void_windows"] == {cause: 4}


@pytest.mark.parametrize(
    "values",
    [
        ["counter_reset"] * 4,
        [1.0, 1.0, *["counter_stuck"] * 4],
        [1.0, "throttled", *["counter_power_mismatch"] * 3],
    ],
)
def test_too_few_true_windows_are_no_reading(values: list[float | str]) -> None:
    with pytest.raises(EnvironmentFailure, match="gave too few usable readings in") as failure:
        _reading(_windows(values))
    assert str(values[-1]) in failure.value.problem
    assert "osanas doctor" in failure.value.fix


@pytest.mark.parametrize(
    ("joules", "cause"),
    [
        (0.0, "no_energy"),
        (-1.0, "no_energy"),
        (23.0, "implausible_power"),
        (25.0, None),
        (329.0, None),
        (331.0, "implausible_power"),
    ],
)
def test_what_cannot_be_is_named(joules: float, cause: str | None) -> None:
    assert plausible(joules, 1.0, idle_power_w=30.0, limit_power_w=300.0) == cause


@pytest.mark.parametrize(("idle_power_w", "net"), [(0.7, 0.3), (None, None), (1.0, None), (1.2, None)])
def test_net_energy_needs_idle_power_below_the_load(idle_power_w: float | None, net: float | None) -> None:
    found = _reading(_windows([1.0, 1.0, 1.0]), idle_power_w)
    assert found.net_joules_per_iteration == (net if net is None else pytest.approx(net))
    assert bool(found.notes) == (net is None and idle_power_w is not None)


@given(st.floats(1e-6, 100))
def test_a_chunk_is_at_least_one_iteration(seconds: float) -> None:
    chunk = chunk_iterations(Load(lambda iterations: int, seconds))
    assert chunk >= 1
    assert chunk * seconds <= max(0.0225, seconds)


def test_a_window_is_told_whole() -> None:
    window = EnergyWindow(2.0, 1.0, 4, "throttled", ("power_capped",), 2.1)
    assert window.joules_per_iteration == 0.5
    assert window.to_dict() == {
        "joules": 2.0,
        "seconds": 1.0,
        "iterations": 4,
        "voided_by": "throttled",
        "flags": ["power_capped"],
        "power_joules": 2.1,
    }
