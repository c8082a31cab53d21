"""NVIDIA boards: listing them, finding the one that is meant, and what each can tell of its energy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

from osanas.errors import EnvironmentFailure, Unavailable
from osanas.machine.clock import Clock, now_s
from osanas.machine.nvml import NO_LIBRARY_FIX, POLL_S, NvmlLibrary, driver_version, load_library, text
from osanas.measure.energy.meter import Load

_FIELD_AVERAGE_POWER, _FIELD_INSTANT_POWER = 185, 186  # nvml.h: NVML_FI_DEV_POWER_AVERAGE, _INSTANT; milliwatts
_SCOPES = {0: "gpu", 1: "module"}  # nvml.h: NVML_POWER_SCOPE_GPU, _MODULE

_PROBE_S = 2.0
_CHANGES_FOR_PERIOD = 5

DEFAULT_POWER_PERIOD_S = 0.1
"""Of a power reading that did not change while it was watched."""

_NO_BOARD = Unavailable("NVML lists no board that can be read", NO_LIBRARY_FIX)


@dataclass(frozen=True)
class Board:
    """One board of NVML's list, in the order of PCI addresses, which need not be CUDA's."""

    handle: Any
    index: int
    uuid: str
    name: str


@dataclass(frozen=True)
class Sensor:
    """One way to read a board."""

    method: str
    """``counter``, ``instant_power`` or ``average_power``, which is a mean over the last second."""
    scope: str
    """``board`` for the counter, otherwise ``gpu`` or ``module``."""
    update_period_s: float
    """How often its value changes."""
    read: Callable[[], int]
    """Millijoules of the counter, otherwise milliwatts."""

    @property
    def memory_s(self) -> float:
        """How long the past shows in its readings: an average's second, and half of one more."""
        return 1.5 if self.method == "average_power" else 0.0

    def follows(self, load: Load) -> bool:
        """Whether looks between chunks see it often enough not to miss parts of an iteration."""
        return load.iteration_seconds <= (1.0 if self.method == "average_power" else self.update_period_s)


def boards(library: NvmlLibrary) -> list[Board]:
    """All boards that can be asked."""
    found = []
    for index in range(library.optional("nvmlDeviceGetCount") or 0):
        handle = library.optional("nvmlDeviceGetHandleByIndex", index)
        if handle is None:
            continue
        uuid, name = (text(library.optional(f"nvmlDeviceGet{what}", handle)) or "unknown" for what in ("UUID", "Name"))
        found.append(Board(handle, index, uuid, name))
    return found


def find_board(library: NvmlLibrary, selector: str | None) -> Board | Unavailable:
    """The board that a user or a CUDA device names.

    Args:
        library: From ``load_library``.
        selector: NVML's index, a UUID or the unambiguous start of one; None names no board, so the user is asked.
    """
    found = boards(library)
    if not found:
        return _NO_BOARD
    listing = "Boards found: " + ", ".join(f"{board.index}: {board.name} ({board.uuid})" for board in found) + "."
    if selector is None:
        return Unavailable("no board is named", f"Use --energy nvml:INDEX. {listing}")
    if selector.startswith("MIG-"):
        return Unavailable(
            "a MIG instance has no power figures of its own", "Switch MIG off, or use --energy estimated."
        )
    if selector.isdecimal():
        chosen = [board for board in found if board.index == int(selector)]
    else:
        chosen = [board for board in found if board.uuid.lower().startswith(selector.lower())]
    if len(chosen) != 1:
        return Unavailable(f"{'no' if not chosen else 'more than one'} board matches '{selector}'", listing)
    return chosen[0]


def _is_split(library: NvmlLibrary, board: Board) -> bool:
    """Whether MIG is on."""
    mode = library.optional("nvmlDeviceGetMigMode", board.handle)
    return mode is not None and bool(mode[0])


def power_limit_w(library: NvmlLibrary, board: Board) -> float | None:
    """The limit that the driver enforces, in watts."""
    value = library.optional("nvmlDeviceGetEnforcedPowerLimit", board.handle)
    return None if value is None else value / 1e3


def probe(library: NvmlLibrary, board: Board, clock: Clock) -> tuple[Sensor, Sensor | None] | Unavailable:
    """What the board can do, tried in the order of trust: energy counter, instant power, average power.

    Returns:
        What is measured with, and a power reading beside the counter that its energy is checked against.

    Raises:
        EnvironmentFailure: The board is lost.
    """
    if _is_split(library, board):
        return Unavailable(
            "the board is split by MIG, and power is only told of whole boards",
            "Switch MIG off, or use --energy estimated.",
        )
    reasons: list[str] = []
    counter = _probe_counter(library, board, clock, reasons)
    power = _probe_power(library, board, clock, reasons)
    if counter is not None:
        # a module's power holds the CPU's too, and cannot confirm the board's energy
        return counter, power if power is not None and power.scope == "gpu" else None
    if power is not None:
        return power, None
    unique = "; ".join(dict.fromkeys(reasons))
    return Unavailable(f"{board.name} gives neither energy nor power ({unique})", "Use --energy estimated.")


