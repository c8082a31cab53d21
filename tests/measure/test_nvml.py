from __future__ import annotations

from typing import Any

import pytest
import torch

from osanas.errors import EnvironmentFailure
from osanas.measure.energy import MeterSources, open_meter
from osanas.measure.meter import Unavailable
from osanas.measure.nvml import find_board, load_library, nvml_inventory
from osanas.measure.nvml_meter import NvmlMeter, open_nvml
from osanas.measure.protocol import MeasurementProtocol
from tests.measure.simulation import FakeNvml, FakeNvmlError, LibraryMismatch, SimulatedClock

FULL = MeasurementProtocol()
SEARCH = MeasurementProtocol.for_search()


def _meter(nvml: FakeNvml, selector: str | None = None) -> NvmlMeter:
    meter = open_nvml(selector, nvml.clock, nvml)
    assert isinstance(meter, NvmlMeter), meter
    return meter


def _without_counter(nvml: FakeNvml) -> None:
    nvml.without("nvmlDeviceGetTotalEnergyConsumption")


@pytest.mark.parametrize("protocol", [FULL, SEARCH], ids=["full", "search"])
@pytest.mark.parametrize("tick_s", [0.02, 0.1])
@pytest.mark.parametrize("iteration_ms", [0.2, 1.0, 5.0, 13.0, 50.0])
def test_a_constant_hundred_watts_is_found_within_two_percent(
    iteration_ms: float, tick_s: float, protocol: MeasurementProtocol
) -> None:
    clock = SimulatedClock()
    meter = _meter(FakeNvml(clock, tick_s=tick_s))
    reading = meter.measure(clock.load(iteration_ms / 1e3), protocol)
    assert meter.method == reading.method == "counter"
    assert reading.source == "nvml"
    assert reading.joules_per_iteration == pytest.approx(0.1 * iteration_ms, rel=0.02)
    assert reading.power_w == pytest.approx(100.0, rel=0.02)
    assert reading.idle_power_w == pytest.approx(30.0, rel=0.05)
    assert reading.details["update_period_s"] == pytest.approx(tick_s, rel=0.1)
    assert reading.details["power_limit_w"] == 300.0
    assert 3 <= len(reading.windows) <= protocol.energy_max_windows
    assert "energy_unstable" not in reading.flags


def test_slow_networks_do_not_need_the_tick() -> None:
    clock = SimulatedClock()
    reading = _meter(FakeNvml(clock)).measure(clock.load(0.7), SEARCH)
    assert reading.joules_per_iteration == pytest.approx(70.0, rel=0.02)


@pytest.mark.parametrize(
    ("instant", "average", "method", "scope"),
    [
        ({0: 0, 1: 3}, {0: 0, 1: 3}, "instant_power", "gpu"),
        ({0: 3, 1: 0}, {0: 3, 1: 0}, "instant_power", "module"),
        ({0: 2, 1: 2}, {0: 0, 1: 3}, "average_power", "gpu"),
        ({0: 3, 1: 3}, {0: 3, 1: 3}, "average_power", "gpu"),  # from nvmlDeviceGetPowerUsage
    ],
)
def test_power_stands_in_for_a_missing_counter(
    instant: dict[int, int], average: dict[int, int], method: str, scope: str
) -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock)
    _without_counter(nvml)
    nvml.instant_return, nvml.average_return = instant, average
    meter = _meter(nvml)
    reading = meter.measure(clock.load(0.005), SEARCH)
    assert reading.method == method
    assert reading.details["scope"] == scope
    assert reading.joules_per_iteration == pytest.approx(0.5, rel=0.02)
    assert reading.idle_power_w == pytest.approx(30.0, rel=0.02)
    assert all(window.seconds >= 5.0 for window in reading.windows)
    assert bool(reading.notes) == (scope == "module")


def test_a_counter_that_does_not_advance_is_no_counter() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock)
    nvml.stuck = True
    assert _meter(nvml).method == "instant_power"


def test_a_board_that_tells_nothing_is_unavailable_with_every_reason() -> None:
    nvml = FakeNvml(SimulatedClock())
    nvml.without("nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetFieldValues", "nvmlDeviceGetPowerUsage")
    found = open_nvml(None, nvml.clock, nvml)
    assert isinstance(found, Unavailable)
    assert "tells neither energy nor power" in found.reason
    for word in ("energy counter", "instant_power", "average_power"):
        assert word in found.reason


def test_zero_watts_are_no_reading() -> None:
    clock = SimulatedClock(idle_w=0.0, busy_w=0.0)
    nvml = FakeNvml(clock)
    found = open_nvml(None, clock, nvml)
    assert isinstance(found, Unavailable)
    assert "reads 0 W" in found.reason


