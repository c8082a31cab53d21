"""What a board was like and what befell it while its energy was measured: clocks, heat, throttling, other processes.

NVML API reference, "Device Queries". Everything here is optional: what a driver does not tell is None.
"""

from __future__ import annotations

from typing import Any

from osanas.machine.nvml import NvmlLibrary, driver_version, text
from osanas.measure.energy.meter import Exclusivity, worst
from osanas.measure.energy.nvml_boards import Board, power_limit_w
from osanas.measure.energy.windows import VOID_FOREIGN, VOID_THROTTLED

_THROTTLED = 0x8 | 0x20 | 0x40 | 0x80
"""nvml.h, nvmlClocksEventReason: HwSlowdown, SwThermalSlowdown, HwThermalSlowdown, HwPowerBrakeSlowdown."""

_POWER_CAPPED = 0x4
"""nvmlClocksEventReasonSwPowerCap: the normal state of a power-limited board, so it voids nothing."""

_REASONS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
"""One call under two names; old drivers know the second only."""

_VIOLATIONS = {"power": (74, 0), "thermal": (75, 1)}
"""nvml.h: NVML_FI_DEV_PERF_POLICY_POWER and _THERMAL, and NVML_PERF_POLICY_POWER and _THERMAL; nanoseconds. Fields that
tell the thermal causes apart are left out: their identifiers changed between versions of nvml.h."""

_TEMPERATURE_GPU, _CLOCK_SM, _CLOCK_MEMORY = 0, 1, 2  # nvml.h: NVML_TEMPERATURE_GPU, NVML_CLOCK_SM, NVML_CLOCK_MEM


def temperature_c(library: NvmlLibrary, board: Board) -> int | None:
    """Degrees Celsius of the GPU's sensor."""
    names = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature")
    value = library.first_of(names, board.handle, _TEMPERATURE_GPU)
    return None if value is None else int(value)


def board_state(library: NvmlLibrary, board: Board) -> dict[str, Any]:
    """What changes under load: clocks and temperature, as JSON."""
    return {
        "clock_sm_mhz": library.optional("nvmlDeviceGetClockInfo", board.handle, _CLOCK_SM),
        "clock_memory_mhz": library.optional("nvmlDeviceGetClockInfo", board.handle, _CLOCK_MEMORY),
        "temperature_c": temperature_c(library, board),
    }


def board_settings(library: NvmlLibrary, board: Board) -> dict[str, Any]:
    """What stays: versions, limits and modes, as JSON."""
    pci = library.optional("nvmlDeviceGetPciInfo", board.handle)
    default_mw = library.optional("nvmlDeviceGetPowerManagementDefaultLimit", board.handle)
    return {
        "driver": driver_version(library),
        "nvml": text(library.optional("nvmlSystemGetNVMLVersion")),
        "vbios": text(library.optional("nvmlDeviceGetVbiosVersion", board.handle)),
        "pci": text(getattr(pci, "busId", None)),
        "persistence_mode": library.optional("nvmlDeviceGetPersistenceMode", board.handle),
        "compute_mode": library.optional("nvmlDeviceGetComputeMode", board.handle),
        "power_limit_w": power_limit_w(library, board),
        "power_limit_default_w": None if default_mw is None else default_mw / 1e3,
        "clock_sm_max_mhz": library.optional("nvmlDeviceGetMaxClockInfo", board.handle, _CLOCK_SM),
        "clock_memory_max_mhz": library.optional("nvmlDeviceGetMaxClockInfo", board.handle, _CLOCK_MEMORY),
    }


