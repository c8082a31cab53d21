"""A network made ready to run over and over: what latency and energy are measured on.

With ``captured`` in ``runners.py``, the only place that synchronises a GPU or times it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median
from types import MappingProxyType, ModuleType
from typing import Any

import torch
from torch import nn

from osanas.machine.clock import Clock
from osanas.machine.conditions import settings
from osanas.machine.failures import device_errors
from osanas.measure.deploy import DTYPES, deployed
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.runners import Runner, building, captured, prepared
from osanas.measure.runtimes import check_runtime

resource: ModuleType | None
try:
    import resource
except ImportError:  # not on Windows
    resource = None

_OWN_SHARE = 0.95
"""Least share of a block's time that a single thread has the processor, if nobody takes it away."""

_GRAPH_BLOCKS = 5
"""Enough for the median of a graph's time to be told from 0.8 of another."""


@dataclass(frozen=True)
class Block:
    """Iterations run one after the other.

    Attributes:
        iteration_ms: Milliseconds per iteration.
        is_disturbed: Whether the processor was taken away meanwhile, as the operating system tells; never judged by
            the time itself.
        singles_ms: Milliseconds of each iteration, where they were asked for.
    """

    iteration_ms: float
    is_disturbed: bool
    singles_ms: tuple[float, ...] = ()


class Workload:
    """A network on one fixed input batch, on the CPU.

    Args:
        runner: The network in its runtime.
    """

    notes: tuple[str, ...] = ()
    """What a reader of its figures should know."""
    details: Mapping[str, Any] = MappingProxyType({})
    """What the runtime tells of itself."""
    settings: Mapping[str, Any] = MappingProxyType({})
    """Of the machine, as ``osanas.machine.conditions`` reads them."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def release(self) -> None:
        """Gives up the network; whoever still holds the workload holds no memory of the device."""
        del self._runner

    def launch(self, iterations: int) -> Callable[[], object]:
        """Gives what runs the network so many times back to back."""
        return partial(self._run, iterations)

    def run(self, iterations: int) -> None:
        """Runs the network back to back; on return every iteration has finished, on the device too."""
        self.launch(iterations)()

    def _run(self, iterations: int) -> None:
        with torch.inference_mode():
            for _ in range(iterations):
                self._runner.run()

    def block(self, iterations: int, clock: Clock, *, singly: bool) -> Block:
        """Runs and times a block by the host's clock, each iteration when the one before has finished.

        Args:
            iterations: How many.
            clock: The host's.
            singly: Whether to time every iteration too.
        """
        with torch.inference_mode():
            switches, processor_ns = _involuntary_switches(), time.thread_time_ns()
            stamps_ns = _timed(self._runner.run, iterations, clock, singly=singly)
            processor_ns = time.thread_time_ns() - processor_ns
        if torch.get_num_threads() == 1:
            is_disturbed = processor_ns < _OWN_SHARE * (stamps_ns[-1] - stamps_ns[0])
        else:  # threads wait for each other, so only the operating system knows why one of them does not run
            is_disturbed = _involuntary_switches() > switches
        return _block(stamps_ns, iterations, is_disturbed=is_disturbed)

    def gpu_block(self, iterations: int) -> Block | None:  # noqa: ARG002
        """Runs a block back to back and times it by the GPU; None where there is none."""
        return None

    def graph_time_ms(self, iterations: int) -> float | None:  # noqa: ARG002
        """The GPU's time for an iteration captured as a CUDA graph; None where that says nothing of this runtime.

        Raises:
            CandidateError: It cannot be captured.
        """
        return None


class CudaWorkload(Workload):
    """A network on the current GPU: timed by the host's clock, and by events on the runner's stream.

    Events are read after a synchronisation, as PyTorch's notes on CUDA semantics prescribe; their resolution is about
    half a microsecond (CUDA runtime documentation, ``cudaEventElapsedTime``).

    Args:
        runner: The network in its runtime.
        capture: ``captured`` for the same network; None where the runtime is not eager.
    """

    def __init__(self, runner: Runner, capture: Callable[[], tuple[Runner, object]] | None = None) -> None:
        super().__init__(runner)
        self._capture = capture

    def release(self) -> None:
        """Gives up the network when it has finished; whoever still holds the workload holds no memory of the device."""
        torch.cuda.synchronize()
        super().release()
        del self._capture

    def launch(self, iterations: int) -> Callable[[], object]:
        """Starts so many runs back to back; gives what waits until the device has finished them."""
        self._run(iterations)
        end = torch.cuda.Event()  # type: ignore[no-untyped-call]
        end.record(self._runner.stream)
        return end.synchronize

    def block(self, iterations: int, clock: Clock, *, singly: bool) -> Block:
        """Wall time of forward pass and synchronisation, as MLPerf's single stream."""

        def step() -> None:
            self._runner.run()
            torch.cuda.synchronize()

        with torch.inference_mode():
            torch.cuda.synchronize()
            switches = _involuntary_switches()
            stamps_ns = _timed(step, iterations, clock, singly=singly)
            return _block(stamps_ns, iterations, is_disturbed=_involuntary_switches() > switches)

    def gpu_block(self, iterations: int) -> Block:
        """Device time between two events around launches back to back."""
        return _gpu_block(self._runner, iterations)

    def graph_time_ms(self, iterations: int) -> float | None:
        """Median of few blocks of a captured graph's replays."""
        if self._capture is None:
            return None
        graph, _ = building("cudagraph", self._capture)
        return median(_gpu_block(graph, iterations).iteration_ms for _ in range(_GRAPH_BLOCKS))


