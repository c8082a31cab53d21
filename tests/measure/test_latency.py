from __future__ import annotations

import itertools
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from statistics import median
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from osanas.errors import CandidateError
from osanas.machine.clock import Clock, SystemClock
from osanas.measure.latency import stop_reason, time_workload
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.runners import Runner, captured
from osanas.measure.workload import Block, CudaWorkload, Workload, open_workload
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

    def block(self, iterations: int, clock: Clock, *, singly: bool) -> Block:
        singles = list(itertools.islice(self._lengths_ms, iterations))
        self._clock.advance(sum(singles) / 1e3, 100.0)
        return Block(sum(singles) / iterations, next(self._disturbed), tuple(singles) if singly else ())


class SimulatedGpuWorkload(SimulatedWorkload):
    """A GPU that takes ``gpu_ms`` for an iteration, ``graph_ms`` for a captured one; an error where it has none."""

    def __init__(
        self, clock: SimulatedClock, host_ms: float, gpu_ms: float, graph_ms: float | Exception | None
    ) -> None:
        super().__init__(clock, itertools.repeat(host_ms))
        self._gpu_ms = gpu_ms
        self._graph_ms = graph_ms

    def gpu_block(self, iterations: int) -> Block:
        self._clock.advance(iterations * self._gpu_ms / 1e3, 100.0)
        return Block(self._gpu_ms, is_disturbed=False)

    def graph_time_ms(self, iterations: int) -> float | None:
        if isinstance(self._graph_ms, Exception):
            raise self._graph_ms
        return self._graph_ms


@pytest.mark.parametrize("iteration_ms", [0.02, 0.2, 5.0, 80.0, 700.0])
def test_steady_work_is_known_exactly_and_soon(iteration_ms: float) -> None:
    clock = SimulatedClock()
    start = clock.now_s
    latency = time_workload(SimulatedWorkload(clock, itertools.repeat(iteration_ms)), FULL, clock=clock)
    assert latency.latency_ms == pytest.approx(iteration_ms, rel=1e-3)
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
    assert latency.latency_ms == pytest.approx(5.4, rel=0.1)


def test_slow_blocks_are_kept_and_do_not_move_the_median() -> None:
    clock = SimulatedClock()
    lengths = itertools.chain(itertools.repeat(10.0, 40), itertools.cycle([10.0, 10.0, 10.0, 200.0]))
    latency = time_workload(SimulatedWorkload(clock, lengths), FULL, clock=clock)
    assert latency.latency_ms == pytest.approx(10.0)
    assert max(latency.blocks_ms) == pytest.approx(200.0)
    assert latency.latency_ms == median(latency.blocks_ms)
    assert latency.latency_interval_ms[0] <= latency.latency_ms <= latency.latency_interval_ms[1]


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
    assert latency.latency_ms == pytest.approx(11.0)
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


def test_percentiles_come_from_single_iterations_that_count() -> None:
    clock = SimulatedClock()
    lengths = itertools.cycle([*[1.0] * 94, *[2.0] * 6])
    latency = time_workload(SimulatedWorkload(clock, lengths), FULL, clock=clock)
    assert 200 <= latency.iterations < 1000
    assert latency.percentiles_ms == {"p90": 1.0, "p95": 2.0}
    unstable = SimulatedWorkload(clock, lengths, itertools.repeat(True))
    assert time_workload(unstable, SEARCH, clock=clock).percentiles_ms == {}


def test_iterations_too_short_for_the_timer_have_no_percentiles() -> None:
    clock = SimulatedClock()
    latency = time_workload(SimulatedWorkload(clock, itertools.repeat(0.09)), FULL, clock=clock)
    assert latency.iterations > 1000
    assert latency.percentiles_ms == {}


def test_a_gpus_own_time_stands_beside_the_hosts() -> None:
    clock = SimulatedClock()
    start = clock.now_s
    latency = time_workload(SimulatedGpuWorkload(clock, 5.0, 4.0, 4.0), FULL, clock=clock)
    assert latency.latency_ms == pytest.approx(5.0)
    assert latency.gpu_time_ms == 4.0
    assert latency.gpu_time_interval_ms == (4.0, 4.0)
    assert clock.now_s - start <= 3.0
    assert latency.flags == ()
    on_cpu = time_workload(SimulatedWorkload(clock, itertools.repeat(5.0)), SEARCH, clock=clock)
    assert (on_cpu.gpu_time_ms, on_cpu.gpu_time_interval_ms) == (None, None)


@pytest.mark.parametrize(("graph_ms", "is_bound"), [(0.79, True), (0.81, False), (None, False)])
def test_a_graph_that_is_clearly_faster_shows_launch_bound(graph_ms: float | None, is_bound: bool) -> None:
    clock = SimulatedClock()
    latency = time_workload(SimulatedGpuWorkload(clock, 1.2, 1.0, graph_ms), SEARCH, clock=clock)
    assert ("launch_bound" in latency.flags) == is_bound
    assert latency.runtime_details.get("cudagraph_gpu_time_ms") == graph_ms
    assert latency.notes == ()


@pytest.mark.parametrize("error", [CandidateError("runtime", "no capture"), torch.OutOfMemoryError("CUDA")])
def test_a_capture_that_fails_is_a_note_and_no_error(error: Exception) -> None:
    clock = SimulatedClock()
    latency = time_workload(SimulatedGpuWorkload(clock, 1.2, 1.0, error), SEARCH, clock=clock)
    assert "launch_bound" not in latency.flags
    assert latency.notes == ("it cannot be captured as a CUDA graph, so it is not known whether it is launch bound",)
    assert latency.latency_ms == pytest.approx(1.2)


