"""A device that lives on a simulated clock: an NVML board with a ticking counter, and a RAPL tree."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from osanas.measure.energy.meter import Load


class SimulatedClock:
    """Time passes by sleeping, working and reading; watts are drawn meanwhile."""

    def __init__(self, idle_w: float = 30.0, busy_w: float = 100.0) -> None:
        self.now_s = 1000.0
        self.idle_w = idle_w
        self.busy_w = busy_w
        self.watts = idle_w
        self.listeners: list[Callable[[float, float, float], None]] = []

    def now_ns(self) -> int:
        return round(self.now_s * 1e9)

    def sleep(self, seconds: float) -> None:
        self.advance(seconds, self.idle_w)

    def advance(self, seconds: float, watts: float) -> None:
        self.watts = watts
        start, self.now_s = self.now_s, self.now_s + seconds
        for listener in self.listeners:
            listener(start, self.now_s, watts)

    def load(self, iteration_s: float, overhead_s: float = 0.0) -> Load:
        """Work of that length per iteration at the busy power; each launch also costs a fixed overhead."""

        def launch(iterations: int) -> Callable[[], None]:
            return lambda: self.advance(iterations * iteration_s + overhead_s, self.busy_w)

        return Load(launch, iteration_s)


class FakeNvmlError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


class FakeNvml:
    """Stands in for the module pynvml within a test's own process: boards whose counters tick on the simulated clock.

    It has no faults but calls that are missing; those of real boards are in ``tests/measure/fake_nvml``.
    """

    NVMLError = FakeNvmlError
    NVML_SUCCESS = 0
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_ERROR_FUNCTION_NOT_FOUND = 13

    def __init__(self, clock: SimulatedClock, *, tick_s: float = 0.1, boards: int = 1) -> None:
        self._clock = clock
        self._tick_s = tick_s
        self._joules = 5000.0
        self._shown_mj = 5_000_000
        self._missing: dict[str, int] = {}
        self.uuids = [f"GPU-0000000{index}-aaaa-bbbb-cccc-00000000000{index}" for index in range(boards)]
        clock.listeners.append(self._drawn)

    def without(self, *names: str, code: int = 3) -> None:
        """Makes functions answer with an error code."""
        self._missing = dict.fromkeys(names, code)

    def _drawn(self, start: float, end: float, watts: float) -> None:
        first_tick = (math.floor(start / self._tick_s) + 1) * self._tick_s
        before = self._joules
        self._joules += (end - start) * watts
        if first_tick <= end:
            last_tick = math.floor(end / self._tick_s) * self._tick_s
            self._shown_mj = round(1e3 * (before + max(0.0, last_tick - start) * watts))

    def _call(self, name: str) -> None:
        self._clock.advance(2e-5, self._clock.watts)
        if name in self._missing:
            raise FakeNvmlError(self._missing[name])

    def nvmlInit(self) -> None:  # noqa: N802
        self._call("nvmlInit")

    def nvmlShutdown(self) -> None:  # noqa: N802
        self._call("nvmlShutdown")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        self._call("nvmlDeviceGetCount")
        return len(self.uuids)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        self._call("nvmlDeviceGetHandleByIndex")
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> bytes:  # noqa: N802
        self._call("nvmlDeviceGetUUID")
        return self.uuids[handle].encode()  # as older versions do

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        self._call("nvmlDeviceGetName")
        return "Simulated Board"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        self._call("nvmlDeviceGetTotalEnergyConsumption")
        return self._shown_mj

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        self._call("nvmlDeviceGetPowerUsage")
        return round(self._clock.watts * 1e3)


class FakeRapl:
    """A powercap tree whose files follow the simulated clock."""

    def __init__(self, root: Path, clock: SimulatedClock, *, packages: int = 1, dram_w: float = 0.0) -> None:
        self.root = root
        self.frozen = False
        self.reset_at = math.inf
        self._files: list[tuple[Path, float | None, int]] = []
        self._joules: list[float] = []
        self._dram_w = dram_w
        for number in range(packages):
            zone = self.zone(f"intel-rapl:{number}", f"package-{number}", share=1.0 / packages)
            self._part(zone, f"intel-rapl:{number}:0", "core", 0.5 / packages)
            if dram_w:
                self._part(zone, f"intel-rapl:{number}:1", "dram", None)
        clock.listeners.append(self._drawn)

    def zone(self, folder: str, name: str, *, share: float | None, max_range_uj: int = 262_143_328_850) -> Path:
        return self._make(self.root / folder, name, share, max_range_uj)

    def _part(self, zone: Path, folder: str, name: str, share: float | None) -> None:
        self._make(zone / folder, name, share, 65_712_999_613)

    def _make(self, path: Path, name: str, share: float | None, max_range_uj: int) -> Path:
        path.mkdir(parents=True)
        (path / "name").write_text(f"{name}\n", encoding="ascii")
        (path / "max_energy_range_uj").write_text(f"{max_range_uj}\n", encoding="ascii")
        self._files.append((path / "energy_uj", share, max_range_uj))
        self._joules.append((max_range_uj / 1e6) - 20.0)  # 20 J before it wraps
        self._write(len(self._files) - 1)
        return path

    def _drawn(self, start: float, end: float, watts: float) -> None:
        if self.frozen:
            return
        for index, (_, share, _) in enumerate(self._files):
            if start < self.reset_at <= end:
                self._joules[index] = 0.0
            self._joules[index] += (end - start) * (self._dram_w if share is None else share * watts)
            self._write(index)

    def _write(self, index: int) -> None:
        path, _, max_range_uj = self._files[index]
        path.write_text(f"{round(self._joules[index] * 1e6) % max_range_uj}\n", encoding="ascii")
