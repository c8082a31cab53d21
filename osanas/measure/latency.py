"""Latency: blocks of iterations until their median is known well enough, more would not help, or time is up."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import psutil
import torch
from torch import nn

from osanas.measure.clock import Clock, SystemClock, now_s
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.statistics import (
    FEWEST_FOR_INTERVAL,
    interquartile_ratio,
    median_interval,
    relative_half_width,
)
from osanas.measure.workload import Workload, open_workload

StoppedBy = Literal["interval", "plateau", "cap"]

_PATIENCE = 3
"""How many times the cap may pass while almost every block is disturbed."""

_PLATEAU = 0.95
"""Twice the blocks narrow an interval to 0.71 of its width; where they leave more than this, more will not help."""


@dataclass(frozen=True)
class Latency:
    """Latency of one batch.

    Attributes:
        median_ms: Median of the blocks.
        interval_ms: Its 95 % confidence interval, by order statistics.
        blocks_ms: Milliseconds per iteration of the blocks that count, in order.
        disturbed_blocks_ms: The blocks that do not count, because the processor was taken away meanwhile.
        iterations: Iterations of the blocks that count.
        converged: Whether the interval is as narrow as the protocol asks.
        flags: ``unstable`` (nearly every block was disturbed, so all of them count), ``noisy`` or ``very_noisy``
            (interquartile range above 10 or 25 % of the median), ``warmup_unstable``, ``contended`` (other work or the
            hypervisor kept the processors busy).
        conditions: What the machine did meanwhile, as JSON.
    """

    median_ms: float
    interval_ms: tuple[float, float]
    blocks_ms: tuple[float, ...]
    disturbed_blocks_ms: tuple[float, ...]
    iterations: int
    converged: bool
    stopped_by: StoppedBy
    flags: tuple[str, ...]
    notes: tuple[str, ...]
    conditions: dict[str, Any]


def measure_latency(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    device: torch.device,
    protocol: MeasurementProtocol,
    *,
    clock: Clock | None = None,
) -> Latency:
    """Latency of a network in its deployed form.

    On a CPU it is wall time; on a GPU the device's time for a batch, between events, launch gaps included.

    Args:
        model: Any network; it stays as it is.
        input_shape: Channels, height, width.
        device: From ``resolve_device``.
        protocol: Batch size, precision, blocks and when to stop.
        clock: None is the host's.

    Raises:
        CandidateError: The network does not run or does not fit.
        EnvironmentFailure: The device failed.
    """
    with open_workload(model, input_shape, device, protocol) as workload:
        return time_workload(workload, protocol, clock=SystemClock() if clock is None else clock)


def time_workload(workload: Workload, protocol: MeasurementProtocol, *, clock: Clock) -> Latency:
    """Warms up and takes blocks until ``stop_reason`` says so."""
    per_block, is_stable = _warm_up(workload, protocol, clock)
    watch = _Conditions(clock)
    blocks: list[float] = []
    disturbed: list[float] = []
    start = now_s(clock)
    reason, is_unstable = None, False
    while reason is None:
        block = workload.block(per_block, clock)
        (disturbed if block.is_disturbed else blocks).append(block.iteration_ms)
        elapsed_s = now_s(clock) - start
        reason = stop_reason(blocks, elapsed_s, protocol)
        is_hopeless = elapsed_s >= _PATIENCE * protocol.max_seconds and len(blocks) < FEWEST_FOR_INTERVAL
        if is_hopeless and len(blocks) + len(disturbed) >= FEWEST_FOR_INTERVAL:
            blocks, disturbed, reason, is_unstable = blocks + disturbed, [], "cap", True
    conditions = watch.read()
    return Latency(
        median_ms=median(blocks),
        interval_ms=median_interval(blocks),
        blocks_ms=tuple(blocks),
        disturbed_blocks_ms=tuple(disturbed),
        iterations=per_block * len(blocks),
        converged=reason == "interval",
        stopped_by=reason,
        flags=(
            *(("unstable",) if is_unstable else ()),
            *_noise_flags(blocks),
            *(() if is_stable else ("warmup_unstable",)),
            *contention_flags(conditions),
        ),
        notes=workload.notes,
        conditions=conditions,
    )


def stop_reason(blocks_ms: Sequence[float], elapsed_s: float, protocol: MeasurementProtocol) -> StoppedBy | None:
    """Why these blocks are enough, or None.

    ``interval``: the median is known well enough. ``plateau``: the second half of the blocks did not narrow its
    interval as independent samples would. ``cap``: time is up. Six blocks are always taken.
    """
    count = len(blocks_ms)
    if count < FEWEST_FOR_INTERVAL:
        return None
    if count >= protocol.min_blocks and elapsed_s >= protocol.min_seconds:
        width = relative_half_width(blocks_ms)
        if width <= protocol.interval_target:
            return "interval"
        is_late = elapsed_s >= (protocol.min_seconds + protocol.max_seconds) / 2
        if is_late and width > _PLATEAU * relative_half_width(blocks_ms[: count // 2]):
            return "plateau"
    return "cap" if elapsed_s >= protocol.max_seconds else None


def _warm_up(workload: Workload, protocol: MeasurementProtocol, clock: Clock) -> tuple[int, bool]:
    """Runs until three blocks in a row agree; returns the iterations of a block and whether they did."""
    start = now_s(clock)
    recent = [workload.block(1, clock).iteration_ms for _ in range(3)]
    fastest = min(recent)
    while True:
        per_block = _iterations_for(fastest, protocol.block_seconds)
        recent.append(workload.block(per_block, clock).iteration_ms)
        fastest = min(fastest, recent[-1])
        last = recent[-3:]
        elapsed = now_s(clock) - start
        is_stable = max(last) - min(last) <= protocol.warmup_tolerance * median(last)
        if (is_stable and elapsed >= protocol.warmup_min_seconds) or elapsed >= protocol.warmup_max_seconds:
            return _iterations_for(median(last), protocol.block_seconds), is_stable


def _iterations_for(iteration_ms: float, block_seconds: float) -> int:
    return max(1, math.ceil(block_seconds * 1e3 / max(iteration_ms, 1e-6)))


def _noise_flags(blocks_ms: Sequence[float]) -> tuple[str, ...]:
    """Thresholds of torch.utils.benchmark's warnings."""
    ratio = interquartile_ratio(blocks_ms)
    if ratio > 0.25:
        return ("very_noisy",)
    return ("noisy",) if ratio > 0.10 else ()


