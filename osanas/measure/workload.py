"""A network made ready to run over and over: what latency and energy are measured on.

The only place that synchronises a GPU or times it. Another runtime (compiled, CUDA graph, ONNX Runtime) is another
``Workload``; latency and energy know no more than this interface.
"""

from __future__ import annotations

import gc
import io
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor, nn

from osanas.errors import CandidateError, EnvironmentFailure
from osanas.measure.clock import Clock
from osanas.measure.deploy import DTYPES, deployed
from osanas.measure.failures import failure_kind
from osanas.measure.protocol import MeasurementProtocol

resource: ModuleType | None
try:
    import resource
except ImportError:  # not on Windows
    resource = None

_OWN_SHARE = 0.95
"""Least share of a block's time that a single thread has the processor, if nobody takes it away."""


@dataclass(frozen=True)
class Block:
    """Iterations run back to back.

    Attributes:
        iteration_ms: Milliseconds per iteration.
        is_disturbed: Whether the processor was taken away meanwhile, as the operating system tells; never judged by
            the time itself.
    """

    iteration_ms: float
    is_disturbed: bool


class Workload(ABC):
    """Runs a network on one fixed input batch."""

    notes: tuple[str, ...] = ()

    def __init__(self, module: nn.Module, batch: Tensor) -> None:
        self._module = module
        self._batch = batch

    def release(self) -> None:
        """Gives up network and batch; whoever still holds the workload holds no memory of the device."""
        del self._module, self._batch

    @abstractmethod
    def run(self, iterations: int) -> None:
        """Runs the network; on return every iteration has finished, on the device too."""

    @abstractmethod
    def block(self, iterations: int, clock: Clock) -> Block:
        """Runs and times a block."""


class CpuWorkload(Workload):
    """Eager mode on the CPU, timed by the host's clock."""

    def run(self, iterations: int) -> None:
        """Runs the network."""
        with torch.inference_mode():
            for _ in range(iterations):
                self._module(self._batch)

    def block(self, iterations: int, clock: Clock) -> Block:
        """Wall time by the clock."""
        module, batch = self._module, self._batch
        with torch.inference_mode():
            switches, processor_ns = _involuntary_switches(), time.thread_time_ns()
            start = clock.now_ns()
            for _ in range(iterations):
                module(batch)
            wall_ns = clock.now_ns() - start
            processor_ns = time.thread_time_ns() - processor_ns
        if torch.get_num_threads() == 1:
            is_disturbed = processor_ns < _OWN_SHARE * wall_ns
        else:  # threads wait for each other, so only the operating system knows why one of them does not run
            is_disturbed = _involuntary_switches() > switches
        return Block(wall_ns / 1e6 / iterations, is_disturbed)


class CudaWorkload(Workload):
    """Eager mode on a GPU, timed by events on the current stream.

    Events are read after a synchronisation, as PyTorch's notes on CUDA semantics prescribe; their resolution is about
    half a microsecond (CUDA runtime documentation, ``cudaEventElapsedTime``).
    """

    def __init__(self, module: nn.Module, batch: Tensor, device: torch.device) -> None:
        super().__init__(module, batch)
        self._device = device

    def run(self, iterations: int) -> None:
        """Runs the network and waits for the device."""
        with torch.inference_mode(), torch.cuda.device(self._device):
            for _ in range(iterations):
                self._module(self._batch)
            torch.cuda.synchronize(self._device)

    def block(self, iterations: int, clock: Clock) -> Block:  # noqa: ARG002
        """Device time between two events around the block."""
        with torch.inference_mode(), torch.cuda.device(self._device):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            torch.cuda.synchronize(self._device)
            start.record()
            for _ in range(iterations):
                self._module(self._batch)
            end.record()
            torch.cuda.synchronize(self._device)
            return Block(float(start.elapsed_time(end)) / iterations, is_disturbed=False)


def _involuntary_switches() -> int:
    """How often a thread of this process had to give way to another process; 0 where that is not told."""
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


@contextmanager
def open_workload(
    model: nn.Module, input_shape: tuple[int, int, int], device: torch.device, protocol: MeasurementProtocol
) -> Iterator[Workload]:
    """A network in its deployed form on a random batch, with the protocol's threads while it is open.

    Args:
        model: Any network; it stays as it is.
        input_shape: Channels, height, width of one image.
        device: Where to run.
        protocol: Batch size, precision, runtime, threads.

    Raises:
        CandidateError: ``out_of_memory``, or ``forward`` when the network does not run on such a batch.
        EnvironmentFailure: The device failed.
        UsageError: The device cannot do what the protocol asks.
    """
    with _settings(device, protocol.threads), device_errors(device):
        form = deployed(model, device, protocol)
        generator = torch.Generator().manual_seed(0)
        batch = torch.randn(protocol.batch_size, *input_shape, generator=generator).to(
            device=device, dtype=DTYPES[protocol.precision], memory_format=torch.channels_last
        )
        workload: Workload = (
            CudaWorkload(form.module, batch, device) if device.type == "cuda" else CpuWorkload(form.module, batch)
        )
        workload.notes = form.notes
        try:
            _try_once(workload.run, input_shape)
            yield workload
        finally:
            # A traced network is a cycle: left to the collector, it would hold its memory into the next measurement.
            workload.release()
            del form
            gc.collect()


def _try_once(run: Callable[[int], None], input_shape: tuple[int, int, int]) -> None:
    try:
        with redirect_stderr(io.StringIO()):  # a traced network prints its own source there before it raises
            run(1)
    except (RuntimeError, ValueError, IndexError) as error:
        if failure_kind(error) is not None:
            raise
        shape = "x".join(map(str, input_shape))
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CandidateError("forward", f"The network does not run on images of {shape}: {first_line}") from error


@contextmanager
def device_errors(device: torch.device) -> Iterator[None]:
    """Translates what torch raises: memory that does not suffice is the network's fault, anything else the device's.

    Raises:
        CandidateError: ``out_of_memory``.
        EnvironmentFailure: The device failed.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        kind = failure_kind(error)
        if kind == "out_of_memory":
            raise CandidateError(kind, f"The network does not fit into the memory of {device}.") from error
        if kind == "device":
            raise EnvironmentFailure(
                f"The device {device} failed: {str(error).splitlines()[0]}.",
                "Check it with nvidia-smi and run the same command again; a new process is needed to use it again.",
            ) from error
        raise


@contextmanager
def _settings(device: torch.device, threads: int | None) -> Iterator[None]:
    """The process's settings during a measurement; they are put back."""
    before = torch.get_num_threads()
    benchmark = torch.backends.cudnn.benchmark
    if threads is not None and threads != before:
        torch.set_num_threads(threads)
    if device.type == "cuda":  # shapes are fixed, so the fastest convolution algorithms are what a deployment runs
        torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = benchmark
