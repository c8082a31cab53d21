from __future__ import annotations

import itertools
import time
import weakref
from collections.abc import Iterator
from statistics import median

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from osanas.errors import CandidateError, EnvironmentFailure
from osanas.measure.clock import Clock, SystemClock
from osanas.measure.latency import contention_flags, measure_latency, stop_reason, time_workload
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.workload import Block, CpuWorkload, Workload, device_errors, open_workload
from tests.measure.simulation import SimulatedClock

CPU = torch.device("cpu")
FULL = MeasurementProtocol()
SEARCH = MeasurementProtocol.for_search()


class SimulatedWorkload(Workload):
    """Iterations whose lengths, in milliseconds, are given; blocks are disturbed as told, or never."""

    def __init__(
        self, clock: SimulatedClock, lengths_ms: Iterator[float], disturbed: Iterator[bool] | None = None
    ) -> None:
        self._clock = clock
        self._lengths_ms = lengths_ms
        self._disturbed = itertools.repeat(False) if disturbed is None else disturbed

    def run(self, iterations: int) -> None:
        self._clock.advance(sum(itertools.islice(self._lengths_ms, iterations)) / 1e3, 100.0)

    def block(self, iterations: int, clock: Clock) -> Block:
        start = clock.now_ns()
        self.run(iterations)
        return Block((clock.now_ns() - start) / 1e6 / iterations, next(self._disturbed))


@pytest.mark.parametrize("iteration_ms", [0.02, 0.2, 5.0, 80.0, 700.0])
def test_steady_work_is_known_exactly_and_soon(iteration_ms: float) -> None:
    clock = SimulatedClock()
    start = clock.now_s
    latency = time_workload(SimulatedWorkload(clock, itertools.repeat(iteration_ms)), FULL, clock=clock)
    assert latency.median_ms == pytest.approx(iteration_ms, rel=1e-3)
    assert latency.flags == ()
    assert clock.now_s - start <= max(3.1, 11 * iteration_ms / 1e3)
    assert latency.converged == (iteration_ms <= 80.0)
    assert latency.stopped_by == ("interval" if latency.converged else "cap")


def test_a_search_measures_five_milliseconds_within_a_second() -> None:
    clock = SimulatedClock()
    start = clock.now_s
    lengths = itertools.cycle([5.0, 5.2, 4.9, 6.0, 5.1, 9.0, 5.0])
    latency = time_workload(SimulatedWorkload(clock, lengths), SEARCH, clock=clock)
    assert clock.now_s - start <= 1.05
    assert latency.median_ms == pytest.approx(5.4, rel=0.1)


def test_slow_blocks_are_kept_and_do_not_move_the_median() -> None:
    clock = SimulatedClock()
    lengths = itertools.chain(itertools.repeat(10.0, 40), itertools.cycle([10.0, 10.0, 10.0, 200.0]))
    latency = time_workload(SimulatedWorkload(clock, lengths), FULL, clock=clock)
    assert latency.median_ms == pytest.approx(10.0)
    assert max(latency.blocks_ms) == pytest.approx(200.0)
    assert latency.median_ms == median(latency.blocks_ms)
    assert latency.interval_ms[0] <= latency.median_ms <= latency.interval_ms[1]


def test_wild_times_stop_at_the_plateau_or_the_cap_and_are_flagged() -> None:
    clock = SimulatedClock()
    lengths = itertools.cycle([1.0, 20.0, 1.0, 1.5, 30.0, 2.0, 25.0])
    latency = time_workload(SimulatedWorkload(clock, lengths), FULL, clock=clock)
    assert not latency.converged
    assert latency.stopped_by in {"plateau", "cap"}
    assert {"very_noisy", "warmup_unstable"} <= set(latency.flags)


def test_disturbed_blocks_are_kept_apart_by_their_cause() -> None:
    clock = SimulatedClock()
    lengths = itertools.chain(itertools.repeat(10.0, 60), itertools.cycle([10.0, 70.0]))
    disturbed = itertools.chain(itertools.repeat(False, 60), itertools.cycle([False, True]))
    latency = time_workload(SimulatedWorkload(clock, lengths, disturbed), FULL, clock=clock)
    assert latency.blocks_ms == pytest.approx([10.0] * len(latency.blocks_ms))
    assert latency.disturbed_blocks_ms == pytest.approx([70.0] * len(latency.disturbed_blocks_ms))
    assert latency.converged
    assert "unstable" not in latency.flags


def test_a_time_is_never_judged_by_its_value() -> None:
    clock = SimulatedClock()
    lengths = itertools.chain(itertools.repeat(10.0, 60), itertools.cycle([10.0, 70.0]))
    latency = time_workload(SimulatedWorkload(clock, lengths), FULL, clock=clock)
    assert latency.disturbed_blocks_ms == ()


def test_where_every_block_is_disturbed_all_count_and_the_result_is_unstable() -> None:
    clock = SimulatedClock()
    start = clock.now_s
    workload = SimulatedWorkload(clock, itertools.cycle([10.0, 12.0, 11.0]), itertools.repeat(True))
    latency = time_workload(workload, SEARCH, clock=clock)
    assert "unstable" in latency.flags
    assert not latency.converged
    assert latency.median_ms == pytest.approx(11.0)
    assert latency.disturbed_blocks_ms == ()
    assert clock.now_s - start <= 3 * SEARCH.max_seconds + 0.3


