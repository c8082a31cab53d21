"""NVIDIA's management library: loading it, calling it, and sorting its errors. The only importer of ``pynvml``.

Written to NVIDIA's NVML API reference. What a board can do is found by calling, never by its name or generation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from osanas.errors import EnvironmentFailure, Unavailable
from osanas.machine.clock import Clock, SystemClock

POLL_S = 0.002

_BUSY = ("NVML_ERROR_UNKNOWN", "NVML_ERROR_TIMEOUT", "NVML_ERROR_IN_USE")
"""Errors that any call may give once."""

_TRANSIENT = (*_BUSY, "NVML_ERROR_NOT_SUPPORTED")
"""Errors that a call which has worked before may give once."""

_GONE = ("NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_RESET_REQUIRED")
"""Errors after which a board answers nothing more."""

_RETRIES = 3

NO_LIBRARY_FIX = "Install the NVIDIA driver (it holds libnvidia-ml.so.1), or use --energy estimated."


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

    def first_of(self, names: Sequence[str], *arguments: object) -> Any | None:
        """The answer of the first function that this driver knows; None if it knows none."""
        return next((value for name in names if (value := self.optional(name, *arguments)) is not None), None)

    def attempt(self, read: Callable[[], int]) -> int:
        """A reading that may not be supported, tried again after errors that say nothing about that.

        Raises:
            EnvironmentFailure: The board is lost.
            Exception: One of ``errors``.
        """
        return self._retried(read, _BUSY)

    def must(self, read: Callable[[], int]) -> int:
        """A reading that has worked before, tried again after errors that pass.

        Raises:
            EnvironmentFailure: It keeps failing, or the board is lost.
        """
        try:
            return self._retried(read, _TRANSIENT)
        except self.errors as error:
            raise lost(str(error)) from error

    def _retried(self, read: Callable[[], int], passing: Sequence[str]) -> int:
        for _ in range(_RETRIES):
            try:
                return read()
            except self.errors as error:
                if self._is(error, _GONE):
                    raise lost(str(error)) from error
                if not self._is(error, passing):
                    raise
                self._clock.sleep(POLL_S * 5)
        return read()

    def field(self, handle: object, field_id: int, scope: int, member: str) -> int:
        """A field value. Its own return code is checked, which pynvml leaves to the caller.

        Args:
            handle: Of the board.
            field_id: ``NVML_FI_...`` in nvml.h.
            scope: ``NVML_POWER_SCOPE_...`` for a power field, otherwise 0.
            member: Of ``nvmlValue_t``: ``uiVal`` for 32 bits, ``ullVal`` for 64.
        """
        found = self.call("nvmlDeviceGetFieldValues", handle, [(field_id, scope)])[0]
        if found.nvmlReturn != self._module.NVML_SUCCESS:
            raise self._module.NVMLError(found.nvmlReturn)
        return int(getattr(found.value, member))

    def is_transient(self, error: Exception) -> bool:
        """Whether an error of a call that has worked before may pass."""
        return self._is(error, _TRANSIENT)

    def _is(self, error: Exception, names: Sequence[str]) -> bool:
        code = getattr(error, "value", None)
        return code is not None and code in {getattr(self._module, name, None) for name in names}


def lost(what: str) -> EnvironmentFailure:
    """The failure to raise when a board that could be read no longer can."""
    return EnvironmentFailure(
        f"NVML can no longer be read: {what}.",
        "Check the board with nvidia-smi and run the same command again to resume.",
    )


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
        return Unavailable(f"NVML cannot be initialised ({error})", NO_LIBRARY_FIX)
    return library


def text(value: object) -> str | None:
    """A string of NVML, or None where there is none; versions differ in whether it comes as bytes."""
    return value.decode() if isinstance(value, bytes) else None if value is None else str(value)


def driver_version(library: NvmlLibrary) -> str | None:
    """Version of the NVIDIA driver."""
    return text(library.optional("nvmlSystemGetDriverVersion"))


def installed_driver() -> str | None:
    """Version of this machine's NVIDIA driver, or None."""
    library = load_library(SystemClock())
    if isinstance(library, Unavailable):
        return None
    version = driver_version(library)
    library.optional("nvmlShutdown")
    return version
