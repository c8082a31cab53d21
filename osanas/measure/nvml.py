"""Energy of NVIDIA boards by NVML: the only place that talks to the driver's management library.

What a board can do is found by calling, never by its name or generation. Written to NVIDIA's NVML API reference.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from osanas.errors import EnvironmentFailure
from osanas.measure.clock import Clock, now_s
from osanas.measure.meter import Unavailable

_FIELD_AVERAGE_POWER, _FIELD_INSTANT_POWER = 185, 186  # nvml.h: NVML_FI_DEV_POWER_AVERAGE, _INSTANT; milliwatts
_SCOPES = {0: "gpu", 1: "module"}  # nvml.h: NVML_POWER_SCOPE_GPU, _MODULE

_TRANSIENT = ("NVML_ERROR_UNKNOWN", "NVML_ERROR_TIMEOUT", "NVML_ERROR_IN_USE", "NVML_ERROR_NOT_SUPPORTED")
"""Errors that a call which has worked before may give once."""

_RETRIES = 3
POLL_S = 0.002
_PROBE_S = 2.0
_TICKS_FOR_PERIOD = 5
POWER_PERIOD_S = 0.1
"""Of a power reading: a constant load shows no ticks to find it by."""

_NO_LIBRARY_FIX = "Install the NVIDIA driver (it holds libnvidia-ml.so.1), or use --energy estimated."


class NvmlLibrary:
    """The pynvml module with its errors sorted: what may pass, and what means that the board is gone.

    Args:
        module: ``pynvml`` of the package nvidia-ml-py, or a stand-in with its functions.
        clock: Time between retries.
    """

    def __init__(self, module: Any, clock: Clock) -> None:
        self._module = module
        self._clock = clock
        # newer versions raise the second for calls that an older driver does not know; it is no subclass of the first
        mismatch = getattr(module, "NVMLLibraryMismatchError", module.NVMLError)
        self.errors: tuple[type[Exception], ...] = (module.NVMLError, mismatch)

    def call(self, name: str, *arguments: object) -> Any:
        """One call. Raises one of ``errors``, also for a function that this version does not have."""
        function: Callable[..., Any] | None = getattr(self._module, name, None)
        if function is None:
            raise self._module.NVMLError(self._module.NVML_ERROR_FUNCTION_NOT_FOUND)
        return function(*arguments)

    def optional(self, name: str, *arguments: object) -> Any | None:
        """One call whose failure means "unknown"."""
        try:
            return self.call(name, *arguments)
        except self.errors:
            return None

    def must(self, read: Callable[[], int]) -> int:
        """A reading that has worked before, tried again after errors that pass.

        Raises:
            EnvironmentFailure: It keeps failing, or the board is lost.
        """
        for attempt in range(_RETRIES + 1):
            try:
                return read()
            except self.errors as error:
                if attempt == _RETRIES or not self.is_transient(error):
                    raise lost(str(error)) from error
                self._clock.sleep(POLL_S * 5)
        raise AssertionError("the last attempt returns or raises")

    def field_mw(self, handle: object, field_id: int, scope: int) -> int:
        """A power field in milliwatts. The field's own return code is checked, which pynvml leaves to the caller."""
        value = self.call("nvmlDeviceGetFieldValues", handle, [(field_id, scope)])[0]
        if value.nvmlReturn != self._module.NVML_SUCCESS:
            raise self._module.NVMLError(value.nvmlReturn)
        return int(value.value.uiVal)

    def is_transient(self, error: Exception) -> bool:
        """Whether an error may pass."""
        code = getattr(error, "value", None)
        return code is not None and code in {getattr(self._module, name, None) for name in _TRANSIENT}


def lost(what: str) -> EnvironmentFailure:
    """The failure to raise when a board that could be read no longer can."""
    return EnvironmentFailure(
        f"NVML could be read before and cannot be any more: {what}.",
        "Check the board with nvidia-smi and run the same command again to resume.",
    )


@dataclass(frozen=True)
class Board:
    """One board and what it can tell."""

    handle: Any
    index: int
    uuid: str
    name: str


@dataclass(frozen=True)
class Capability:
    """How a board's energy can be had."""

    method: str
    """``counter``, ``instant_power`` or ``average_power``."""
    update_period_s: float
    scope: str
    read: Callable[[], int]
    """Millijoules of the counter, or milliwatts."""


def load_library(clock: Clock, module: Any | None = None) -> NvmlLibrary | Unavailable:
    """NVML, initialised.

    Args:
        clock: Time between retries.
        module: A stand-in for ``pynvml``; None imports it.
    """
    if module is None:
        try:
            import pynvml
        except ImportError:
            return Unavailable("the package nvidia-ml-py is not installed", "Install it with: pip install nvidia-ml-py")
        module = pynvml
    if hasattr(module, "__path__") or not hasattr(module, "nvmlDeviceGetTotalEnergyConsumption"):
        return Unavailable(
            "the package 'pynvml' hides nvidia-ml-py",
            "Run: pip uninstall pynvml, then: pip install --force-reinstall nvidia-ml-py",
        )
    library = NvmlLibrary(module, clock)
    try:
        library.call("nvmlInit")
    except library.errors as error:
        return Unavailable(f"NVML cannot be initialised ({error})", _NO_LIBRARY_FIX)
    return library


def boards(library: NvmlLibrary) -> list[Board]:
    """All boards that can be asked, in NVML's order (by PCI address, which need not be CUDA's)."""
    found = []
    for index in range(library.optional("nvmlDeviceGetCount") or 0):
        handle = library.optional("nvmlDeviceGetHandleByIndex", index)
        if handle is None:
            continue
        uuid, name = (library.optional(call, handle) for call in ("nvmlDeviceGetUUID", "nvmlDeviceGetName"))
        found.append(Board(handle, index, _text(uuid), _text(name)))
    return found


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "unknown")