def _gpu_block(runner: Runner, iterations: int) -> Block:
    with torch.inference_mode(), torch.cuda.stream(runner.stream):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        switches = _involuntary_switches()
        start.record()
        for _ in range(iterations):
            runner.run()
        end.record()
        torch.cuda.synchronize()
        is_disturbed = _involuntary_switches() > switches  # launches were late
        return Block(float(start.elapsed_time(end)) / iterations, is_disturbed)


def _timed(step: Callable[[], object], iterations: int, clock: Clock, *, singly: bool) -> list[int]:
    """The clock before, after every iteration if ``singly``, and at the end."""
    rounds, per_round = (iterations, 1) if singly else (1, iterations)
    stamps_ns = [clock.now_ns()]
    for _ in range(rounds):
        for _ in range(per_round):
            step()
        stamps_ns.append(clock.now_ns())
    return stamps_ns


def _block(stamps_ns: list[int], iterations: int, *, is_disturbed: bool) -> Block:
    singles = tuple((after - before) / 1e6 for before, after in pairwise(stamps_ns))
    iteration_ms = (stamps_ns[-1] - stamps_ns[0]) / 1e6 / iterations
    return Block(iteration_ms, is_disturbed, singles if len(singles) == iterations else ())


def _involuntary_switches() -> int:
    """How often a thread of this process had to give way to another process; 0 where that is not told."""
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


@contextmanager
def open_workload(
    model: nn.Module, input_shape: tuple[int, int, int], device: torch.device, protocol: MeasurementProtocol
) -> Iterator[Workload]:
    """A network in its deployed form and runtime on a random batch, with the protocol's threads while it is open.

    Args:
        model: Any network; it stays as it is.
        input_shape: Channels, height, width of one image.
        device: Where to run.
        protocol: Batch size, precision, runtime, threads.

    Raises:
        CandidateError: ``out_of_memory``, ``forward`` when the network does not run on such a batch, ``runtime`` when
            it does not run in that runtime.
        EnvironmentFailure: The device failed.
        UsageError: The device cannot do what the protocol asks.
    """
    check_runtime(protocol.runtime, protocol.precision, device)
    with _process_settings(device, protocol.threads), device_errors(device, "measurement"):
        module, notes = deployed(model, device, protocol)
        generator = torch.Generator().manual_seed(0)
        batch = torch.randn(protocol.batch_size, *input_shape, generator=generator).to(
            device=device, dtype=DTYPES[protocol.precision], memory_format=torch.channels_last
        )
        try:
            with prepared(protocol.runtime, module, batch) as runner:
                capture = partial(captured, module, batch) if protocol.runtime == "eager" else None
                workload = Workload(runner) if device.type == "cpu" else CudaWorkload(runner, capture)
                workload.notes = (*notes, *runner.notes)
                workload.details = runner.details
                workload.settings = settings(device)
                del runner, capture
                try:
                    yield workload
                finally:
                    workload.release()
        finally:
            # A traced network is a cycle: left to the collector, it would hold its memory into the next measurement.
            del module, batch
            gc.collect()


@contextmanager
def _process_settings(device: torch.device, threads: int | None) -> Iterator[None]:
    """The process's settings during a measurement; they are put back."""
    before = torch.get_num_threads()
    benchmark = torch.backends.cudnn.benchmark
    if threads is not None and threads != before:
        torch.set_num_threads(threads)
    if device.type == "cuda":  # shapes are fixed, so the fastest convolution algorithms are what a deployment runs
        torch.backends.cudnn.benchmark = True
    try:
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = benchmark