class BoardWatch:
    """Looks for throttling within windows, and for other processes between them.

    Which of the listed processes is ours cannot be told by its number: in a container NVML lists the host's numbers, or
    nothing. So they are counted. A process that computes on the board holds exactly one context there, so one entry
    more is a stranger, and none at all shows that the list tells nothing. Graphics processes that were there when the
    meter was opened are the desktop: with them the board is not ours alone, but a window is void only for what computes
    or for what comes later.

    Args:
        library: From ``load_library``.
        board: Which board.
        computes_here: Whether this process has a CUDA context on the board.
    """

    def __init__(self, library: NvmlLibrary, board: Board, *, computes_here: bool) -> None:
        self._library = library
        self._board = board
        self._own = 1 if computes_here else 0
        self._desktop = self._processes("Graphics") or frozenset()
        self.start()

    def start(self) -> None:
        """Begins a measurement, forgetting the one before."""
        self._reasons = self._all_reasons = 0
        self._violations_ns: dict[str, int | None] = dict.fromkeys(_VIOLATIONS)
        self._all_violations_ns: dict[str, int | None] = dict.fromkeys(_VIOLATIONS)
        self._looks: set[Exclusivity] = set()
        self._has_stranger = self._look()

    def begin_window(self) -> None:
        """Begins a window."""
        self._reasons = 0
        self._violations_ns = {name: self._violation_ns(name) for name in _VIOLATIONS}
        self.tick()

    def tick(self) -> None:
        """To be called again and again within a window: reads why the clocks are as they are."""
        self._reasons |= int(self._library.first_of(_REASONS, self._board.handle) or 0)

    def end_window(self) -> tuple[str | None, tuple[str, ...]]:
        """Ends a window.

        Returns:
            Why it is void, or None, and the flags it gets.
        """
        self.tick()
        grown_ns = {
            name: max(0, after - before)
            for name, before in self._violations_ns.items()
            if before is not None and (after := self._violation_ns(name)) is not None
        }
        had_stranger, self._has_stranger = self._has_stranger, self._look()
        self._all_reasons |= self._reasons
        for name, growth_ns in grown_ns.items():
            self._all_violations_ns[name] = (self._all_violations_ns[name] or 0) + growth_ns
        # a reason may come and go between two looks; the driver's counters keep it
        flags = ("power_capped",) if self._reasons & _POWER_CAPPED or grown_ns.get("power") else ()
        if self._reasons & _THROTTLED or grown_ns.get("thermal"):
            return VOID_THROTTLED, flags
        return (VOID_FOREIGN if had_stranger or self._has_stranger else None), flags

    @property
    def exclusive(self) -> Exclusivity:
        """Whether the board was ours alone at every look since the start."""
        return worst(self._looks)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures should know."""
        count = len(self._desktop)
        return (f"the board also serves a desktop (graphics processes: {count})",) if count else ()

    def summary(self) -> dict[str, Any]:
        """Union of all throttle reasons, and milliseconds of each violation, as JSON."""
        return {
            "throttle_reasons": self._all_reasons,
            "violation_ms": {
                name: None if value_ns is None else value_ns / 1e6 for name, value_ns in self._all_violations_ns.items()
            },
        }

    def _look(self) -> bool:
        """Looks at the processes; true if there is one that voids."""
        compute, graphics = self._processes("Compute"), self._processes("Graphics")
        present = (compute or frozenset()) | (graphics or frozenset())
        computing = (compute or frozenset()) - self._desktop
        newly_drawing = (graphics or frozenset()) - self._desktop - computing
        has_stranger = len(computing) > self._own or bool(newly_drawing)
        is_blind = compute is None or graphics is None or not computing
        self._looks.add("no" if has_stranger or present & self._desktop else "unknown" if is_blind else "yes")
        return has_stranger

    def _processes(self, kind: str) -> frozenset[int] | None:
        names = [f"nvmlDeviceGet{kind}RunningProcesses{version}" for version in ("", "_v3", "_v2")]
        listed = self._library.first_of(names, self._board.handle)
        return None if listed is None else frozenset(int(process.pid) for process in listed)

    def _violation_ns(self, name: str) -> int | None:
        field_id, policy = _VIOLATIONS[name]
        try:
            return self._library.field(self._board.handle, field_id, 0, "ullVal")
        except self._library.errors:
            status = self._library.optional("nvmlDeviceGetViolationStatus", self._board.handle, policy)
            return None if status is None else int(status.violationTime)
