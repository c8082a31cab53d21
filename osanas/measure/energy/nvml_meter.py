"""Energy of a load by an NVIDIA board's energy counter, or by its power readings where it has none.

The counter moves about every 100 ms, so windows start and stop on one of its ticks under a load already warm (Yang et
al., "Part-time Power Measurements", SC24, arXiv 2312.02741, on what the sensors see). Power readings are taken between
chunks of work and held until the next one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from osanas.errors import Unavailable
from osanas.machine.clock import Clock, now_s
from osanas.machine.nvml import POLL_S, NvmlLibrary, driver_version, load_library, lost
from osanas.measure.energy.held_power import HeldPower
from osanas.measure.energy.meter import EnergyMeter, EnergyReading, EnergySource, EnergyWindow, Load
from osanas.measure.energy.nvml_boards import Board, Sensor, find_board, power_limit_w, probe
from osanas.measure.energy.nvml_watch import BoardWatch, board_settings, board_state, temperature_c
from osanas.measure.energy.windows import Work, chunk_iterations, chunks, collect, plausible, reading, run_for
from osanas.measure.protocol import MeasurementProtocol

_SHARP_S = 0.008
"""A tick is seen by two looks that are no farther apart; reading the counter takes an H200 3 ms, at times 30."""
_BLURRED_TICKS = 5
"""How many ticks may be passed over because they were not seen sharply."""
_STUCK_S = 2.0
_STUCK_TICKS = 20
"""How long, and how many of its update periods, a counter may stand still."""
_IDLE_SETTLE_S = 1.0
_IDLE_SECONDS = 2.0
_IDLE_MAX_DRIFT_C = 5
_POWER_WINDOW_S = 5.0
_MAX_MISMATCH = 0.1
"""Relative difference between the counter's energy and integrated power that voids a window."""
_SEEN_ONLY_BETWEEN = (
    "power is read only between iterations, and these take longer than the sensor's update period: "
    "power that varies within an iteration may be missed"
)


