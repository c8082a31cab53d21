"""Energy of a simulated board through the real pynvml: see ``tests/measure/fake_nvml``.

A meter that has been opened measures idle power for some 3 seconds, warms up, and takes its windows from then on; the
moments in the scenarios below are seconds after its opening.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from osanas.measure.energy.windows import MAX_VOID_WINDOWS
from tests.measure.fake_nvml.build import build, compiler, run_scenarios

NOT_SUPPORTED, NO_PERMISSION, TIMEOUT, LOST, RESET_REQUIRED, IN_USE, UNKNOWN = 3, 4, 10, 15, 16, 19, 999

OURS = {"compute_pid0": 4242}
COUNTER = "nvmlDeviceGetTotalEnergyConsumption"
NO_COUNTER = [{"name": COUNTER, "code": NOT_SUPPORTED}]
NO_INSTANT = [{"name": f"field:186:{scope}", "code": NOT_SUPPORTED} for scope in (0, 1)]
NO_AVERAGE = [{"name": f"field:185:{scope}", "code": NOT_SUPPORTED} for scope in (0, 1)]
NO_POWER = [*NO_INSTANT, *NO_AVERAGE, {"name": "nvmlDeviceGetPowerUsage", "code": NOT_SUPPORTED}]

PATHS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "counter": ("counter", []),
    "counter alone": ("counter", NO_POWER),
    "counter and average": ("counter", NO_INSTANT),
    "instant": ("instant_power", NO_COUNTER),
    "average": ("average_power", [*NO_COUNTER, *NO_INSTANT]),
}
ITERATIONS_MS = (0.2, 1.0, 5.0, 20.0, 50.0)
TICKS_S = (0.02, 0.1)
FULL = {"energy_window_seconds": 2.0, "energy_min_ticks": 20, "energy_max_windows": 10}
GRID = list(itertools.product(PATHS, ITERATIONS_MS, TICKS_S, ("search", "full")))


def _constant(path: str, iteration_ms: float, tick_s: float, protocol: str) -> dict[str, Any]:
    board = {**OURS, "tick_s": tick_s, "power_tick_s": tick_s, "noise": 0.005}
    return {
        "board": board,
        "faults": PATHS[path][1],
        "iteration_ms": iteration_ms,
        "protocol": FULL if protocol == "full" else {},
    }


def _failing(code: int, **when: float) -> dict[str, Any]:
    return {"board": OURS, "later_faults": [{"name": COUNTER, "code": code, **when}]}


def _changing(*then: tuple[float, str, float], **board: float) -> dict[str, Any]:
    return {"board": {**OURS, **board}, "then": then}


SCENARIOS: dict[str, dict[str, Any]] = {
    **{"/".join(map(str, key)): _constant(*key) for key in GRID},
    "slow network": {"board": OURS, "iteration_ms": 700.0},
    "slow network by power": {"board": {**OURS, "noise": 0.005}, "faults": NO_COUNTER, "iteration_ms": 300.0},
    "slow rise": _changing(rise_s=0.15),
    **{
        f"slow reads/{path}": {
            "board": {**OURS, "read_s": 0.003, "rise_s": 0.005},
            "faults": faults,
            "iteration_ms": 0.2,
        }
        for path, (_, faults) in PATHS.items()
    },
    "module": {
        "board": OURS,
        "faults": [*NO_COUNTER, *({"name": f"field:{field}:0", "code": NOT_SUPPORTED} for field in (185, 186))],
    },
    "power usage": {"board": OURS, "faults": [*NO_COUNTER, *NO_INSTANT, *NO_AVERAGE]},
    "counter and module": {
        "board": OURS,
        "faults": [{"name": f"field:{field}:0", "code": NOT_SUPPORTED} for field in (185, 186)],
    },
    "counter stands still": _changing(stuck=1.0),
    "nothing": {"faults": [*NO_COUNTER, *NO_POWER]},
    "nothing permitted": {
        "faults": [
            {"name": name, "code": NO_PERMISSION}
            for name in (COUNTER, "nvmlDeviceGetFieldValues", "nvmlDeviceGetPowerUsage")
        ]
    },
    "zero watts": {
        "board": {"power_scale": 0.0},
        "faults": [*NO_COUNTER, *({"name": f"field:{field}:1", "code": NOT_SUPPORTED} for field in (185, 186))],
    },
    "busy while probed": {"board": OURS, "faults": [{"name": COUNTER, "code": TIMEOUT, "every": 3, "seconds": 1.0}]},
    "lost while probed": {"faults": [{"name": COUNTER, "code": LOST}]},
    **{f"fails with {code}": _failing(code, delay_s=5.0) for code in (LOST, RESET_REQUIRED, NO_PERMISSION, UNKNOWN)},
    "lost for a moment": _failing(LOST, delay_s=5.0, seconds=0.02),
    **{f"sometimes {code}": _failing(code, every=50) for code in (NOT_SUPPORTED, TIMEOUT, IN_USE, UNKNOWN)},
    "power sometimes fails": {
        "board": OURS,
        "faults": NO_COUNTER,
        "later_faults": [{"name": "field:186:0", "code": NOT_SUPPORTED, "every": 50}],
    },
    "power often fails": {
        "board": OURS,
        "faults": NO_COUNTER,
        "later_faults": [{"name": "field:186:0", "code": NOT_SUPPORTED, "every": 5}],
    },
    "throttled": _changing(reasons=0x20),
    "throttled for a while": _changing((5.2, "reasons", 0x40), (5.7, "reasons", 0.0)),
    "power brake": _changing((5.0, "reasons", 0x80), (5.5, "reasons", 0.0)),
    "throttled between looks": _changing((5.43, "reasons", 0x40), (5.44, "reasons", 0.0)),
    "throttled, by violation status": _changing(
        (5.43, "reasons", 0x40), (5.44, "reasons", 0.0), no_violation_fields=1.0
    ),
    "power capped": _changing(reasons=0x4),
    "foreign process": _changing((5.0, "compute_pid1", 777.0), (6.5, "compute_pid1", 0.0)),
    "foreign process all along": _changing(compute_pid1=777.0),
    "desktop": _changing(graphics_pid0=1000.0, graphics_pid1=1001.0, compute_pid1=1001.0),
    "something starts to draw": _changing((5.0, "graphics_pid0", 1000.0)),
    "processes hidden": {},
    "processes unknown": {
        "board": OURS,
        "faults": [{"name": "nvmlDeviceGetComputeRunningProcesses_v3", "code": NOT_SUPPORTED}],
    },
    "computing elsewhere": {"computing_uuid": None},
    "computing elsewhere beside another": {"board": OURS, "computing_uuid": None},
    "counter reset": _changing((5.2, "reset", 1.0)),
    "counter stuck for a while": _changing((5.2, "stuck", 1.0), (8.0, "stuck", 0.0)),
    "counter stuck": _changing((5.2, "stuck", 1.0)),
    "counter half as much again": _changing(scale=1.5),
    "counter a little more": _changing(scale=1.06),
    "unchecked counter": {"board": {**OURS, "scale": 1.5}, "faults": NO_POWER},
    "above the limit": _changing(busy_w=400.0),
    "below idle": _changing(busy_w=10.0),
    "idle again": {**_changing((3.5, "idle_w", 40.0), (3.5, "temperature_c", 56.0)), "measurements": 2},
    "idle still": {**_changing((3.5, "idle_w", 40.0), (3.5, "temperature_c", 54.0)), "measurements": 2},
    "as warm as cold": _changing(busy_w=29.0),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if compiler() is None:
        pytest.skip("needs Linux and a C compiler to build the simulated NVML")
    found = run_scenarios(build(tmp_path_factory.mktemp("nvml")), SCENARIOS)
    assert not found["torch_loaded"], "meters run without torch"
    results: dict[str, Any] = found["results"]
    return results


def _causes(reading: dict[str, Any]) -> list[str]:
    return [window["voided_by"] for window in reading["windows"] if window["voided_by"] is not None]


@pytest.mark.parametrize(("path", "iteration_ms", "tick_s", "protocol"), GRID)
def test_a_constant_hundred_watts_is_found_within_two_percent(
    outcomes: dict[str, Any], path: str, iteration_ms: float, tick_s: float, protocol: str
) -> None:
    reading = outcomes[f"{path}/{iteration_ms}/{tick_s}/{protocol}"]["reading"]
    assert (reading["source"], reading["method"]) == ("nvml", PATHS[path][0])
    assert reading["joules_per_iteration"] == pytest.approx(0.1 * iteration_ms, rel=0.02)
    assert reading["power_w"] == pytest.approx(100.0, rel=0.02)
    assert reading["idle_power_w"] == pytest.approx(30.0, rel=0.03)
    assert reading["net_joules_per_iteration"] == pytest.approx(0.07 * iteration_ms, rel=0.04)
    assert reading["details"]["update_period_s"] == pytest.approx(tick_s, rel=0.15)
    assert reading["exclusive"] == "yes"
    assert reading["flags"] == []
    assert _causes(reading) == []
    assert 3 <= len(reading["windows"]) <= (10 if protocol == "full" else 5)
    least_s = 5.0 if "power" in PATHS[path][0] else 2.0 if protocol == "full" else 0.5
    assert all(window["seconds"] >= least_s - 0.02 for window in reading["windows"])


@pytest.mark.parametrize("path", PATHS)
def test_slow_reads_leave_no_gap_in_the_load(outcomes: dict[str, Any], path: str) -> None:
    """Proves that the board works while it is read: idle reads would add an eighth to an iteration's energy."""
    reading = outcomes[f"slow reads/{path}"]["reading"]
    assert reading["joules_per_iteration"] == pytest.approx(0.02, rel=0.02)
    assert reading["power_w"] == pytest.approx(100.0, rel=0.02)
    for window in reading["windows"]:
        assert window["seconds"] / window["iterations"] == pytest.approx(2e-4, rel=0.02)


