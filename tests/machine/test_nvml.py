from __future__ import annotations

from typing import Any

import pytest

from osanas.errors import Unavailable
from osanas.machine.nvml import NvmlLibrary, load_library
from tests.measure.simulation import FakeNvml, FakeNvmlError, SimulatedClock


def test_the_wrong_package_is_named() -> None:
    wrong: Any = type("Old", (), {"__path__": [], "NVMLError": FakeNvmlError})()
    found = load_library(SimulatedClock(), wrong)
    assert isinstance(found, Unavailable)
    assert "hides nvidia-ml-py" in found.reason
    assert "pip uninstall pynvml" in found.fix


def test_a_call_that_this_version_lacks_is_an_error_like_others() -> None:
    clock = SimulatedClock()
    library = NvmlLibrary(FakeNvml(clock), clock)
    assert library.optional("nvmlDeviceGetSomethingNew", 0) is None
    with pytest.raises(library.errors):
        library.call("nvmlDeviceGetSomethingNew", 0)
    assert library.first_of(("nvmlDeviceGetSomethingNew", "nvmlDeviceGetName"), 0) == "Simulated Board"
