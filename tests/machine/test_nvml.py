"""Finding a board, other drivers, and what ``osanas doctor`` tells, through the real pynvml on simulated boards."""

from __future__ import annotations

from typing import Any

import pytest

from osanas.errors import Unavailable
from osanas.machine.nvml import NvmlLibrary, load_library
from tests.measure.fake_nvml.build import build, compiler, run_scenarios
from tests.measure.simulation import FakeNvml, FakeNvmlError, SimulatedClock

NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, LOST = 3, 4, 9, 15
OURS = {"compute_pid0": 4242}
COUNTER = "nvmlDeviceGetTotalEnergyConsumption"
UUIDS = [f"GPU-0000000{index}-aaaa-bbbb-cccc-00000000000{index}" for index in (0, 1)]


def _two(selector: str | None, environment: dict[str, str], **board: float) -> dict[str, Any]:
    return {
        "board": {"boards": 2, **OURS, **board},
        "selector": selector,
        "environment": environment,
        "computing_uuid": UUIDS[1],
    }


def _visible(value: str, *, differ: bool = False, order: str | None = None) -> dict[str, Any]:
    environment = {"CUDA_VISIBLE_DEVICES": value, **({} if order is None else {"CUDA_DEVICE_ORDER": order})}
    return _two(None, environment, different_models=float(differ))


FOUND: dict[str, tuple[dict[str, Any], int | str]] = {
    "index": (_two("1", {}), 1),
    "uuid": (_two(UUIDS[1], {}), 1),
    "start of uuid": (_two("gpu-00000001", {}), 1),
    "unknown": (_two("7", {}), "no board matches '7'"),
    "ambiguous": (_two("GPU-0000000", {}), "more than one board matches 'GPU-0000000'"),
    "mig instance": (_two("MIG-1234", {}), "a MIG instance has no power figures of its own"),
    "none named": (_two(None, {}), "2 boards are there and none is named"),
    "visible index": (_visible("1"), 1),
    "visible, cut": (_visible("1,-1"), 1),
    "visible uuid": (_visible("GPU-00000001"), 1),
    "visible, all": (_visible("1,0"), "2 boards are there and none is named"),
    "visible, none": (_visible(""), "no board is named and CUDA_VISIBLE_DEVICES='' hides all boards"),
    "visible, twice": (_visible("1,1"), "no board is named and CUDA_VISIBLE_DEVICES='1,1' names a device twice"),
    "visible mig": (_visible("MIG-GPU-00000001/0/0"), "a MIG instance has no power figures of its own"),
    "unknown order": (_visible("1", differ=True), "no board is named and CUDA_VISIBLE_DEVICES='1' counts in CUDA's"),
    "known order": (_visible("1", differ=True, order="PCI_BUS_ID"), 1),
    "named although hidden": (_two("0", {"CUDA_VISIBLE_DEVICES": ""}), 0),
    "split by mig": ({"board": {"mig": 1.0}}, "the board is split by MIG"),
    "no driver": (
        {"faults": [{"name": "nvmlInitWithFlags", "code": DRIVER_NOT_LOADED}]},
        "NVML cannot be initialised (Driver Not Loaded)",
    ),
    "no handle": (
        {"faults": [{"name": "nvmlDeviceGetHandleByIndex_v2", "code": NO_PERMISSION}]},
        "NVML lists no board that may be asked",
    ),
}

INVENTORIES: dict[str, dict[str, Any]] = {
    "two": {"board": {"boards": 2}, "environment": {"CUDA_VISIBLE_DEVICES": "1"}},
    "unknown order": {
        "board": {"boards": 2, "different_models": 1.0},
        "environment": {"CUDA_VISIBLE_DEVICES": "1"},
    },
    "lost": {"faults": [{"name": COUNTER, "code": LOST}]},
    "split": {"board": {"mig": 1.0}},
    "no driver": {"faults": [{"name": "nvmlInitWithFlags", "code": DRIVER_NOT_LOADED}]},
}