@pytest.mark.parametrize("path", ["counter", "counter and average"])
@pytest.mark.parametrize("iteration_ms", ITERATIONS_MS[:-1])
def test_the_counter_is_checked_against_power(outcomes: dict[str, Any], path: str, iteration_ms: float) -> None:
    reading = outcomes[f"{path}/{iteration_ms}/0.1/search"]["reading"]
    assert reading["details"]["check"] == ("instant_power" if path == "counter" else "average_power")
    for window in reading["windows"]:
        assert window["power_joules"] == pytest.approx(window["joules"], rel=0.05)


def test_without_a_power_reading_the_counter_stands_alone(outcomes: dict[str, Any]) -> None:
    reading = outcomes["counter alone/5.0/0.1/search"]["reading"]
    assert reading["details"]["check"] is None
    assert {window["power_joules"] for window in reading["windows"]} == {None}
    assert outcomes["unchecked counter"]["reading"]["joules_per_iteration"] == pytest.approx(0.75, rel=0.02)
    assert outcomes["counter and module"]["reading"]["details"]["check"] is None


def test_slow_networks_need_no_tick(outcomes: dict[str, Any]) -> None:
    assert outcomes["slow network"]["reading"]["joules_per_iteration"] == pytest.approx(70.0, rel=0.02)
    slow = outcomes["slow network by power"]["reading"]
    assert slow["joules_per_iteration"] == pytest.approx(30.0, rel=0.02)
    assert "only between iterations" in slow["notes"][0]