def test_mig_is_refused() -> None:
    nvml = FakeNvml(SimulatedClock())
    nvml.mig = 1
    found = open_nvml(None, nvml.clock, nvml)
    assert isinstance(found, Unavailable)
    assert "split by MIG" in found.reason
    found = open_nvml("MIG-1234", nvml.clock, FakeNvml(nvml.clock))
    assert isinstance(found, Unavailable)
    assert "MIG instance" in found.reason


def test_boards_are_found_by_index_uuid_and_its_start() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock, boards=2)
    library = load_library(clock, nvml)
    assert not isinstance(library, Unavailable)

    def index_of(selector: str | None) -> int | str:
        board = find_board(library, selector)
        return board.reason if isinstance(board, Unavailable) else board.index

    assert index_of("1") == 1
    assert index_of(nvml.uuids[1]) == 1
    assert index_of("gpu-00000001") == 1
    assert index_of("7") == "no board matches '7'"
    assert index_of("GPU-0000000") == "more than one board matches 'GPU-0000000'"
    assert index_of(None) == "2 boards are there and none is named"
    missing = find_board(library, "7")
    assert isinstance(missing, Unavailable)
    assert "0: Simulated Board (GPU-00000000" in missing.fix


def test_no_library_and_the_wrong_package_are_told_apart() -> None:
    nvml = FakeNvml(SimulatedClock())
    nvml.without("nvmlInit", code=12)
    found = load_library(nvml.clock, nvml)
    assert isinstance(found, Unavailable)
    assert "cannot be initialised" in found.reason
    assert "NVIDIA driver" in found.fix
    wrong: Any = type("Old", (), {"__path__": [], "NVMLError": FakeNvmlError})()
    found = load_library(nvml.clock, wrong)
    assert isinstance(found, Unavailable)
    assert "hides nvidia-ml-py" in found.reason


@pytest.mark.parametrize("code", [FakeNvml.NVML_ERROR_GPU_IS_LOST, FakeNvml.NVML_ERROR_NO_PERMISSION])
def test_a_board_lost_in_the_middle_is_the_environments_failure(code: int) -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock)
    meter = _meter(nvml)
    lost_at = clock.now_s + 6
    nvml.fail = lambda name: FakeNvmlError(code) if clock.now_s > lost_at and "TotalEnergy" in name else None
    with pytest.raises(EnvironmentFailure, match="could be read before") as failure:
        meter.measure(clock.load(0.005), SEARCH)
    assert "nvidia-smi" in failure.value.fix
    assert failure.value.exit_code == 3


@pytest.mark.parametrize("error", [FakeNvmlError(999), FakeNvmlError(3), FakeNvmlError(10)])
def test_errors_that_pass_are_tried_again(error: FakeNvmlError) -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock)
    meter = _meter(nvml)

    def sometimes(name: str) -> Exception | None:
        is_due = "TotalEnergy" in name and nvml.calls[name] % 50 == 0
        return error if is_due else None

    nvml.fail = sometimes
    reading = meter.measure(clock.load(0.005), SEARCH)
    assert reading.joules_per_iteration == pytest.approx(0.5, rel=0.06)


def test_an_old_driver_without_the_optional_calls_still_measures() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock)

    def old(name: str) -> Exception | None:
        optional = ("Mig", "EnforcedPower", "Reasons", "Temperature", "DriverVersion")
        return LibraryMismatch("unversioned") if any(word in name for word in optional) else None

    nvml.fail = old
    reading = _meter(nvml).measure(clock.load(0.005), SEARCH)
    assert reading.joules_per_iteration == pytest.approx(0.5, rel=0.02)
    assert reading.details["power_limit_w"] is None
    assert reading.details["driver"] is None


def test_a_counter_that_stops_under_load_is_a_failure_not_a_zero() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock)
    meter = _meter(nvml)
    stop_at = clock.now_s + 5
    clock.listeners.append(lambda start, end, watts: setattr(nvml, "stuck", end > stop_at))
    with pytest.raises(EnvironmentFailure, match="stands still"):
        meter.measure(clock.load(0.005), SEARCH)


def test_a_counter_that_is_reset_voids_its_window_alone() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock)
    meter = _meter(nvml)
    reset_at = clock.now_s + 5.2
    done: list[bool] = []

    def reset(start: float, end: float, watts: float) -> None:
        if end > reset_at and not done:
            done.append(True)
            nvml.joules, nvml.shown_mj = 0.0, 0

    clock.listeners.append(reset)
    reading = meter.measure(clock.load(0.005), SEARCH)
    assert [window.voided_by for window in reading.windows].count("counter_reset") == 1
    assert reading.joules_per_iteration == pytest.approx(0.5, rel=0.02)
    assert "energy_unstable" not in reading.flags


