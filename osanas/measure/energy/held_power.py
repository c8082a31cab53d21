"""Energy as the sum of power readings, each held until the next."""

from __future__ import annotations

from itertools import pairwise

from osanas.machine.nvml import NvmlLibrary, lost
from osanas.measure.energy.nvml_boards import Sensor

_MAX_FAILED_READS = 0.05


class HeldPower:
    """Energy from power readings, each held until the next; the first one holds for what was before it too.

    It looks twice in an update period: more often only takes time from the load.

    Args:
        library: Whose errors the sensor raises.
        sensor: Of power.
        start_s: From when on energy is added up, in seconds.
    """

    def __init__(self, library: NvmlLibrary, sensor: Sensor, start_s: float) -> None:
        self.reads = self.failed = 0
        self._library = library
        self._sensor = sensor
        self._start_s = self._looked_at_s = start_s
        self._readings: list[tuple[float, int]] = []  # seconds, milliwatts
        self.sample(start_s)

    def sample(self, now_s: float) -> bool:
        """Reads the sensor if it is time; false if it is not. A failed reading leaves the one before in force.

        Drivers give 0 or NOT_SUPPORTED now and then, which is a failed reading.

        Raises:
            EnvironmentFailure: For any other error.
        """
        if self.reads and now_s - self._looked_at_s < self._sensor.update_period_s / 2:
            return False
        self._looked_at_s = now_s
        self.reads += 1
        try:
            power_mw = self._sensor.read()
        except self._library.errors as error:
            if not self._library.is_transient(error):
                raise lost(str(error)) from error
            power_mw = 0
        if power_mw:
            self._readings.append((now_s if self._readings else self._start_s, power_mw))
        else:
            self.failed += 1
        return True

    def joules_until(self, end_s: float) -> float | None:
        """The energy; None if too many readings failed."""
        if not self._readings or self.failed > _MAX_FAILED_READS * self.reads:
            return None
        stretches = pairwise((*self._readings, (end_s, 0)))
        return sum(power_mw / 1e3 * (until_s - since_s) for (since_s, power_mw), (until_s, _) in stretches)
