"""Measuring several networks in rounds, each in a random order, so that drift meets all of them alike.

A machine that warms up, throttles or gets busy would otherwise favour whichever network came first.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import Any

from osanas.measure.energy.meter import worst
from osanas.measure.energy.windows import TRUE_ALTHOUGH_VOID
from osanas.measure.measurement import Measurement
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.statistics import (
    FEWEST_FOR_INTERVAL,
    mean_relative_half_width,
    median_interval,
    relative_half_width,
)

DRIFT = 0.05
"""Spread of the rounds' medians over their median above which a measurement is flagged ``drift``."""

_NOT_CONVERGED = "energy_not_converged"


def interleaved(count: int, rounds: int, seed: int) -> list[list[int]]:
    """The order of ``count`` things in each round: a permutation of ``range(count)`` each, drawn from ``seed``."""
    generator = random.Random(seed)  # noqa: S311
    return [generator.sample(range(count), count) for _ in range(rounds)]


def per_round(protocol: MeasurementProtocol) -> MeasurementProtocol:
    """The protocol of one of ``protocol.rounds`` rounds: its share of the seconds, the blocks and the energy windows.

    All rounds of a network together take the time of one measurement, but for the load before the energy windows,
    which every round needs. A round's interval may be wider by the square root of their number, as the rounds'
    blocks together are as many as one measurement's.
    """
    rounds = protocol.rounds
    if rounds == 1:
        return protocol
    windows = math.ceil(protocol.energy_min_windows / rounds)
    # not validated again: a round may take fewer windows than a measurement may
    return protocol.model_copy(
        update={
            "rounds": 1,
            "warmup_min_seconds": protocol.warmup_min_seconds / rounds,
            "warmup_max_seconds": protocol.warmup_max_seconds / rounds,
            "interval_target": protocol.interval_target * math.sqrt(rounds),
            "min_blocks": max(FEWEST_FOR_INTERVAL, math.ceil(protocol.min_blocks / rounds)),
            "min_seconds": protocol.min_seconds / rounds,
            "max_seconds": protocol.max_seconds / rounds,
            "energy_min_windows": windows,
            "energy_max_windows": windows,
        }
    )


def pooled(measurements: Sequence[Measurement], protocol: MeasurementProtocol) -> Measurement:
    """The rounds of one network as one measurement.

    Latency is the median of all their blocks, with its interval by order statistics. Energy is all joules over all
    iterations of the windows that count, or the median of the rounds where a meter has no windows (an estimate).
    Flags and notes are joined, with ``drift`` where the rounds' medians spread by more than ``DRIFT`` of their median:
    the interval then tells less than it seems to. GPU time and percentiles, of which no samples are kept, are
    medians of the rounds', and the interval of GPU time the span of theirs. Details of runtime and meter are the first
    round's.

    Args:
        measurements: One a round, by ``per_round(protocol)``.
        protocol: The whole measurement's.
    """
    first = measurements[0]
    if len(measurements) == 1:
        return first
    blocks = tuple(block for part in measurements for block in part.blocks_ms)
    medians = [part.latency_ms for part in measurements]
    is_narrow = relative_half_width(blocks) <= protocol.interval_target
    energy, is_agreed = _energy(measurements, protocol)
    flags = [flag for part in measurements for flag in part.flags if flag != _NOT_CONVERGED]
    if max(medians) - min(medians) > DRIFT * median(medians):
        flags.append("drift")
    if not is_agreed:
        flags.append(_NOT_CONVERGED)
    reasons = {part.stopped_by for part in measurements}
    return replace(
        first,
        latency_ms=median(blocks),
        latency_interval_ms=median_interval(blocks),
        blocks_ms=blocks,
        disturbed_blocks_ms=tuple(block for part in measurements for block in part.disturbed_blocks_ms),
        iterations=sum(part.iterations for part in measurements),
        stopped_by="interval" if is_narrow else "cap" if "cap" in reasons else "plateau",
        converged=is_narrow and is_agreed,
        exclusive=worst({part.exclusive for part in measurements}),
        **energy,
        **_gpu_times(measurements),
        percentiles_ms=_percentiles(measurements),
        flags=tuple(dict.fromkeys(flags)),
        notes=tuple(dict.fromkeys(note for part in measurements for note in part.notes)),
        conditions={"rounds": [{"latency_ms": part.latency_ms, **part.conditions} for part in measurements]},
        energy_windows=tuple(window for part in measurements for window in part.energy_windows),
    )


def _energy(measurements: Sequence[Measurement], protocol: MeasurementProtocol) -> tuple[dict[str, Any], bool]:
    """The energy figures of the rounds that have them, and whether they are as certain as the protocol asks."""
    parts = [part for part in measurements if part.energy_mj is not None]
    if not parts:
        return {}, True
    figures: dict[str, Any] = {
        "energy_source": parts[0].energy_source,
        "energy_method": parts[0].energy_method,
        "energy_details": _details(parts),
        "idle_power_w": _median(part.idle_power_w for part in parts),
    }
    windows = [[window for window in part.energy_windows if _counts(window, part)] for part in parts]
    if not all(windows):
        for name in ("energy_mj", "energy_net_mj", "power_w"):
            figures[name] = _median(getattr(part, name) for part in parts)
        return figures, not any(_NOT_CONVERGED in part.flags for part in parts)
    used = [window for part in windows for window in part]
    joules = sum(window["joules"] for window in used)
    iterations = [sum(window["iterations"] for window in part) for part in windows]
    figures["energy_mj"] = joules * 1e3 / sum(iterations) / protocol.batch_size
    net_mj = [part.energy_net_mj for part in parts if part.energy_net_mj is not None]
    figures["energy_net_mj"] = fmean(net_mj, iterations) if len(net_mj) == len(parts) else None
    seconds = sum(window["seconds"] for window in used)
    figures["power_w"] = joules / seconds
    figures["energy_iteration_ms"] = seconds * 1e3 / sum(iterations)
    spread = mean_relative_half_width([window["joules"] / window["iterations"] for window in used])
    return figures, spread <= protocol.energy_interval_target


def _counts(window: dict[str, Any], part: Measurement) -> bool:
    """Whether a round's energy comes from a window: as in ``windows.reading``, void ones only for want of others."""
    is_forced = "energy_unstable" in part.flags and window["voided_by"] in TRUE_ALTHOUGH_VOID
    return window["voided_by"] is None or is_forced


def _details(parts: Sequence[Measurement]) -> dict[str, Any]:
    """The first round's, with the void windows of all of them."""
    details = parts[0].energy_details
    void = Counter(window["voided_by"] for part in parts for window in part.energy_windows if window["voided_by"])
    return {**details, "void_windows": dict(void)} if "void_windows" in details else details


def _gpu_times(parts: Sequence[Measurement]) -> dict[str, Any]:
    intervals = [part.gpu_time_interval_ms for part in parts if part.gpu_time_interval_ms is not None]
    span = (min(low for low, _ in intervals), max(high for _, high in intervals)) if intervals else None
    return {"gpu_time_ms": _median(part.gpu_time_ms for part in parts), "gpu_time_interval_ms": span}


def _percentiles(parts: Sequence[Measurement]) -> dict[str, float]:
    """Those that every round has samples enough for."""
    names = (name for name in parts[0].percentiles_ms if all(name in part.percentiles_ms for part in parts))
    return {name: median(part.percentiles_ms[name] for part in parts) for name in names}


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
