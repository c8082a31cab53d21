"""Taking energy windows under a warm load until they agree; shared by the meters that measure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from osanas.errors import EnvironmentFailure
from osanas.machine.clock import Clock, now_s
from osanas.measure.energy.meter import EnergyReading, EnergySource, EnergyWindow, Exclusivity, Load
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.statistics import mean_relative_half_width

CHUNK_SECONDS = 0.005
"""Work between two looks at a meter: longer than a look takes on average, short beside a window."""

MAX_VOID_WINDOWS = 3

_AHEAD_SECONDS = 0.03
"""Work that is launched while a chunk is waited for: more than a slow look takes."""

Work = Iterator[int]
"""A load under way: the iterations of each chunk that has finished."""

VOID_THROTTLED = "throttled"
VOID_FOREIGN = "foreign_process"
TRUE_ALTHOUGH_VOID = (VOID_THROTTLED, VOID_FOREIGN)
"""Causes under which a window's joules are still what the device drew, if not what it draws for this load alone."""


def chunk_iterations(load: Load) -> int:
    """Iterations of a chunk."""
    return max(1, round(CHUNK_SECONDS / max(load.iteration_seconds, 1e-9)))


def chunks(load: Load) -> Work:
    """Runs the load chunk by chunk without a gap, and gives the iterations of each when it has finished.

    The chunks that follow are launched before one is waited for, so that a device has work while a meter is read. An
    idle device would be metered too: on an H200, whose counter takes 3 to 30 ms to read, it was a quarter of the time.
    """
    count = chunk_iterations(load)
    depth = max(1, round(_AHEAD_SECONDS / max(count * load.iteration_seconds, CHUNK_SECONDS)))
    ahead = deque(load.launch(count) for _ in range(depth))
    while True:
        ahead.append(load.launch(count))
        ahead.popleft()()
        yield count


def run_for(work: Work, seconds: float, clock: Clock) -> int:
    """Goes on with the work for at least that long; returns its iterations."""
    iterations, end = 0, now_s(clock) + seconds
    while now_s(clock) < end:
        iterations += next(work)
    return iterations


def plausible(joules: float, seconds: float, *, idle_power_w: float | None, limit_power_w: float | None) -> str | None:
    """Why a window's energy cannot be, or None: nothing drawn, less than idle, more than the board's limit."""
    if joules <= 0 or seconds <= 0:
        return "no_energy"
    power_w = joules / seconds
    too_low = idle_power_w is not None and power_w < 0.8 * idle_power_w
    too_high = limit_power_w is not None and power_w > 1.1 * limit_power_w
    return "implausible_power" if too_low or too_high else None


def collect(take: Callable[[], EnergyWindow], protocol: MeasurementProtocol) -> list[EnergyWindow]:
    """Windows until the interval of their mean is narrow enough, they are too many, or too many are void."""
    windows: list[EnergyWindow] = []
    while True:
        windows.append(take())
        valid = [window.joules_per_iteration for window in windows if window.voided_by is None]
        if len(windows) - len(valid) > MAX_VOID_WINDOWS or len(valid) >= protocol.energy_max_windows:
            return windows
        is_enough = len(valid) >= protocol.energy_min_windows
        if is_enough and mean_relative_half_width(valid) <= protocol.energy_interval_target:
            return windows


def reading(
    windows: Sequence[EnergyWindow],
    protocol: MeasurementProtocol,
    *,
    source: EnergySource,
    method: str,
    idle_power_w: float | None,
    exclusive: Exclusivity = "unknown",
    notes: tuple[str, ...] = (),
    details: Mapping[str, Any] | None = None,
) -> EnergyReading:
    """The windows as one reading: all their joules over all their iterations.

    Too few that count: those that are void and yet true are taken too, and the reading is called unstable.

    Raises:
        EnvironmentFailure: Fewer windows can be used than the protocol asks for.
    """
    used = [window for window in windows if window.voided_by is None]
    flags = {flag for window in windows for flag in window.flags}
    if len(used) < protocol.energy_min_windows:
        flags.add("energy_unstable")
        used = [window for window in windows if window.voided_by is None or window.voided_by in TRUE_ALTHOUGH_VOID]
    void = Counter(window.voided_by for window in windows if window.voided_by is not None)
    if len(used) < protocol.energy_min_windows:
        causes = ", ".join(f"{cause} ({count})" for cause, count in sorted(void.items()))
        raise EnvironmentFailure(
            f"The energy meter {source} ({method}) gave too few usable readings in {len(windows)} windows: {causes}.",
            "Check the device with 'osanas doctor' and run the same command again, or use --energy estimated.",
        )
    width = mean_relative_half_width([window.joules_per_iteration for window in used])
    is_converged = "energy_unstable" not in flags and width <= protocol.energy_interval_target
    if not is_converged:
        flags.add("energy_not_converged")
    joules, seconds = sum(window.joules for window in used), sum(window.seconds for window in used)
    iterations = sum(window.iterations for window in used)
    net = None if idle_power_w is None else joules - idle_power_w * seconds
    if net is not None and net <= 0:
        net, notes = None, (*notes, "net energy is not known: under this load no more power was drawn than at idle")
    return EnergyReading(
        source=source,
        method=method,
        joules_per_iteration=joules / iterations,
        power_w=joules / seconds,
        idle_power_w=idle_power_w,
        net_joules_per_iteration=None if net is None else net / iterations,
        exclusive=exclusive,
        windows=tuple(windows),
        converged=is_converged,
        flags=tuple(sorted(flags)),
        notes=notes,
        details={**(details or {}), "void_windows": dict(void)},
    )