OLD: dict[str, dict[str, Any]] = {
    "counter": {"board": OURS},
    "power": {"board": OURS, "faults": [{"name": COUNTER, "code": NOT_SUPPORTED}]},
    "throttled": {"board": OURS, "then": [(5.03, "reasons", 0x40), (5.04, "reasons", 0.0)]},
    "nothing": {
        "faults": [{"name": name, "code": NOT_SUPPORTED} for name in (COUNTER, "nvmlDeviceGetPowerUsage")],
    },
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if compiler() is None:
        pytest.skip("needs Linux and a C compiler to build the simulated NVML")
    folder = tmp_path_factory.mktemp("nvml")
    scenarios = {name: scenario for name, (scenario, _) in FOUND.items()}
    inventories = {f"inventory {name}": {**scenario, "inventory": True} for name, scenario in INVENTORIES.items()}
    new = run_scenarios(build(folder), {**scenarios, **inventories})["results"]
    old = run_scenarios(build(folder, "OLD_DRIVER"), OLD)["results"]
    return {**new, **{f"old {name}": found for name, found in old.items()}}


@pytest.mark.parametrize(("name", "expected"), [(name, expected) for name, (_, expected) in FOUND.items()])
def test_the_board_that_is_meant_is_found_or_refused(outcomes: dict[str, Any], name: str, expected: int | str) -> None:
    found = outcomes[name]
    if isinstance(expected, int):
        assert found["meter"]["uuid"] == UUIDS[expected]
        # torch computes on the second board: only there is the one process in the list ours
        assert found["reading"]["exclusive"] == ("yes" if expected == 1 else "no")
    else:
        assert found["unavailable"].startswith(expected)
        assert found["fix"]


def test_a_refusal_lists_the_boards(outcomes: dict[str, Any]) -> None:
    for name in ("unknown", "none named", "visible, none", "unknown order"):
        assert f"Boards found: 0: Simulated Board ({UUIDS[0]}), 1: " in outcomes[name]["fix"]
    assert "Install the NVIDIA driver" in outcomes["no driver"]["fix"]


def test_the_meter_tells_itself_apart(outcomes: dict[str, Any]) -> None:
    assert outcomes["index"]["meter"] == {
        "source": "nvml",
        "method": "counter",
        "scope": "board",
        "board": "Simulated Board",
        "uuid": UUIDS[1],
        "driver": "580.65.06",
    }


def test_the_inventory_lists_boards_and_which_are_visible(outcomes: dict[str, Any]) -> None:
    found = outcomes["inventory two"]["inventory"]
    assert found["available"]
    assert found["driver"] == "580.65.06"
    assert [board["visible"] for board in found["boards"]] == [False, True]
    assert found["visible_note"] is None
    board = found["boards"][0]
    assert (board["energy"], board["check"], board["power_limit_w"]) == ("counter", "instant_power", 300.0)
    assert board["update_period_s"] == pytest.approx(0.1, rel=0.1)
    unknown = outcomes["inventory unknown order"]["inventory"]
    assert [board["visible"] for board in unknown["boards"]] == [None, None]
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in unknown["visible_note"]


@pytest.mark.parametrize(("name", "reason"), [("lost", "GPU is lost"), ("split", "MIG")])
def test_the_inventory_gives_a_reason_for_a_board_without_energy(
    outcomes: dict[str, Any], name: str, reason: str
) -> None:
    (board,) = outcomes[f"inventory {name}"]["inventory"]["boards"]
    assert board["energy"] is None
    assert reason in board["reason"]
    assert board["fix"]
    absent = outcomes["inventory no driver"]["inventory"]
    assert (absent["available"], absent["boards"]) == (False, [])
    assert absent["reason"].startswith("NVML cannot be initialised")


def test_an_old_driver_still_measures(outcomes: dict[str, Any]) -> None:
    reading = outcomes["old counter"]["reading"]
    assert reading["joules_per_iteration"] == pytest.approx(0.5, rel=0.02)
    assert reading["exclusive"] == "unknown"
    details = reading["details"]
    assert (details["method"], details["check"]) == ("counter", "average_power")
    assert details["start"]["temperature_c"] == 50
    assert details["violation_ms"] == {"power": 0.0, "thermal": 0.0}
    power = outcomes["old power"]["reading"]
    assert power["method"] == "average_power"
    assert power["joules_per_iteration"] == pytest.approx(0.5, rel=0.02)
    assert outcomes["old throttled"]["reading"]["details"]["void_windows"] == {"throttled": 1}
    assert "instant_power: Function Not Found" in outcomes["old nothing"]["unavailable"]


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