class NvmlMeter(EnergyMeter):
    """Energy of one board, whatever device computes.

    Args:
        library: From ``load_library``.
        board: Which board.
        sensor: What is measured with.
        check: A power reading that a counter's energy is checked against.
        clock: Time.
        computes_here: Whether this process has a CUDA context on the board.
    """

    source: ClassVar[EnergySource] = "nvml"

    def __init__(
        self,
        library: NvmlLibrary,
        board: Board,
        sensor: Sensor,
        check: Sensor | None,
        clock: Clock,
        *,
        computes_here: bool,
    ) -> None:
        self._library = library
        self._board = board
        self._sensor = sensor
        self._check = check
        self._clock = clock
        self._watch = BoardWatch(library, board, computes_here=computes_here)
        self._random = random.Random(0)  # noqa: S311
        self._idle: tuple[float | None, int | None] | None = None
        if sensor.scope == "module":
            self.notes = ("power is read for the whole module, its CPU included",)

    @property
    def method(self) -> str:
        """``counter``, ``instant_power`` or ``average_power``."""
        return self._sensor.method

    @property
    def lock_name(self) -> str | None:
        """The board's UUID."""
        return self._board.uuid

    def look(self) -> None:
        """Reads the counter, or power where there is none."""
        self._read()

    def describe(self) -> dict[str, Any]:
        """Source, method, scope and board."""
        return {
            "source": self.source,
            "method": self.method,
            "scope": self._sensor.scope,
            "board": self._board.name,
            "uuid": self._board.uuid,
            "driver": driver_version(self._library),
        }

    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        """Idle power, a warm-up under the load, then windows that follow each other under it."""
        self._watch.start()
        idle_power_w = self._idle_power()
        # a sensor that cannot follow the load between its chunks confirms nothing
        check = self._check if self._check is not None and self._check.follows(load) else None
        is_followed = self.method == "counter" or self._sensor.follows(load)
        memory_s = max(self._sensor.memory_s, 0.0 if check is None else check.memory_s)
        limit_w = power_limit_w(self._library, self._board)

        def window(work: Work) -> EnergyWindow:
            # a random phase against the sensor's, without a pause that would let the board cool
            run_for(work, self._random.uniform(0.0, self._sensor.update_period_s), self._clock)
            self._watch.begin_window()
            if self.method == "counter":
                taken = self._counter_window(work, load, protocol, check)
            else:
                taken = self._power_window(work, protocol)
            cause, flags = self._watch.end_window()
            impossible = plausible(taken.joules, taken.seconds, idle_power_w=idle_power_w, limit_power_w=limit_w)
            return replace(taken, voided_by=taken.voided_by or impossible or _mismatch(taken) or cause, flags=flags)

        work = chunks(load)
        run_for(work, max(protocol.energy_warmup_seconds, memory_s), self._clock)
        start = board_state(self._library, self._board)
        windows = collect(partial(window, work), protocol)
        end = board_state(self._library, self._board)
        return reading(
            windows,
            protocol,
            source=self.source,
            method=self.method,
            idle_power_w=idle_power_w,
            exclusive=self._watch.exclusive,
            notes=(*self.notes, *self._watch.notes, *(() if is_followed else (_SEEN_ONLY_BETWEEN,))),
            details={
                **self.describe(),
                "update_period_s": self._sensor.update_period_s,
                "check": None if check is None else check.method,
                **board_settings(self._library, self._board),
                "start": start,
                "end": end,
                **self._watch.summary(),
            },
        )

    def _counter_window(
        self, work: Work, load: Load, protocol: MeasurementProtocol, check: Sensor | None
    ) -> EnergyWindow:
        """From one tick of the counter to another; iterations are those finished in between."""
        chunk, period = chunk_iterations(load), self._sensor.update_period_s
        # a tick is seen at the end of a chunk, so a window is long beside that uncertainty
        blur_s = min(chunk * load.iteration_seconds, period)
        least_s = max(protocol.energy_window_seconds, protocol.energy_min_ticks * period, 50 * blur_s)
        sharp_s = max(_SHARP_S, 1.5 * blur_s)
        ticked = self._next_tick(lambda: next(work), sharp_s)
        if ticked is None:
            return EnergyWindow(0.0, 0.0, chunk, "counter_stuck")
        first, start = ticked
        power = None if check is None else HeldPower(self._library, check, start)
        value, iterations, seen, now = first, 0, start, start
        while True:
            iterations += next(work)
            previous, value, before, now = value, self._read(), now, now_s(self._clock)
            if power is not None:
                power.sample(now)
            if value < previous:
                return EnergyWindow(0.0, now - start, iterations, "counter_reset")
            if value != previous:
                seen = now
                # by half a period less: otherwise a tick that is seen late ends a window and one seen early does not
                is_long = now - start >= least_s - period / 2
                if is_long and (now - before <= sharp_s or now - start >= 2 * least_s):
                    break
                self._watch.tick()
            elif now - seen > self._stuck_s:
                return EnergyWindow(0.0, now - start, iterations, "counter_stuck")
        power_joules = None if power is None else power.joules_until(now)
        return EnergyWindow((value - first) / 1e3, now - start, iterations, power_joules=power_joules)

    def _power_window(self, work: Work, protocol: MeasurementProtocol) -> EnergyWindow:
        """Power read between chunks, each value held until the next and the last one to the window's end.

        Raises:
            EnvironmentFailure: Too many readings failed.
        """
        least_s = max(
            protocol.energy_window_seconds, _POWER_WINDOW_S, protocol.energy_min_ticks * self._sensor.update_period_s
        )
        start = now = now_s(self._clock)
        power, iterations = HeldPower(self._library, self._sensor, start), 0
        while now - start < least_s:
            iterations += next(work)
            now = now_s(self._clock)
            if power.sample(now):
                self._watch.tick()
        joules = power.joules_until(now)
        if joules is None:
            raise lost(f"{power.failed} of {power.reads} power readings of {self._board.name} failed")
        return EnergyWindow(joules, now - start, iterations)

    def _idle_power(self) -> float | None:
        """Power without load, in watts; measured again when the board's temperature has moved."""
        temperature = temperature_c(self._library, self._board)
        if self._idle is not None:
            power_w, then = self._idle
            if then is None or temperature is None or abs(temperature - then) <= _IDLE_MAX_DRIFT_C:
                return power_w
        self._clock.sleep(max(_IDLE_SETTLE_S, self._sensor.memory_s))
        power_w = self._idle_by_counter() if self.method == "counter" else self._idle_by_power()
        self._idle = (power_w, temperature_c(self._library, self._board))
        return power_w

    def _idle_by_counter(self) -> float | None:
        """From tick to tick; None if the counter stands still or goes back."""
        wait = partial(self._clock.sleep, POLL_S)
        ticked = self._next_tick(wait)
        if ticked is None:
            return None
        (first, start), (value, now) = ticked, ticked
        while now - start < _IDLE_SECONDS:
            ticked = self._next_tick(wait)
            if ticked is None or ticked[0] < value:
                return None
            value, now = ticked
        return (value - first) / 1e3 / (now - start)

    def _idle_by_power(self) -> float | None:
        values = []
        for _ in range(max(1, round(_IDLE_SECONDS / self._sensor.update_period_s))):
            values.append(self._read())
            self._clock.sleep(self._sensor.update_period_s)
        return sum(values) / len(values) / 1e3

    def _next_tick(self, between: Callable[[], object], sharp_s: float = math.inf) -> tuple[int, float] | None:
        """The counter and the time, in seconds, right after it moved; None if it stands still.

        A tick that is found more than ``sharp_s`` after the look before is passed over, while there is time.
        """
        value, now = self._read(), now_s(self._clock)
        start = seen = now
        while now - seen <= self._stuck_s:
            between()
            previous, value, before, now = value, self._read(), now, now_s(self._clock)
            if value != previous:
                seen = now
                if now - before <= sharp_s or now - start >= _BLURRED_TICKS * self._sensor.update_period_s:
                    return value, now
        return None

    @property
    def _stuck_s(self) -> float:
        return max(_STUCK_S, _STUCK_TICKS * self._sensor.update_period_s)

    def _read(self) -> int:
        return self._library.must(self._sensor.read)


