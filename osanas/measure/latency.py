"""Latency: blocks of iterations until their median is known well enough, more would not help, or time is up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import torch

from osanas.errors import CandidateError
from osanas.machine.clock import Clock, now_s
from osanas.machine.conditions import MachineWatch, is_contended
from osanas.measure.measurement import Measurement, StoppedBy
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.statistics import (
    FEWEST_FOR_INTERVAL,
    interquartile_ratio,
    median_interval,
    percentiles,
    relative_half_width,
)
from osanas.measure.workload import Block, Workload

_PATIENCE = 3
"""How many times the cap may pass while almost every block is disturbed."""

_PLATEAU = 0.95
"""Twice the blocks narrow an interval to 0.71 of its width; where they leave more than this, more will not help."""

_SHORTEST_SINGLE_MS = 0.1
"""From here on reading the clock after every iteration costs no more than a thousandth of it."""

_LAUNCH_BOUND = 0.8
"""A CUDA graph that takes less than this share of the eager network's time shows that launching takes the rest."""


def time_workload(workload: Workload, protocol: MeasurementProtocol, *, clock: Clock) -> Measurement:
    """A measurement without energy: warms up, and takes blocks until ``stop_reason`` says so.

    Args:
        workload: From ``open_workload``.
        protocol: How to warm up, how long a block is, and when to stop.
        clock: The host's.

    Returns:
        Latency by the host's clock, a GPU's own time beside it, and these flags: ``unstable`` (nearly every block was
        disturbed, so all of them count), ``noisy`` or ``very_noisy`` (interquartile range above 10 or 25 % of the
        median), ``warmup_unstable``, ``contended`` (other work or the hypervisor kept the processors busy),
        ``launch_bound`` (the GPU waits for launches: the figure ranks kernels and Python, not arithmetic).
    """
    iteration_ms, is_stable = _warm_up(workload, protocol, clock)
    watch = MachineWatch(clock)
    taken = _take(workload, protocol, clock, iteration_ms)
    conditions = {**workload.settings, **watch.read()}
    blocks, gpu = [block.iteration_ms for block in taken.counted], taken.gpu_ms
    singles_ms = [single for block in taken.counted for single in block.singles_ms]
    graph_ms, graph_notes = _graph_time(workload, taken.per_block) if gpu else (None, ())
    noise = interquartile_ratio(blocks)
    flags = {
        "unstable": taken.is_unstable,
        "very_noisy": noise > 0.25,  # as torch.utils.benchmark's warnings
        "noisy": 0.10 < noise <= 0.25,
        "warmup_unstable": not is_stable,
        "contended": is_contended(conditions),
        "launch_bound": graph_ms is not None and graph_ms < _LAUNCH_BOUND * median(gpu),
    }
    return Measurement(
        latency_ms=median(blocks),
        latency_interval_ms=median_interval(blocks),
        blocks_ms=tuple(blocks),
        disturbed_blocks_ms=tuple(block.iteration_ms for block in taken.disturbed),
        iterations=taken.per_block * len(blocks),
        converged=taken.stopped_by == "interval",
        stopped_by=taken.stopped_by,
        flags=tuple(flag for flag, holds in flags.items() if holds),
        notes=(*workload.notes, *graph_notes),
        conditions=conditions,
        gpu_time_ms=median(gpu) if gpu else None,
        gpu_time_interval_ms=median_interval(gpu) if gpu else None,
        percentiles_ms={} if taken.is_unstable else percentiles(singles_ms),
        runtime_details={**workload.details, **({} if graph_ms is None else {"cudagraph_gpu_time_ms": graph_ms})},
    )


@dataclass
class _Taken:
    """The blocks of a measurement; those of the GPU alternate with the host's."""

    per_block: int
    counted: list[Block] = field(default_factory=list)
    disturbed: list[Block] = field(default_factory=list)
    gpu: list[Block] = field(default_factory=list)
    stopped_by: StoppedBy = "cap"
    is_unstable: bool = False

    @property
    def gpu_ms(self) -> list[float]:
        """Undisturbed blocks of the GPU; all of them where those are too few for an interval."""
        calm = [block.iteration_ms for block in self.gpu if not block.is_disturbed]
        return calm if len(calm) >= FEWEST_FOR_INTERVAL else [block.iteration_ms for block in self.gpu]


def _take(workload: Workload, protocol: MeasurementProtocol, clock: Clock, iteration_ms: float) -> _Taken:
    taken = _Taken(_iterations_for(iteration_ms, protocol.block_seconds))
    start, reason = now_s(clock), None
    while reason is None:
        block = workload.block(taken.per_block, clock, singly=iteration_ms >= _SHORTEST_SINGLE_MS)
        (taken.disturbed if block.is_disturbed else taken.counted).append(block)
        gpu_block = workload.gpu_block(taken.per_block)
        if gpu_block is not None:
            taken.gpu.append(gpu_block)
        elapsed_s = now_s(clock) - start
        reason = stop_reason([block.iteration_ms for block in taken.counted], elapsed_s, protocol)
        too_few = len(taken.counted) < FEWEST_FOR_INTERVAL <= len(taken.counted) + len(taken.disturbed)
        if too_few and elapsed_s >= _PATIENCE * protocol.max_seconds:
            taken.counted, taken.disturbed = taken.counted + taken.disturbed, []
            reason, taken.is_unstable = "cap", True
    taken.stopped_by = reason
    return taken


def _graph_time(workload: Workload, per_block: int) -> tuple[float | None, tuple[str, ...]]:
    """The GPU's time with a captured graph, or why it is not known; a diagnosis that fails is no failure."""
    try:
        return workload.graph_time_ms(per_block), ()
    except (CandidateError, torch.OutOfMemoryError):
        return None, ("it cannot be captured as a CUDA graph, so it is not known whether it is launch bound",)


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


def _warm_up(workload: Workload, protocol: MeasurementProtocol, clock: Clock) -> tuple[float, bool]:
    """Runs until three blocks in a row agree; returns an iteration's milliseconds and whether they did."""
    start = now_s(clock)
    recent = [workload.block(1, clock, singly=False).iteration_ms for _ in range(3)]
    fastest = min(recent)
    while True:
        per_block = _iterations_for(fastest, protocol.block_seconds)
        recent.append(workload.block(per_block, clock, singly=False).iteration_ms)
        fastest = min(fastest, recent[-1])
        last = recent[-3:]
        elapsed = now_s(clock) - start
        is_stable = max(last) - min(last) <= protocol.warmup_tolerance * median(last)
        if (is_stable and elapsed >= protocol.warmup_min_seconds) or elapsed >= protocol.warmup_max_seconds:
            return median(last), is_stable


def _iterations_for(iteration_ms: float, block_seconds: float) -> int:
    return max(1, math.ceil(block_seconds * 1e3 / max(iteration_ms, 1e-6)))
