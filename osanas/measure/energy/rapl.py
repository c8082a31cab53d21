"""Energy of CPUs by RAPL, through Linux's powercap tree (kernel documentation: power/powercap/powercap).

The package counts whatever runs on it, other processes too. Zones ``package-N`` and their ``dram`` are added up over
all sockets; ``core`` and ``uncore`` are parts of the package, and ``psys`` holds more than the processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from osanas.errors import EnvironmentFailure, Unavailable
from osanas.machine.clock import Clock, now_s
from osanas.machine.exclusive import CPU
from osanas.measure.energy.meter import EnergyMeter, EnergyReading, EnergySource, EnergyWindow, Load
from osanas.measure.energy.windows import Work, chunks, collect, plausible, reading, run_for
from osanas.measure.protocol import MeasurementProtocol

POWERCAP_ROOT = Path("/sys/class/powercap")

PERMISSION_FIX = (
    "Since Linux 5.10 only root may read RAPL (CVE-2020-8694). Allow it until the next reboot with "
    "'sudo chmod -R a+r /sys/class/powercap/intel-rapl*/', or for good with a udev rule: "
    'ACTION=="add", SUBSYSTEM=="powercap", RUN+="/bin/chmod a+r /sys%p/energy_uj"; or use --energy estimated.'
)

_MISSING_FIX = (
    "Virtual machines and containers seldom have RAPL. On real hardware, load the kernel module intel_rapl_msr "
    "(AMD: Linux 5.8 or newer). Otherwise use --energy estimated."
)

_ADVANCE_TIMEOUT_S = 0.5
"""RAPL counters move about every millisecond."""

_MAX_PACKAGE_W = 2000.0
"""More than any socket draws with its memory: a counter that was reset looks like one that wrapped around."""

_IDLE_SETTLE_S = 0.5
_IDLE_SECONDS = 2.0


@dataclass(frozen=True)
class RaplZone:
    """One counter of the powercap tree."""

    path: Path
    name: str
    """``package-0``, or ``package-0/dram``."""
    max_energy_range_uj: int

    def read_uj(self) -> int:
        """The counter, in microjoules.

        Raises:
            OSError: It cannot be read.
        """
        return int(_text(self.path / "energy_uj"))

    def difference_uj(self, before_uj: int, after_uj: int) -> int:
        """Energy between two readings, over at most one wrap-around."""
        return after_uj - before_uj if after_uj >= before_uj else after_uj + self.max_energy_range_uj - before_uj


def find_zones(root: Path = POWERCAP_ROOT) -> list[RaplZone]:
    """Package and memory zones, in order; ``intel-rapl-mmio`` repeats the package and is left out.

    Raises:
        OSError: A zone is there and cannot be read.
    """
    zones: list[RaplZone] = []
    for package in sorted(root.glob("intel-rapl:[0-9]*")):
        # some kernels list subzones at the top too; they are reached through their package
        if package.name.count(":") != 1 or not (label := _text(package / "name")).startswith("package"):
            continue
        memories = [child for child in sorted(package.glob("intel-rapl:*:*")) if _text(child / "name") == "dram"]
        for path, name in ((package, label), *((memory, f"{label}/dram") for memory in memories)):
            zones.append(RaplZone(path, name, int(_text(path / "max_energy_range_uj"))))
    return zones


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


class RaplMeter(EnergyMeter):
    """Sums the zones' counters over windows without gaps."""

    source: ClassVar[EnergySource] = "rapl"
    method = "counter"
    lock_name = CPU
    notes = ("RAPL counts whatever runs on the processor, other processes too",)

    def __init__(self, zones: Sequence[RaplZone], clock: Clock) -> None:
        self._zones = tuple(zones)
        self._clock = clock
        self._idle_power_w: float | None = None

    def look(self) -> None:
        """Reads all zones."""
        self._read()

    def describe(self) -> dict[str, Any]:
        """Source, method and zones."""
        return {"source": self.source, "method": self.method, "zones": [zone.name for zone in self._zones]}

    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        """Idle power once, then windows under a warm load. Whether other processes worked too is never known."""
        if self._idle_power_w is None:
            self._idle_power_w = self._idle()
        work = chunks(load)
        run_for(work, protocol.energy_warmup_seconds, self._clock)
        windows = collect(lambda: self._window(work, protocol), protocol)
        return reading(
            windows,
            protocol,
            source=self.source,
            method=self.method,
            idle_power_w=self._idle_power_w,
            notes=self.notes,
            details=self.describe(),
        )

    def _idle(self) -> float | None:
        """Power of the package while this process does nothing; others may still work."""
        self._clock.sleep(_IDLE_SETTLE_S)
        before, start = self._read(), now_s(self._clock)
        self._clock.sleep(_IDLE_SECONDS)
        joules, seconds = self._since(before, start)
        return joules / seconds if joules > 0 else None

    def _window(self, work: Work, protocol: MeasurementProtocol) -> EnergyWindow:
        before, start = self._read(), now_s(self._clock)
        iterations = run_for(work, protocol.energy_window_seconds, self._clock)
        joules, seconds = self._since(before, start)
        # idle power is no floor here: another process may have ended since
        sockets = len({zone.name.partition("/")[0] for zone in self._zones})
        voided = plausible(joules, seconds, idle_power_w=None, limit_power_w=_MAX_PACKAGE_W * sockets)
        return EnergyWindow(joules, seconds, iterations, voided)

    def _read(self) -> list[int]:
        try:
            return [zone.read_uj() for zone in self._zones]
        except (OSError, ValueError) as error:
            raise EnvironmentFailure(
                f"RAPL can no longer be read: {error}.",
                f"{PERMISSION_FIX} Then run the same command again.",
            ) from None

    def _since(self, before: Sequence[int], start_s: float) -> tuple[float, float]:
        """Joules and seconds since a reading."""
        changes = zip(self._zones, before, self._read(), strict=True)
        joules = sum(zone.difference_uj(earlier, later) for zone, earlier, later in changes) / 1e6
        return joules, now_s(self._clock) - start_s


def open_rapl(clock: Clock, root: Path = POWERCAP_ROOT) -> RaplMeter | Unavailable:
    """A meter on all package and memory zones that advance."""
    try:
        zones = find_zones(root)
        if not zones:
            return Unavailable(f"there is no RAPL zone in {root}", _MISSING_FIX)
        first = {zone: zone.read_uj() for zone in zones}
        end = now_s(clock) + _ADVANCE_TIMEOUT_S
        while any(zone.read_uj() == value for zone, value in first.items() if "/" not in zone.name):
            if now_s(clock) >= end:
                return Unavailable("RAPL is there, but its counters do not advance", _MISSING_FIX)
            clock.sleep(0.002)
    except PermissionError as error:
        return Unavailable(f"RAPL is there, but this user may not read it ({error.filename})", PERMISSION_FIX)
    except (OSError, ValueError) as error:
        return Unavailable(f"RAPL is there, but cannot be read ({error})", _MISSING_FIX)
    return RaplMeter(zones, clock)


def rapl_inventory(clock: Clock, root: Path = POWERCAP_ROOT) -> dict[str, Any]:
    """What was found, for ``osanas doctor``."""
    meter = open_rapl(clock, root)
    if isinstance(meter, Unavailable):
        return {"available": False, "zones": [], **asdict(meter)}
    return {"available": True, "zones": meter.describe()["zones"], "reason": None, "fix": None}