def test_a_real_network_on_the_cpu() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.train()
    with open_workload(model, (3, 16, 16), CPU, SEARCH) as workload:
        latency = time_workload(workload, SEARCH, clock=SystemClock())
    assert model.training
    assert 0 < latency.latency_interval_ms[0] <= latency.latency_ms <= latency.latency_interval_ms[1] < 1e3
    assert latency.conditions["processors"] >= 1
    assert latency.conditions["threads"] == 1
    assert (latency.notes, latency.runtime_details, latency.gpu_time_ms) == ((), {}, None)


def test_single_iterations_are_timed_where_they_are_asked_for() -> None:
    workload = Workload(Runner(lambda: time.sleep(0.002)))
    together = workload.block(3, SystemClock(), singly=False)
    assert together.singles_ms == ()
    assert together.iteration_ms >= 2.0
    apart = workload.block(3, SystemClock(), singly=True)
    assert len(apart.singles_ms) == 3
    assert sum(apart.singles_ms) == pytest.approx(3 * apart.iteration_ms)


def test_a_block_without_the_processor_is_disturbed() -> None:
    block = Workload(Runner(lambda: time.sleep(0.01))).block(1, SystemClock(), singly=False)
    assert block.iteration_ms >= 10.0
    assert block.is_disturbed


def test_threads_are_the_protocols_and_put_back() -> None:
    before = torch.get_num_threads()
    protocol = MeasurementProtocol(threads=before + 1)
    with open_workload(nn.Conv2d(3, 4, 3), (3, 8, 8), CPU, protocol) as workload:
        assert torch.get_num_threads() == before + 1
        workload.run(2)
    assert torch.get_num_threads() == before


def test_a_measured_network_is_freed_at_once() -> None:
    with open_workload(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), (3, 8, 8), CPU, SEARCH) as workload:
        run = workload._runner.run
        assert isinstance(run, partial)
        assert isinstance(run.func, nn.Module)
        weight = weakref.ref(next(run.func.parameters()))
        del run
        assert weight() is not None
    assert weight() is None


def test_images_that_do_not_fit_the_network_are_its_failure(capfd: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8))
    with (
        pytest.raises(CandidateError, match="does not run on images of 3x8x8") as failure,
        open_workload(model, (3, 8, 8), CPU, SEARCH),
    ):
        pytest.fail("it ran")
    assert failure.value.kind == "forward"
    assert capfd.readouterr().err == ""


class FakeCuda:
    """Stands in for the parts of ``torch.cuda`` that a measurement calls, and writes down the order of calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.breaks = False
        side = SimpleNamespace(name="side", wait_stream=lambda other: self.calls.append("wait"))
        monkeypatch.setattr("osanas.measure.runners.capture_stream", lambda device: side)
        for name, value in (
            ("synchronize", lambda *_: self.calls.append("synchronize")),
            ("Event", self._event),
            ("current_stream", lambda *_: SimpleNamespace(name="main", wait_stream=lambda other: None)),
            ("stream", lambda stream: self._within(stream.name if stream is not None else "none")),
            ("device", lambda device: nullcontext()),
            ("CUDAGraph", lambda: SimpleNamespace(replay=lambda: self.calls.append("replay"))),
            ("graph", self._capturing),
        ):
            monkeypatch.setattr(torch.cuda, name, value)

    def run(self) -> None:
        self.calls.append("run")

    def _event(self, *, enable_timing: bool = False) -> SimpleNamespace:
        return SimpleNamespace(
            record=lambda *_: self.calls.append("record"),
            synchronize=lambda: self.calls.append("wait for event"),
            **({"elapsed_time": lambda end: 6.0} if enable_timing else {}),
        )

    @contextmanager
    def _within(self, name: str) -> Iterator[None]:
        self.calls.append(f"+{name}")
        yield
        self.calls.append(f"-{name}")

    @contextmanager
    def _capturing(self, graph: object, *, stream: object) -> Iterator[None]:
        self.calls.append("capture")
        try:
            if self.breaks:
                raise torch.OutOfMemoryError("CUDA out of memory")
            yield
        except RuntimeError:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")  # noqa: B904


def test_a_gpus_host_blocks_wait_for_every_iteration_and_its_own_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(monkeypatch)
    workload = CudaWorkload(Runner(cuda.run))
    block = workload.block(2, SystemClock(), singly=True)
    assert cuda.calls == ["synchronize", "run", "synchronize", "run", "synchronize"]
    assert len(block.singles_ms) == 2
    cuda.calls.clear()
    assert workload.gpu_block(3).iteration_ms == 2.0
    assert cuda.calls == ["+none", "synchronize", "record", "run", "run", "run", "record", "synchronize", "-none"]
    cuda.calls.clear()
    wait = workload.launch(2)
    assert cuda.calls == ["run", "run", "record"]
    wait()
    assert cuda.calls[3:] == ["wait for event"]
    assert workload.graph_time_ms(3) is None


def test_a_graph_is_warmed_up_on_a_side_stream_and_then_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(monkeypatch)
    module = nn.Identity()
    module.register_forward_hook(lambda *_: cuda.calls.append("pass"))
    runner, output = captured(module, torch.ones(1))
    warm_up = ["wait", "+side", "pass", "pass", "pass", "-side"]
    assert cuda.calls == ["+main", *warm_up, "capture", "pass", "replay", "synchronize", "-main"]
    assert output in runner.keeps
    cuda.calls.clear()
    eager = CudaWorkload(Runner(cuda.run), lambda: (runner, output))
    assert eager.graph_time_ms(3) == 2.0
    assert cuda.calls.count("replay") == 15
    assert "run" not in cuda.calls


def test_a_broken_capture_tells_what_broke_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(monkeypatch)
    cuda.breaks = True
    with pytest.raises(torch.OutOfMemoryError):
        captured(nn.Identity(), torch.ones(1))
