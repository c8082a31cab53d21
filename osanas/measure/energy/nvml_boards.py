"""NVIDIA boards: listing them, finding the one that is meant, and what each can tell of its energy."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from osanas.errors import EnvironmentFailure, Unavailable
from osanas.machine.clock import Clock, now_s
from osanas.machine.nvml import NO_LIBRARY_FIX, POLL_S, NvmlLibrary, driver_version, load_library, text
from osanas.measure.energy.visible import visible_boards

_FIELD_AVERAGE_POWER, _FIELD_INSTANT_POWER = 185, 186  # nvml.h: NVML_FI_DEV_POWER_AVERAGE, _INSTANT; milliwatts
_SCOPES = {0: "gpu", 1: "module"}  # nvml.h: NVML_POWER_SCOPE_GPU, _MODULE

_PROBE_S = 2.0
_CHANGES_FOR_PERIOD = 5

DEFAULT_POWER_PERIOD_S = 0.1
"""Of a power reading that did not change while it was watched."""


@dataclass(frozen=True)
class Board:
    """One board of NVML's list, in the order of PCI addresses, which need not be CUDA's."""

    handle: Any
    index: int
    uuid: str
    name: str


@dataclass(frozen=True)
class Sensor:
    """One way to read a board.

    Attributes:
        method: ``counter``, ``instant_power`` or ``average_power``.
        scope: ``board`` for the counter, otherwise ``gpu`` or ``module``.
        update_period_s: How often its value changes.
        read: Millijoules of the counter, or milliwatts.
    """

    method: str
    scope: str
    update_period_s: float
    read: Callable[[], int]

    @property
    def is_average(self) -> bool:
        """Whether it is a mean over the last second."""
        return self.method == "average_power"


@dataclass(frozen=True)
class Capability:
    """How a board's energy can be had.

    Attributes:
        meter: What is measured with.
        check: A power reading beside the counter that its energy is checked against.
    """

    meter: Sensor
    check: Sensor | None = None


def boards(library: NvmlLibrary) -> list[Board]:
    """All boards that can be asked."""
    found = []
    for index in range(library.optional("nvmlDeviceGetCount") or 0):
        handle = library.optional("nvmlDeviceGetHandleByIndex", index)
        if handle is None:
            continue
        uuid, name = (library.optional(call, handle) for call in ("nvmlDeviceGetUUID", "nvmlDeviceGetName"))
        found.append(Board(handle, index, text(uuid), text(name)))
    return found


def find_board(
    library: NvmlLibrary, selector: str | None, environment: Mapping[str, str] | None = None
) -> Board | Unavailable:
    """The board that a user or a CUDA device names.

    Args:
        library: From ``load_library``.
        selector: NVML's index, a UUID or the unambiguous start of one; None is the only board that CUDA would see.
        environment: Holds ``CUDA_VISIBLE_DEVICES``; None is this process's.
    """
    found = boards(library)
    listing = ", ".join(f"{board.index}: {board.name} ({board.uuid})" for board in found)
    fix = f"Boards found: {listing}." if found else NO_LIBRARY_FIX
    if not found:
        return Unavailable("NVML lists no board that may be asked", fix)
    if selector is None:
        return _only_visible(found, os.environ if environment is None else environment, fix)
    if selector.startswith("MIG-"):
        return _no_mig_power()
    if selector.isdecimal():
        chosen = [board for board in found if board.index == int(selector)]
    else:
        chosen = [board for board in found if board.uuid.lower().startswith(selector.lower())]
    if len(chosen) != 1:
        return Unavailable(f"{'no' if not chosen else 'more than one'} board matches '{selector}'", fix)
    return chosen[0]


def _only_visible(found: list[Board], environment: Mapping[str, str], fix: str) -> Board | Unavailable:
    visible = visible_boards(environment, found)
    if visible.mig:
        return _no_mig_power()
    name_it = f"Use --energy nvml:INDEX. {fix}"
    if visible.indices is None:
        return Unavailable(f"no board is named and {visible.note}", name_it)
    chosen = [board for board in found if board.index in visible.indices]
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        why = visible.note or f"CUDA_VISIBLE_DEVICES='{environment.get('CUDA_VISIBLE_DEVICES')}' hides all boards"
        return Unavailable(f"no board is named and {why}", name_it)
    return Unavailable(f"{len(chosen)} boards are there and none is named", name_it)


def _no_mig_power() -> Unavailable:
    return Unavailable(
        "a MIG instance has no power figures of its own", "Name the whole board, or use --energy estimated."
    )


def probe(library: NvmlLibrary, board: Board, clock: Clock) -> Capability | Unavailable:
    """What the board can do, tried in the order of trust: energy counter, instant power, average power.

    Raises:
        EnvironmentFailure: The board is lost.
    """
    mode = library.optional("nvmlDeviceGetMigMode", board.handle)
    if mode is not None and mode[0]:
        return Unavailable(
            "the board is split by MIG and only the whole board's power can be read",
            "Switch MIG off, or use --energy estimated.",
        )
    reasons: list[str] = []
    counter = _probe_counter(library, board, clock, reasons)
    power = _probe_power(library, board, clock, reasons)
    if counter is not None:
        # a module's power holds the CPU's too, and cannot confirm the board's energy
        return Capability(counter, power if power is not None and power.scope == "gpu" else None)
    if power is not None:
        return Capability(power)
    unique = "; ".join(dict.fromkeys(reasons))
    return Unavailable(f"{board.name} tells neither energy nor power ({unique})", "Use --energy estimated.")


def _probe_counter(library: NvmlLibrary, board: Board, clock: Clock, reasons: list[str]) -> Sensor | None:
    """The counter, if it advances within two seconds."""

    def read() -> int:
        return int(library.call("nvmlDeviceGetTotalEnergyConsumption", board.handle))

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
    candidates = [
        (method, scope, _field_reader(library, board, field_id, scope))
        for method, field_id in (("instant_power", _FIELD_INSTANT_POWER), ("average_power", _FIELD_AVERAGE_POWER))
        for scope in _SCOPES
    ]

    def usage() -> int:
        return int(library.call("nvmlDeviceGetPowerUsage", board.handle))

    # on Ampere and newer (but GA100) this is an average over a second (NVML reference); taken as one everywhere
    for method, scope, read in [*candidates, ("average_power", 0, usage)]:
        try:
            if library.attempt(read) > 0:
                period_s = _update_period(library, read, clock) or DEFAULT_POWER_PERIOD_S
                return Sensor(method, _SCOPES[scope], period_s, read)
            reasons.append(f"{method}: reads 0 W")
        except library.errors as error:
            reasons.append(f"{method}: {error}")
    return None


def _field_reader(library: NvmlLibrary, board: Board, field_id: int, scope: int) -> Callable[[], int]:
    return lambda: library.field_mw(board.handle, field_id, scope)


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
    clock: Clock, module: Any | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What was found, for ``osanas doctor``; each board is asked for its energy.

    Args:
        clock: Time.
        module: A stand-in for ``pynvml``.
        environment: Holds ``CUDA_VISIBLE_DEVICES``; None is this process's.

    Returns:
        ``boards`` with ``visible`` (to CUDA; None where that cannot be told), ``energy`` (a method, or None with
        ``reason`` and ``fix``), ``check`` and ``update_period_s``; ``visible_note`` on what is odd in the environment.
    """
    library = load_library(clock, module)
    if isinstance(library, Unavailable):
        return {
            "available": False,
            "driver": None,
            "boards": [],
            "visible_note": None,
            "reason": library.reason,
            "fix": library.fix,
        }
    found = boards(library)
    visible = visible_boards(os.environ if environment is None else environment, found)
    entries = [{**_entry(library, board, clock), "visible": visible.shows(board.index)} for board in found]
    reason, fix = (None, None) if entries else ("NVML lists no board that may be asked", NO_LIBRARY_FIX)
    driver = driver_version(library)
    library.optional("nvmlShutdown")
    return {
        "available": bool(entries),
        "driver": driver,
        "boards": entries,
        "visible_note": visible.note,
        "reason": reason,
        "fix": fix,
    }


def _entry(library: NvmlLibrary, board: Board, clock: Clock) -> dict[str, Any]:
    try:
        found = probe(library, board, clock)
    except EnvironmentFailure as failure:
        found = Unavailable(failure.problem.rstrip("."), failure.fix)
    limit_mw = library.optional("nvmlDeviceGetEnforcedPowerLimit", board.handle)
    entry: dict[str, Any] = {
        "index": board.index,
        "name": board.name,
        "uuid": board.uuid,
        "power_limit_w": None if limit_mw is None else limit_mw / 1e3,
    }
    if isinstance(found, Unavailable):
        nothing = {"energy": None, "check": None, "update_period_s": None}
        return {**entry, **nothing, "reason": found.reason, "fix": found.fix}
    return {
        **entry,
        "energy": found.meter.method,
        "check": None if found.check is None else found.check.method,
        "update_period_s": found.meter.update_period_s,
        "reason": None,
        "fix": None,
    }