def _mismatch(window: EnergyWindow) -> str | None:
    """Counter and integrated power disagree, and nobody knows which is right."""
    if window.power_joules is None:
        return None
    differs = abs(window.joules - window.power_joules) > _MAX_MISMATCH * max(window.joules, window.power_joules)
    return "counter_power_mismatch" if differs else None


def open_nvml(
    selector: str | None,
    clock: Clock,
    module: Any | None = None,
    *,
    computing_uuid: str | None = None,
) -> NvmlMeter | Unavailable:
    """A meter on a board.

    Args:
        selector: See ``find_board``.
        clock: Time.
        module: A stand-in for ``pynvml``.
        computing_uuid: UUID of the board on which this process computes; None if it computes on no board.

    Raises:
        EnvironmentFailure: The board is lost.
    """
    library = load_library(clock, module)
    if isinstance(library, Unavailable):
        return library
    board = find_board(library, selector)
    if isinstance(board, Unavailable):
        library.optional("nvmlShutdown")
        return board
    sensors = probe(library, board, clock)
    if isinstance(sensors, Unavailable):
        library.optional("nvmlShutdown")
        return sensors
    computes_here = computing_uuid is not None and board.uuid.lower() == computing_uuid.lower()
    return NvmlMeter(library, board, *sensors, clock, computes_here=computes_here)
