"""Energy as the sum of power readings, each held until the next."""

from __future__ import annotations

from dataclasses import dataclass

from osanas.machine.nvml import NvmlLibrary, lost
from osanas.measure.energy.nvml_boards import Sensor

_MAX_FAILED_READS = 0.05


@dataclass
class HeldPower:
    """Energy from power readings, each held until the next.

    It looks twice in an update period: more often only takes time from the load.
    """

    library: NvmlLibrary
    sensor: Sensor
    at: float
    """Seconds until when energy is added up."""
    reads: int = 0
    failed: int = 0
    _joules: float = 0.0
    _held_mw: int | None = None
    _unheld_s: float = 0.0
    _looked_at: float | None = None

    def __post_init__(self) -> None:
        self.sample(self.at)

    def sample(self, now: float) -> bool:
        """Reads the sensor if it is time; false if it is not. A failed reading leaves the one before in force."""
        if self._looked_at is not None and now - self._looked_at < self.sensor.update_period_s / 2:
            return False
        self._add_until(now)
        self._looked_at = now
        self.reads += 1
        power_mw = self._read_or_none()
        if power_mw is None:
            self.failed += 1
        else:
            if self._held_mw is None:
                self._joules = power_mw / 1e3 * self._unheld_s
            self._held_mw = power_mw
        return True

    def joules_until(self, now: float) -> float | None:
        """The energy; None if too many readings failed."""
        self._add_until(now)
        return None if self._held_mw is None or self.failed > _MAX_FAILED_READS * self.reads else self._joules

    def _add_until(self, now: float) -> None:
        if self._held_mw is None:
            self._unheld_s += now - self.at
        else:
            self._joules += self._held_mw / 1e3 * (now - self.at)
        self.at = now

    def _read_or_none(self) -> int | None:
        """None for the 0 or NOT_SUPPORTED that drivers give now and then.

        Raises:
            EnvironmentFailure: For any other error.
        """
        try:
            return self.sensor.read() or None
        except self.library.errors as error:
            if self.library.is_transient(error):
                return None
            raise lost(str(error)) from error
