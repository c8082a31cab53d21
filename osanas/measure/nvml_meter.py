"""Energy of a load by an NVIDIA board's energy counter, or by its power readings where it has none.

The counter moves about every 100 ms, so windows start and stop on one of its ticks under a load already warm (Yang et
al., "Part-time Power Measurements", SC24, arXiv 2312.02741, on what the sensors see). Power readings are taken between
chunks of work and held until the next one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from osanas.measure.clock import Clock, now_s
from osanas.measure.meter import EnergyMeter, EnergyReading, EnergySource, EnergyWindow, Load, Unavailable
from osanas.measure.nvml import (
    POLL_S,
    POWER_PERIOD_S,
    Board,
    Capability,
    NvmlLibrary,
    driver_version,
    find_board,
    load_library,
    lost,
    probe,
)
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.windows import VOID_THROTTLED, chunk_iterations, collect, plausible, reading, run_for

_THROTTLED = 0x8 | 0x20 | 0x40 | 0x80  # nvml.h: HwSlowdown, SwThermalSlowdown, HwThermalSlowdown, HwPowerBrakeSlowdown
_POWER_CAPPED = 0x4  # nvml.h: SwPowerCap; the normal state of a power-limited board
_TICK_TIMEOUT_S = 5.0
_TICKS_PER_WINDOW = 20
_IDLE_SETTLE_S = 1.0
_IDLE_SECONDS = 2.0
_IDLE_MAX_DRIFT_C = 5
_AVERAGED_OVER_S = 1.5
"""What an averaged reading needs to forget the past: its second, and half of one more."""
_POWER_WINDOW_S = 5.0
_MAX_FAILED_READS = 0.05


class NvmlMeter(EnergyMeter):
    """Energy of one board, whatever device computes.

    Args:
        library: From ``load_library``.
        board: Which board.
        capability: From ``probe``.
        clock: Time.
        seed: Of the random phase between windows.
    """

    source: ClassVar[EnergySource] = "nvml"

    def __init__(self, library: NvmlLibrary, board: Board, capability: Capability, clock: Clock, seed: int = 0) -> None:
        self._library = library
        self._board = board
        self._capability = capability
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311
        self._idle: tuple[float | None, int | None] | None = None
        if capability.scope == "module":
            self.notes = ("the power reading is the whole module's, with its CPU",)

    @property
    def method(self) -> str:
        """``counter``, ``instant_power`` or ``average_power``."""
        return self._capability.method

    @property
    def lock_name(self) -> str | None:
        """The board's UUID."""
        return self._board.uuid

    def describe(self) -> dict[str, Any]:
        """Source, method, scope and board."""
        return {
            "source": self.source,
            "method": self.method,
            "scope": self._capability.scope,
            "board": self._board.name,
            "uuid": self._board.uuid,
            "driver": driver_version(self._library),
        }

    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        """Idle power, a warm-up under the load, then windows that follow each other under it."""
        idle_power_w = self._idle_power()
        is_averaged = self.method == "average_power"
        warmup_s = max(protocol.energy_warmup_seconds, _AVERAGED_OVER_S if is_averaged else 0.0)
        run_for(load, warmup_s, self._clock)
        limit_mw = self._library.optional("nvmlDeviceGetEnforcedPowerLimit", self._board.handle)

        def window() -> EnergyWindow:
            # a random phase against the sensor's, without a pause that would let the board cool
            run_for(load, self._random.uniform(0.0, self._capability.update_period_s), self._clock)
            if self.method == "counter":
                taken = self._counter_window(load, protocol)
            else:
                taken = self._power_window(load, protocol)
            if taken.voided_by not in {None, VOID_THROTTLED}:
                return taken
            limit_w = None if limit_mw is None else limit_mw / 1e3
            cause = plausible(taken.joules, taken.seconds, idle_power_w=idle_power_w, limit_power_w=limit_w)
            return taken if cause is None else replace(taken, voided_by=cause)

        return reading(
            collect(window, protocol),
            protocol,
            source=self.source,
            method=self.method,
            idle_power_w=idle_power_w,
            notes=self.notes,
            details={
                **self.describe(),
                "update_period_s": self._capability.update_period_s,
                "power_limit_w": None if limit_mw is None else limit_mw / 1e3,
                "temperature_c": self._temperature(),
            },
        )

    def _counter_window(self, load: Load, protocol: MeasurementProtocol) -> EnergyWindow:
        """From one tick of the counter to another; iterations are those finished in between."""
        chunk, period = chunk_iterations(load), self._capability.update_period_s
        # a tick is seen at the end of a chunk, so a window is long beside that uncertainty
        blur_s = min(chunk * load.iteration_seconds, period)
        least_s = max(protocol.energy_window_seconds, _TICKS_PER_WINDOW * period, 50 * blur_s)
        first, start = self._next_tick(lambda: load.run(chunk))
        value, iterations, reasons, seen = first, 0, 0, start
        while True:
            load.run(chunk)
            iterations += chunk
            previous, value, now = value, self._read(), now_s(self._clock)
            if value < previous:
                return EnergyWindow(0.0, now - start, iterations, "counter_reset")
            if value != previous:
                seen = now
                reasons |= self._throttle_reasons()
                if now - start >= least_s:
                    break
            elif now - seen > _TICK_TIMEOUT_S:
                raise lost(f"the energy counter of {self._board.name} stands still under load")
        return self._window((value - first) / 1e3, now - start, iterations, reasons)

    def _power_window(self, load: Load, protocol: MeasurementProtocol) -> EnergyWindow:
        """Power read between chunks, each value held until the next and the last one to the window's end."""
        chunk = chunk_iterations(load)
        least_s = max(protocol.energy_window_seconds, _POWER_WINDOW_S)
        start = now_s(self._clock)
        held_mw, at, joules = self._read(), start, 0.0
        iterations, reasons, reads, failed = 0, self._throttle_reasons(), 1, 0
        while at - start < least_s:
            load.run(chunk)
            iterations += chunk
            now = now_s(self._clock)
            joules += held_mw / 1e3 * (now - at)
            at = now
            reads += 1
            power_mw = self._read_or_none()
            if power_mw is None:
                failed += 1
            else:
                held_mw = power_mw
        if failed > _MAX_FAILED_READS * reads:
            raise lost(f"{failed} of {reads} power readings of {self._board.name} failed")
        return self._window(joules, at - start, iterations, reasons | self._throttle_reasons())

    def _window(self, joules: float, seconds: float, iterations: int, reasons: int) -> EnergyWindow:
        flags = ("power_capped",) if reasons & _POWER_CAPPED else ()
        return EnergyWindow(joules, seconds, iterations, VOID_THROTTLED if reasons & _THROTTLED else None, flags)

    def _idle_power(self) -> float | None:
        """Power without load, in watts; measured again when the board's temperature has moved."""
        temperature = self._temperature()
        if self._idle is not None:
            power_w, then = self._idle
            if then is None or temperature is None or abs(temperature - then) <= _IDLE_MAX_DRIFT_C:
                return power_w
        is_averaged = self.method == "average_power"
        self._clock.sleep(max(_IDLE_SETTLE_S, _AVERAGED_OVER_S if is_averaged else 0.0))
        power_w = self._idle_by_counter() if self.method == "counter" else self._idle_by_power()
        self._idle = (power_w, temperature)
        return power_w

    def _idle_by_counter(self) -> float | None:
        def wait() -> None:
            self._clock.sleep(POLL_S)

        first, start = self._next_tick(wait)
        value, now = first, start
        while now - start < _IDLE_SECONDS:
            value, now = self._next_tick(wait)
        return (value - first) / 1e3 / (now - start) if value > first else None

    def _idle_by_power(self) -> float | None:
        values = []
        for _ in range(round(_IDLE_SECONDS / POWER_PERIOD_S)):
            values.append(self._read())
            self._clock.sleep(POWER_PERIOD_S)
        return sum(values) / len(values) / 1e3

    def _next_tick(self, between: Callable[[], None]) -> tuple[int, float]:
        """The counter and the time, in seconds, right after it moved."""
        value, end = self._read(), now_s(self._clock) + _TICK_TIMEOUT_S
        while True:
            between()
            previous, value, now = value, self._read(), now_s(self._clock)
            if value != previous:
                return value, now
            if now > end:
                raise lost(f"the energy counter of {self._board.name} stands still")

    def _read(self) -> int:
        return self._library.must(self._capability.read)

    def _read_or_none(self) -> int | None:
        """A power reading; None for the 0 or NOT_SUPPORTED that drivers give now and then."""
        try:
            return self._capability.read() or None
        except self._library.errors as error:
            if self._library.is_transient(error):
                return None
            raise lost(str(error)) from error

    def _throttle_reasons(self) -> int:
        for name in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"):
            reasons = self._library.optional(name, self._board.handle)
            if reasons is not None:
                return int(reasons)
        return 0

    def _temperature(self) -> int | None:
        """Degrees Celsius of the GPU's sensor (0 in nvml.h)."""
        for name in ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"):
            value = self._library.optional(name, self._board.handle, 0)
            if value is not None:
                return int(value)
        return None


def open_nvml(selector: str | None, clock: Clock, module: Any | None = None) -> NvmlMeter | Unavailable:
    """A meter on a board.

    Args:
        selector: See ``find_board``.
        clock: Time.
        module: A stand-in for ``pynvml``.
    """
    library = load_library(clock, module)
    if isinstance(library, Unavailable):
        return library
    board = find_board(library, selector)
    if isinstance(board, Unavailable):
        return board
    capability = probe(library, board, clock)
    return capability if isinstance(capability, Unavailable) else NvmlMeter(library, board, capability, clock)
