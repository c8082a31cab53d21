"""Runs scenarios against the fake library through the real pynvml, in a process of its own.

Started as ``python -m tests.measure.fake_nvml.child LIBRARY`` with scenarios as JSON on standard input; what became of
each is printed as JSON. The library is loaded first, so that pynvml's own ``CDLL("libnvidia-ml.so.1")`` finds it by its
soname; nothing of that reaches the process of the tests.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Any

from osanas.errors import OsanasError, Unavailable
from osanas.measure.energy.meter import Load
from osanas.measure.energy.nvml_boards import nvml_inventory
from osanas.measure.energy.nvml_meter import open_nvml
from osanas.measure.protocol import MeasurementProtocol

FOREVER = 1e9


class Fake:
    """The library's scripting functions, and its virtual clock."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        self._library.fake_now_ns.restype = ctypes.c_int64
        self._library.fake_advance.argtypes = [ctypes.c_double]
        self._library.fake_launch.argtypes = [ctypes.c_double]
        self._library.fake_launch.restype = ctypes.c_double
        self._library.fake_set.argtypes = [ctypes.c_char_p, ctypes.c_double]
        self._library.fake_at.argtypes = [ctypes.c_double, ctypes.c_char_p, ctypes.c_double]
        self._library.fake_fault.argtypes = [
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_double,
            ctypes.c_double,
        ]

    def now_ns(self) -> int:
        return int(self._library.fake_now_ns())

    def sleep(self, seconds: float) -> None:
        self._library.fake_advance(seconds)

    def load(self, iteration_ms: float) -> Load:
        def launch(iterations: int) -> Callable[[], None]:
            end_s = self._library.fake_launch(iterations * iteration_ms / 1e3)
            return lambda: self.sleep(end_s - self.now_ns() / 1e9)

        return Load(launch, iteration_ms / 1e3)

    def prepare(self, scenario: dict[str, Any]) -> None:
        self._library.fake_reset()
        for name, value in scenario.get("board", {}).items():
            self._must(self._library.fake_set(name.encode(), value), name)
        self._faults(scenario.get("faults", []))

    def script(self, scenario: dict[str, Any]) -> None:
        """What happens so many seconds after the meter was opened."""
        for delay_s, name, value in scenario.get("then", []):
            self._must(self._library.fake_at(delay_s, name.encode(), value), name)
        self._faults(scenario.get("later_faults", []))

    def _faults(self, faults: list[dict[str, Any]]) -> None:
        for fault in faults:
            code, every = fault["code"], fault.get("every", 1)
            delay_s, seconds = fault.get("delay_s", 0.0), fault.get("seconds", FOREVER)
            self._must(self._library.fake_fault(fault["name"].encode(), code, every, delay_s, seconds), fault["name"])

    @staticmethod
    def _must(code: int, name: str) -> None:
        if code != 0:
            raise ValueError(f"the fake board has no '{name}', or no room for it")


def outcome(fake: Fake, scenario: dict[str, Any]) -> dict[str, Any]:
    fake.prepare(scenario)
    try:
        return _measured(fake, scenario)
    except OsanasError as error:
        return {"error": type(error).__name__, "problem": error.problem, "fix": error.fix}


def _measured(fake: Fake, scenario: dict[str, Any]) -> dict[str, Any]:
    if scenario.get("inventory"):
        return {"inventory": nvml_inventory(fake, cuda_uuids=scenario.get("cuda_uuids"))}
    uuid = scenario.get("computing_uuid", "GPU-00000000-aaaa-bbbb-cccc-000000000000")
    meter = open_nvml(scenario.get("selector", "0"), fake, computing_uuid=uuid)
    if isinstance(meter, Unavailable):
        return {"unavailable": meter.reason, "fix": meter.fix}
    fake.script(scenario)
    search = MeasurementProtocol.for_search()
    protocol = MeasurementProtocol.model_validate({**search.to_dict(), **scenario.get("protocol", {})})
    load = fake.load(scenario.get("iteration_ms", 5.0))
    readings = [dataclasses.asdict(meter.measure(load, protocol)) for _ in range(scenario.get("measurements", 1))]
    return {"reading": readings[-1], "readings": readings, "meter": meter.describe()}


def main() -> None:
    fake = Fake(sys.argv[1])
    scenarios = json.load(sys.stdin)
    results = {name: outcome(fake, scenario) for name, scenario in scenarios.items()}
    json.dump({"results": results, "torch_loaded": "torch" in sys.modules}, sys.stdout)


if __name__ == "__main__":
    main()