def test_the_board_is_warm_before_the_first_window(outcomes: dict[str, Any]) -> None:
    reading = outcomes["slow rise"]["reading"]
    assert reading["windows"][0]["joules"] / reading["windows"][0]["seconds"] == pytest.approx(100.0, rel=0.02)
    assert _causes(reading) == []


@pytest.mark.parametrize(
    ("name", "method", "scope", "watts"),
    [
        ("module", "instant_power", "module", 150.0),
        ("power usage", "average_power", "gpu", 100.0),
        ("counter stands still", "instant_power", "gpu", 100.0),
        ("busy while probed", "counter", "board", 100.0),
    ],
)
def test_what_can_be_read_is_found_by_reading(
    outcomes: dict[str, Any], name: str, method: str, scope: str, watts: float
) -> None:
    reading = outcomes[name]["reading"]
    assert (reading["method"], reading["details"]["scope"]) == (method, scope)
    assert reading["joules_per_iteration"] == pytest.approx(watts * 0.005, rel=0.02)
    assert bool(reading["notes"]) == (scope == "module")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", ("energy counter: Not Supported", "instant_power: Not", "average_power: Not")),
        ("nothing permitted", ("energy counter: Insufficient Permissions", "average_power: Insufficient Permissions")),
        ("zero watts", ("instant_power: reads 0 W", "average_power: reads 0 W")),
    ],
)
def test_a_board_that_tells_nothing_is_unavailable_with_every_reason(
    outcomes: dict[str, Any], name: str, words: tuple[str, ...]
) -> None:
    reason = outcomes[name]["unavailable"]
    assert reason.startswith("Simulated Board gives neither energy nor power")
    for word in words:
        assert word in reason


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"fails with {LOST}", "GPU is lost"),
        (f"fails with {RESET_REQUIRED}", "GPU requires restart"),
        (f"fails with {NO_PERMISSION}", "Insufficient Permissions"),
        (f"fails with {UNKNOWN}", "Unknown Error"),
        ("lost for a moment", "GPU is lost"),
        ("lost while probed", "GPU is lost"),
        ("power often fails", "power readings of Simulated Board failed"),
    ],
)
def test_a_board_lost_in_the_middle_is_the_environments_failure(
    outcomes: dict[str, Any], name: str, words: str
) -> None:
    found = outcomes[name]
    assert found["error"] == "EnvironmentFailure"
    assert found["problem"].startswith("NVML can no longer be read")
    assert words in found["problem"]
    assert "nvidia-smi" in found["fix"]