def test_blocks_are_long_enough_for_the_timer() -> None:
    clock = SimulatedClock()
    latency = time_workload(SimulatedWorkload(clock, itertools.repeat(0.05)), FULL, clock=clock)
    per_block = latency.iterations / len(latency.blocks_ms)
    assert per_block * 0.05 >= FULL.block_seconds * 1e3


@given(st.lists(st.floats(0.5, 2.0), max_size=80), st.floats(0, 10))
def test_when_to_stop(blocks: list[float], elapsed_s: float) -> None:
    reason = stop_reason(blocks, elapsed_s, FULL)
    if len(blocks) < 6:
        assert reason is None
    elif elapsed_s >= FULL.max_seconds:
        assert reason is not None
    elif len(blocks) < FULL.min_blocks or elapsed_s < FULL.min_seconds:
        assert reason is None


def test_a_plateau_is_noise_that_does_not_fall() -> None:
    drifting = [1.0 + 0.002 * index for index in range(200)]
    assert stop_reason(drifting, 1.0, FULL) is None
    assert stop_reason(drifting, 1.5, FULL) == "plateau"


@pytest.mark.parametrize(
    ("own", "other", "steal", "flags"),
    [
        (1.0, 0.05, 0.0, ()),
        (1.0, 0.2, 0.0, ()),
        (1.0, 0.3, 0.0, ("contended",)),
        (2.0, 0.2, 0.0, ("contended",)),
        (1.0, 0.0, 0.2, ("contended",)),
    ],
)
def test_contention_is_work_of_others_where_we_compute(
    own: float, other: float, steal: float, flags: tuple[str, ...]
) -> None:
    conditions = {"processors": 2, "own_cpu_share": own, "other_cpu_share": other, "steal_share": steal}
    assert contention_flags(conditions) == flags


def test_a_real_network_on_the_cpu() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.train()
    latency = measure_latency(model, (3, 16, 16), CPU, SEARCH)
    assert model.training
    assert 0 < latency.interval_ms[0] <= latency.median_ms <= latency.interval_ms[1] < 1e3
    assert latency.conditions["processors"] >= 1
    assert latency.notes == ()


class Waiting(nn.Module):
    """Gives the processor away, as if another process had taken it."""

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.01)
        return x


def test_a_block_without_the_processor_is_disturbed() -> None:
    block = CpuWorkload(Waiting(), torch.zeros(1)).block(1, SystemClock())
    assert block.iteration_ms >= 10.0
    assert block.is_disturbed


def test_threads_are_the_protocols_and_put_back() -> None:
    before = torch.get_num_threads()
    protocol = MeasurementProtocol(threads=before + 1)
    with open_workload(nn.Conv2d(3, 4, 3), (3, 8, 8), CPU, protocol) as workload:
        assert torch.get_num_threads() == before + 1
        assert isinstance(workload, CpuWorkload)
        workload.run(2)
    assert torch.get_num_threads() == before


def test_a_measured_network_is_freed_at_once() -> None:
    with open_workload(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), (3, 8, 8), CPU, SEARCH) as workload:
        assert isinstance(workload, CpuWorkload)
        weight = weakref.ref(next(workload._module.parameters()))
        assert weight() is not None
    assert weight() is None


def test_images_that_do_not_fit_the_network_are_its_failure(capfd: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8))
    with pytest.raises(CandidateError, match="does not run on images of 3x8x8") as failure:
        measure_latency(model, (3, 8, 8), CPU, SEARCH)
    assert failure.value.kind == "forward"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("CUDA error: an illegal memory access was encountered\nmore"), "device"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "device"),
        (RuntimeError("something of ours"), "other"),
    ],
)
def test_the_devices_failures_are_told_from_the_networks(error: Exception, kind: str) -> None:
    expected = {"out_of_memory": CandidateError, "device": EnvironmentFailure, "other": RuntimeError}[kind]
    with pytest.raises(expected) as failure, device_errors(torch.device("cuda", 0)):
        raise error
    if isinstance(failure.value, CandidateError):
        assert failure.value.kind == "out_of_memory"
    if isinstance(failure.value, EnvironmentFailure):
        assert "\n" not in failure.value.problem
        assert "nvidia-smi" in failure.value.fix


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_is_timed_by_its_events() -> None:
    """Proves that event times are positive, that a larger network takes longer, and that settings are put back."""
    device = torch.device("cuda", 0)
    benchmark = torch.backends.cudnn.benchmark
    small, large = (
        measure_latency(nn.Sequential(*[nn.Conv2d(64, 64, 3) for _ in range(depth)]), (64, 64, 64), device, SEARCH)
        for depth in (1, 20)
    )
    assert 0 < small.median_ms < large.median_ms
    assert torch.backends.cudnn.benchmark == benchmark


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_that_is_too_small_is_the_candidates_failure() -> None:
    """Proves that CUDA's out-of-memory error becomes the candidate's reason and the device stays usable."""
    device = torch.device("cuda", 0)
    with pytest.raises(CandidateError) as failure:
        measure_latency(nn.Conv2d(3, 4096, 3), (3, 16384, 16384), device, MeasurementProtocol(batch_size=64))
    assert failure.value.kind == "out_of_memory"
    assert torch.ones(1, device=device).item() == 1.0