def _total_s(times: Any) -> float:
    """Seconds of all processors together. Linux counts guests' time within user's and nice's already."""
    return float(sum(times)) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)


class _Conditions:
    """What the machine does from now until ``read``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start_s = now_s(clock)
        self._process = psutil.Process()
        self._switches = self._process.num_ctx_switches().involuntary
        self._own_s = self._process.cpu_times()
        self._times = psutil.cpu_times()

    def read(self) -> dict[str, Any]:
        """Own and others' use of the processors, as shares of one processor's time."""
        seconds = max(now_s(self._clock) - self._start_s, 1e-9)
        own, times = self._process.cpu_times(), psutil.cpu_times()
        own_s = own.user + own.system - self._own_s.user - self._own_s.system
        steal_s = getattr(times, "steal", 0.0) - getattr(self._times, "steal", 0.0)
        idle_s = times.idle - self._times.idle + getattr(times, "iowait", 0.0) - getattr(self._times, "iowait", 0.0)
        busy_s = _total_s(times) - _total_s(self._times) - idle_s - steal_s
        others_s = max(0.0, busy_s - own_s)
        switches = self._process.num_ctx_switches().involuntary - self._switches
        return {
            "seconds": seconds,
            "processors": psutil.cpu_count() or 1,
            "own_cpu_share": own_s / seconds,
            "other_cpu_share": others_s / seconds,
            "steal_share": steal_s / seconds,
            "involuntary_switches_per_second": switches / seconds,
            "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        }


def contention_flags(conditions: dict[str, Any]) -> tuple[str, ...]:
    """``contended`` where others kept a quarter of the processors that we leave busy, or the hypervisor took a tenth.

    Even on processors of their own they share caches, memory and often the very core (hyper-threads) with us.
    """
    spare = max(0.0, conditions["processors"] - conditions["own_cpu_share"])
    is_crowded = conditions["other_cpu_share"] > max(0.1, 0.25 * spare)
    return ("contended",) if is_crowded or conditions["steal_share"] > 0.1 else ()