@pytest.mark.parametrize("code", [NOT_SUPPORTED, TIMEOUT, IN_USE, UNKNOWN])
def test_errors_that_pass_are_tried_again(outcomes: dict[str, Any], code: int) -> None:
    assert outcomes[f"sometimes {code}"]["reading"]["power_w"] == pytest.approx(100.0, rel=0.02)


def test_single_bad_power_readings_are_skipped(outcomes: dict[str, Any]) -> None:
    reading = outcomes["power sometimes fails"]["reading"]
    assert reading["joules_per_iteration"] == pytest.approx(0.5, rel=0.02)
    assert reading["flags"] == []


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("throttled for a while", "throttled"),
        ("power brake", "throttled"),
        ("throttled between looks", "throttled"),
        ("throttled, by violation status", "throttled"),
        ("foreign process", "foreign_process"),
        ("counter reset", "counter_reset"),
        ("counter stuck for a while", "counter_stuck"),
    ],
)
def test_a_window_is_void_for_a_cause_and_taken_again(outcomes: dict[str, Any], name: str, cause: str) -> None:
    reading = outcomes[name]["reading"]
    causes = _causes(reading)
    assert 1 <= len(causes) <= MAX_VOID_WINDOWS
    assert set(causes) == {cause}
    assert reading["details"]["void_windows"] == {cause: len(causes)}
    assert len(reading["windows"]) - len(causes) >= 3
    assert reading["joules_per_iteration"] == pytest.approx(0.5, rel=0.02)
    assert reading["converged"]
    assert reading["flags"] == []


@pytest.mark.parametrize(
    ("name", "cause"), [("throttled", "throttled"), ("foreign process all along", "foreign_process")]
)
def test_what_is_true_but_disturbed_is_kept_and_called_unstable(
    outcomes: dict[str, Any], name: str, cause: str
) -> None:
    reading = outcomes[name]["reading"]
    assert _causes(reading) == [cause] * (MAX_VOID_WINDOWS + 1)
    assert reading["flags"] == ["energy_not_converged", "energy_unstable"]
    assert not reading["converged"]
    assert reading["joules_per_iteration"] == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("above the limit", "implausible_power"),
        ("below idle", "implausible_power"),
        ("counter half as much again", "counter_power_mismatch"),
        ("counter stuck", "counter_stuck"),
    ],
)
def test_without_a_true_figure_there_is_none(outcomes: dict[str, Any], name: str, cause: str) -> None:
    found = outcomes[name]
    assert found["error"] == "EnvironmentFailure"
    assert found["problem"].startswith("The energy meter nvml (counter) gave too few usable readings")
    assert cause in found["problem"]


def test_a_small_difference_between_counter_and_power_is_kept(outcomes: dict[str, Any]) -> None:
    reading = outcomes["counter a little more"]["reading"]
    assert reading["joules_per_iteration"] == pytest.approx(0.53, rel=0.02)
    for window in reading["windows"]:
        assert window["power_joules"] == pytest.approx(window["joules"] / 1.06, rel=0.03)