def find_board(library: NvmlLibrary, selector: str | None) -> Board | Unavailable:
    """The board that a user or a CUDA device names.

    Args:
        library: From ``load_library``.
        selector: NVML's index, a UUID or the unambiguous start of one; None is the only board of a machine.
    """
    found = boards(library)
    listing = ", ".join(f"{board.index}: {board.name} ({board.uuid})" for board in found)
    fix = f"Boards found: {listing}." if found else _NO_LIBRARY_FIX
    if not found:
        return Unavailable("NVML lists no board that may be asked", fix)
    if selector is None:
        if len(found) > 1:
            return Unavailable(f"{len(found)} boards are there and none is named", f"Use --energy nvml:INDEX. {fix}")
        return found[0]
    if selector.startswith("MIG-"):
        return Unavailable(
            "a MIG instance has no power figures of its own", "Name the whole board, or use --energy estimated."
        )
    if selector.isdecimal():
        chosen = [board for board in found if board.index == int(selector)]
    else:
        chosen = [board for board in found if board.uuid.lower().startswith(selector.lower())]
    if len(chosen) != 1:
        return Unavailable(f"{'no' if not chosen else 'more than one'} board matches '{selector}'", fix)
    return chosen[0]


def probe(library: NvmlLibrary, board: Board, clock: Clock) -> Capability | Unavailable:
    """What the board can do, tried in the order of trust: energy counter, instant power, average power."""
    mode = library.optional("nvmlDeviceGetMigMode", board.handle)
    if mode is not None and mode[0]:
        return Unavailable(
            "the board is split by MIG and only the whole board's power can be read",
            "Switch MIG off, or use --energy estimated.",
        )
    reasons = []
    try:
        counter = _probe_counter(library, board, clock)
        if counter is not None:
            return counter
        reasons.append("the energy counter does not advance")
    except library.errors as error:
        reasons.append(f"energy counter: {error}")
    candidates = [
        (method, scope, _power_reader(library, board, field_id, scope))
        for method, field_id in (("instant_power", _FIELD_INSTANT_POWER), ("average_power", _FIELD_AVERAGE_POWER))
        for scope in _SCOPES
    ]
    # on Ampere and newer (but GA100) this is an average over a second (NVML reference); taken as one everywhere
    usage = lambda: int(library.call("nvmlDeviceGetPowerUsage", board.handle))  # noqa: E731
    for method, scope, read in [*candidates, ("average_power", 0, usage)]:
        try:
            if read() > 0:
                return Capability(method, POWER_PERIOD_S, _SCOPES[scope], read)
            reasons.append(f"{method}: reads 0 W")
        except library.errors as error:
            reasons.append(f"{method}: {error}")
    unique = "; ".join(dict.fromkeys(reasons))
    return Unavailable(f"{board.name} tells neither energy nor power ({unique})", "Use --energy estimated.")


def _power_reader(library: NvmlLibrary, board: Board, field_id: int, scope: int) -> Callable[[], int]:
    return lambda: library.field_mw(board.handle, field_id, scope)


def _probe_counter(library: NvmlLibrary, board: Board, clock: Clock) -> Capability | None:
    """The counter with its update period, or None if it does not advance within two seconds."""

    def read() -> int:
        return int(library.call("nvmlDeviceGetTotalEnergyConsumption", board.handle))

    value, end = read(), now_s(clock) + _PROBE_S
    ticks: list[float] = []
    while len(ticks) < _TICKS_FOR_PERIOD and now_s(clock) < end:
        clock.sleep(POLL_S)
        previous, value = value, read()
        if value != previous:
            ticks.append(now_s(clock))
    if not ticks:
        return None
    gaps = [later - earlier for earlier, later in itertools.pairwise(ticks)]
    return Capability("counter", median(gaps) if gaps else _PROBE_S, "board", read)


def driver_version(library: NvmlLibrary) -> str | None:
    """Version of the NVIDIA driver."""
    value = library.optional("nvmlSystemGetDriverVersion")
    return None if value is None else _text(value)


def installed_driver(clock: Clock, module: Any | None = None) -> str | None:
    """Version of this machine's NVIDIA driver, or None."""
    library = load_library(clock, module)
    if isinstance(library, Unavailable):
        return None
    version = driver_version(library)
    library.optional("nvmlShutdown")
    return version


def nvml_inventory(clock: Clock, module: Any | None = None) -> dict[str, Any]:
    """What was found, for ``osanas doctor``; each board is asked for its energy."""
    library = load_library(clock, module)
    if isinstance(library, Unavailable):
        return {"available": False, "driver": None, "boards": [], "reason": library.reason, "fix": library.fix}
    entries = []
    for board in boards(library):
        found = probe(library, board, clock)
        limit_mw = library.optional("nvmlDeviceGetEnforcedPowerLimit", board.handle)
        entry: dict[str, Any] = {
            "index": board.index,
            "name": board.name,
            "uuid": board.uuid,
            "power_limit_w": None if limit_mw is None else limit_mw / 1e3,
        }
        if isinstance(found, Unavailable):
            entries.append({**entry, "energy": None, "update_period_s": None, "reason": found.reason, "fix": found.fix})
        else:
            period_s = found.update_period_s if found.method == "counter" else None
            entries.append({**entry, "energy": found.method, "update_period_s": period_s, "reason": None, "fix": None})
    reason, fix = (None, None) if entries else ("NVML lists no board that may be asked", _NO_LIBRARY_FIX)
    driver = driver_version(library)
    library.optional("nvmlShutdown")
    return {"available": bool(entries), "driver": driver, "boards": entries, "reason": reason, "fix": fix}
