"""What a real NVIDIA board must show; the simulated ones of ``tests/measure/fake_nvml`` cannot prove it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch

from osanas.errors import Unavailable
from osanas.machine.clock import SystemClock
from osanas.machine.device import device_uuid, resolve_device
from osanas.machine.nvml import load_library
from osanas.measure.energy.choose import MeterSources, open_meter
from osanas.measure.energy.meter import Load
from osanas.measure.energy.nvml_boards import find_board, power_limit_w, probe
from osanas.measure.energy.nvml_meter import NvmlMeter
from osanas.measure.inventory import inventory
from osanas.measure.protocol import MeasurementProtocol

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]


def _matmul_load(device: torch.device) -> Load:
    matrix = torch.randn(4096, 4096, device=device)

    def launch(iterations: int) -> Callable[[], object]:
        for _ in range(iterations):
            torch.mm(matrix, matrix)
        end = torch.cuda.Event()  # type: ignore[no-untyped-call]
        end.record()
        return end.synchronize

    launch(3)()
    start = time.perf_counter()
    launch(20)()
    return Load(launch, (time.perf_counter() - start) / 20)


def test_torchs_uuid_finds_the_board_and_it_tells_energy_or_power() -> None:
    """Proves that torch and NVML write one UUID, that a sensor works, and that its update period is found."""
    clock = SystemClock()
    library = load_library(clock)
    assert not isinstance(library, Unavailable)
    board = find_board(library, device_uuid(resolve_device("cuda")))
    assert not isinstance(board, Unavailable), board.reason
    found = probe(library, board, clock)
    assert not isinstance(found, Unavailable), found.reason
    meter, check = found
    assert 0.005 <= meter.update_period_s <= 2.0
    before = meter.read()
    time.sleep(1.0)
    if meter.method == "counter":
        assert meter.read() > before
    if check is not None:
        limit_w = power_limit_w(library, board)
        assert limit_w is not None
        assert 0 < check.read() / 1e3 < 1.1 * limit_w


def test_the_boards_that_torch_sees_are_listed_as_visible() -> None:
    """Proves that torch and NVML write one UUID for every board."""
    found = inventory()
    visible = {board["uuid"] for board in found["nvml"]["boards"] if board["visible"]}
    assert visible == {device["uuid"] for device in found["cuda"]["devices"]}


def test_a_matrix_product_draws_between_idle_and_the_limit_and_twice_the_work_twice_the_energy() -> None:
    """Proves that windows on real ticks agree, pass the check against power, and scale with the work."""
    device = resolve_device("cuda")
    meter = open_meter("nvml", device, sources=MeterSources(SystemClock()))
    assert isinstance(meter, NvmlMeter)
    single = _matmul_load(device)
    double = Load(lambda iterations: single.launch(2 * iterations), 2 * single.iteration_seconds)
    protocol = MeasurementProtocol.for_search()
    one, two = meter.measure(single, protocol), meter.measure(double, protocol)
    for reading in (one, two):
        assert reading.idle_power_w is not None
        assert reading.power_w is not None
        assert reading.power_w > 1.2 * reading.idle_power_w
        limit_w = reading.details["power_limit_w"]
        assert limit_w is None or reading.power_w <= 1.1 * limit_w
        assert reading.net_joules_per_iteration is not None
        for window in reading.windows:
            if window.power_joules is not None:
                assert window.joules == pytest.approx(window.power_joules, rel=0.1)
    assert one.joules_per_iteration is not None
    assert two.joules_per_iteration == pytest.approx(2 * one.joules_per_iteration, rel=0.1)