def _probe_counter(library: NvmlLibrary, board: Board, clock: Clock, reasons: list[str]) -> Sensor | None:
    """The counter, if it advances within two seconds."""
    read: Callable[[], int] = partial(library.call, "nvmlDeviceGetTotalEnergyConsumption", board.handle)
    try:
        period_s = _update_period(library, read, clock)
    except library.errors as error:
        reasons.append(f"energy counter: {error}")
        return None
    if period_s is None:
        reasons.append("the energy counter does not advance")
        return None
    return Sensor("counter", "board", period_s, read)


def _probe_power(library: NvmlLibrary, board: Board, clock: Clock, reasons: list[str]) -> Sensor | None:
    """The first power reading that works."""
    candidates: list[tuple[str, str, Callable[[], int]]] = [
        (method, name, partial(library.field, board.handle, field_id, scope, "uiVal"))
        for method, field_id in (("instant_power", _FIELD_INSTANT_POWER), ("average_power", _FIELD_AVERAGE_POWER))
        for scope, name in _SCOPES.items()
    ]
    # on Ampere and newer (but GA100) this is an average over a second (NVML reference); taken as one everywhere
    candidates.append(("average_power", "gpu", partial(library.call, "nvmlDeviceGetPowerUsage", board.handle)))
    for method, scope, read in candidates:
        try:
            if library.attempt(read) > 0:
                period_s = _update_period(library, read, clock) or DEFAULT_POWER_PERIOD_S
                return Sensor(method, scope, period_s, read)
            reasons.append(f"{method}: reads 0 W")
        except library.errors as error:
            reasons.append(f"{method}: {error}")
    return None


def _update_period(library: NvmlLibrary, read: Callable[[], int], clock: Clock) -> float | None:
    """Median time between changes of a reading, watched for two seconds or five changes; None if it stood still."""
    value, end = library.attempt(read), now_s(clock) + _PROBE_S
    changes: list[float] = []
    while len(changes) <= _CHANGES_FOR_PERIOD and now_s(clock) < end:
        clock.sleep(POLL_S)
        previous, value = value, library.attempt(read)
        if value != previous:
            changes.append(now_s(clock))
    if not changes:
        return None
    gaps = [later - earlier for earlier, later in itertools.pairwise(changes)]
    return median(gaps) if gaps else _PROBE_S


def nvml_inventory(
    clock: Clock, module: Any | None = None, *, cuda_uuids: Collection[str] | None = None
) -> dict[str, Any]:
    """What was found, for ``osanas doctor``; each board is asked for its energy.

    Args:
        clock: Time.
        module: A stand-in for ``pynvml``.
        cuda_uuids: UUIDs of the devices that CUDA sees; None where there is no CUDA.

    Returns:
        ``boards`` with ``energy`` (a method, or None with ``reason`` and ``fix``), ``check``, ``update_period_s`` and
        ``visible`` (to CUDA; None without CUDA, and for a board of which CUDA sees MIG instances).
    """
    library = load_library(clock, module)
    if isinstance(library, Unavailable):
        return {"available": False, "driver": None, "boards": [], **asdict(library)}
    entries = []
    for board in boards(library):
        visible = None if cuda_uuids is None or _is_split(library, board) else board.uuid in cuda_uuids
        entries.append({**_entry(library, board, clock), "visible": visible})
    driver = driver_version(library)
    library.optional("nvmlShutdown")
    missing = {"reason": None, "fix": None} if entries else asdict(_NO_BOARD)
    return {"available": bool(entries), "driver": driver, "boards": entries, **missing}


def _entry(library: NvmlLibrary, board: Board, clock: Clock) -> dict[str, Any]:
    entry = {
        "index": board.index,
        "name": board.name,
        "uuid": board.uuid,
        "power_limit_w": power_limit_w(library, board),
    }
    try:
        found = probe(library, board, clock)
    except EnvironmentFailure as failure:
        found = Unavailable(failure.problem.rstrip("."), failure.fix)
    if isinstance(found, Unavailable):
        return {**entry, "energy": None, "check": None, "update_period_s": None, **asdict(found)}
    meter, check = found
    return {
        **entry,
        "energy": meter.method,
        "check": check and check.method,
        "update_period_s": meter.update_period_s,
        "reason": None,
        "fix": None,
    }