def test_a_throttled_board_is_kept_and_called_unstable() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock)
    nvml.reasons = 0x20
    reading = _meter(nvml).measure(clock.load(0.005), SEARCH)
    assert {window.voided_by for window in reading.windows} == {"throttled"}
    assert set(reading.flags) == {"energy_unstable", "energy_not_converged"}
    assert not reading.converged
    assert reading.joules_per_iteration == pytest.approx(0.5, rel=0.02)


def test_a_power_cap_is_only_mentioned() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock)
    nvml.reasons = 0x4
    reading = _meter(nvml).measure(clock.load(0.005), SEARCH)
    assert reading.flags == ("power_capped",)
    assert reading.converged


@pytest.mark.parametrize(("busy_w", "limit_w"), [(400.0, 300.0), (10.0, 300.0)])
def test_a_power_that_cannot_be_is_a_failure(busy_w: float, limit_w: float) -> None:
    clock = SimulatedClock(busy_w=busy_w)
    nvml = FakeNvml(clock)
    nvml.limit_w = limit_w
    with pytest.raises(EnvironmentFailure, match="implausible_power"):
        _meter(nvml).measure(clock.load(0.005), SEARCH)


def test_single_bad_power_readings_are_skipped_and_many_are_a_failure() -> None:
    def reading_with(every: int) -> float | None:
        clock = SimulatedClock()
        nvml = FakeNvml(clock)
        _without_counter(nvml)
        meter = _meter(nvml)
        count = [0]

        def fail(name: str) -> Exception | None:
            count[0] += name == "nvmlDeviceGetFieldValues"
            return FakeNvmlError(3) if name == "nvmlDeviceGetFieldValues" and count[0] % every == 0 else None

        nvml.fail = fail
        return meter.measure(clock.load(0.005), SEARCH).joules_per_iteration

    assert reading_with(50) == pytest.approx(0.5, rel=0.02)
    with pytest.raises(EnvironmentFailure, match="power readings of Simulated Board failed"):
        reading_with(5)


def test_idle_power_is_measured_once_until_the_board_is_warmer() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock)
    meter = _meter(nvml)
    first = meter.measure(clock.load(0.005), SEARCH)
    clock.idle_w = 40.0
    assert meter.measure(clock.load(0.005), SEARCH).idle_power_w == first.idle_power_w
    nvml.temperature += 6
    assert meter.measure(clock.load(0.005), SEARCH).idle_power_w == pytest.approx(40.0, rel=0.05)


def test_the_meter_is_chosen_apart_from_the_device() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock, boards=2)
    meter = open_meter("nvml:1", torch.device("cpu"), sources=MeterSources(clock, nvml))
    assert isinstance(meter, NvmlMeter)
    assert meter.describe() == {
        "source": "nvml",
        "method": "counter",
        "scope": "board",
        "board": "Simulated Board",
        "uuid": nvml.uuids[1],
        "driver": "580.1",
    }
    assert meter.lock_name == nvml.uuids[1]


def test_inventory_lists_boards_and_reasons() -> None:
    nvml = FakeNvml(SimulatedClock(), boards=2)
    found = nvml_inventory(nvml.clock, nvml)
    assert found["available"]
    assert found["driver"] == "580.1"
    assert [board["energy"] for board in found["boards"]] == ["counter", "counter"]
    nvml.mig = 1
    board = nvml_inventory(nvml.clock, nvml)["boards"][0]
    assert board["energy"] is None
    assert "MIG" in board["reason"]
    nvml.without("nvmlInit")
    assert nvml_inventory(nvml.clock, nvml)["reason"].startswith("NVML cannot be initialised")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_real_board_counts_energy_under_load() -> None:
    """Proves that torch's UUID finds the board in NVML and that a busy GPU draws between idle and its limit."""
    from osanas.measure.device import resolve_device

    device = resolve_device("cuda")
    meter = open_meter("nvml", device)
    assert isinstance(meter, NvmlMeter)
    matrix = torch.randn(2048, 2048, device=device)

    def run(iterations: int) -> None:
        for _ in range(iterations):
            matrix @ matrix
        torch.cuda.synchronize(device)

    from osanas.measure.meter import Load

    reading = meter.measure(Load(run, 0.001), SEARCH)
    assert reading.joules_per_iteration is not None
    assert reading.joules_per_iteration > 0
    assert reading.power_w is not None
    assert reading.idle_power_w is None or reading.power_w > reading.idle_power_w