def test_throttling_is_recorded_with_its_reasons(outcomes: dict[str, Any]) -> None:
    details = outcomes["throttled for a while"]["reading"]["details"]
    assert details["throttle_reasons"] == 0x40
    assert 400 < details["violation_ms"]["thermal"] <= 500.1  # what fell between windows does not count
    assert outcomes["power brake"]["reading"]["details"]["throttle_reasons"] == 0x80
    for name in ("throttled between looks", "throttled, by violation status"):
        unseen = outcomes[name]["reading"]["details"]
        assert unseen["throttle_reasons"] == 0
        assert unseen["violation_ms"]["thermal"] == pytest.approx(10.0, abs=0.01)


def test_a_power_cap_is_only_mentioned(outcomes: dict[str, Any]) -> None:
    reading = outcomes["power capped"]["reading"]
    assert reading["flags"] == ["power_capped"]
    assert reading["converged"]
    assert _causes(reading) == []
    assert reading["details"]["violation_ms"]["power"] > 1000


@pytest.mark.parametrize(
    ("name", "exclusive"),
    [
        ("foreign process", "no"),
        ("foreign process all along", "no"),
        ("desktop", "no"),
        ("something starts to draw", "no"),
        ("processes hidden", "unknown"),
        ("processes unknown", "unknown"),
        ("computing elsewhere", "unknown"),
        ("computing elsewhere beside another", "no"),
        ("throttled", "yes"),
    ],
)
def test_exclusivity_is_yes_no_or_unknown(outcomes: dict[str, Any], name: str, exclusive: str) -> None:
    assert outcomes[name]["reading"]["exclusive"] == exclusive


def test_a_desktop_from_before_voids_nothing_and_a_new_one_does(outcomes: dict[str, Any]) -> None:
    desktop = outcomes["desktop"]["reading"]
    assert desktop["notes"] == ["the board also serves a desktop (graphics processes: 2)"]
    assert _causes(desktop) == []
    assert "foreign_process" in _causes(outcomes["something starts to draw"]["reading"])


def test_idle_power_is_measured_once_until_the_board_is_warmer(outcomes: dict[str, Any]) -> None:
    first, second = outcomes["idle again"]["readings"]
    assert first["idle_power_w"] == pytest.approx(30.0, rel=0.02)
    assert second["idle_power_w"] == pytest.approx(40.0, rel=0.02)
    assert second["net_joules_per_iteration"] == pytest.approx(0.3, rel=0.04)
    assert outcomes["idle still"]["reading"]["idle_power_w"] == pytest.approx(30.0, rel=0.02)


def test_net_energy_below_zero_is_not_known(outcomes: dict[str, Any]) -> None:
    reading = outcomes["as warm as cold"]["reading"]
    assert reading["net_joules_per_iteration"] is None
    assert "net energy is not known" in reading["notes"][0]
    assert reading["joules_per_iteration"] == pytest.approx(29.0 * 0.005, rel=0.02)


def test_the_environment_is_recorded(outcomes: dict[str, Any]) -> None:
    details = outcomes["counter/5.0/0.1/search"]["reading"]["details"]
    state = {"clock_sm_mhz": 1410, "clock_memory_mhz": 1593, "temperature_c": 50}
    assert details == {
        "source": "nvml",
        "method": "counter",
        "scope": "board",
        "board": "Simulated Board",
        "uuid": "GPU-00000000-aaaa-bbbb-cccc-000000000000",
        "driver": "580.65.06",
        "update_period_s": pytest.approx(0.1, rel=0.1),
        "check": "instant_power",
        "nvml": "13.580.65.06",
        "vbios": "96.00.5E.00.00",
        "pci": "00000000:17:00.0",
        "persistence_mode": 1,
        "compute_mode": 0,
        "power_limit_w": 300.0,
        "power_limit_default_w": 350.0,
        "clock_sm_max_mhz": 1980,
        "clock_memory_max_mhz": 2619,
        "start": state,
        "end": state,
        "throttle_reasons": 0,
        "violation_ms": {"power": 0.0, "thermal": 0.0},
        "void_windows": {},
    }
    assert outcomes["idle again"]["readings"][0]["details"]["end"]["temperature_c"] == 56


def test_no_outcome_is_zero_or_not_a_number(outcomes: dict[str, Any]) -> None:
    for name, found in outcomes.items():
        for reading in found.get("readings", []):
            assert reading["joules_per_iteration"] > 0, name
            assert math.isfinite(reading["joules_per_iteration"]), name
