"""Finding a board, other drivers, and what ``osanas doctor`` tells, through the real pynvml on simulated boards."""

from __future__ import annotations

from typing import Any

import pytest

from tests.measure.fake_nvml.build import build, compiler, run_scenarios

NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, LOST = 3, 4, 9, 15
OURS = {"compute_pid0": 4242}
COUNTER = "nvmlDeviceGetTotalEnergyConsumption"
UUIDS = [f"GPU-0000000{index}-aaaa-bbbb-cccc-00000000000{index}" for index in (0, 1)]


def _two(selector: str | None) -> dict[str, Any]:
    return {"board": {"boards": 2, **OURS}, "selector": selector, "computing_uuid": UUIDS[1]}


FOUND: dict[str, tuple[dict[str, Any], int | str]] = {
    "index": (_two("1"), 1),
    "uuid": (_two(UUIDS[1]), 1),
    "start of uuid": (_two("gpu-00000001"), 1),
    "one that does not compute": (_two("0"), 0),
    "unknown": (_two("7"), "no board matches '7'"),
    "ambiguous": (_two("GPU-0000000"), "more than one board matches 'GPU-0000000'"),
    "mig instance": (_two("MIG-1234"), "a MIG instance has no power figures of its own"),
    "none named": (_two(None), "no board is named"),
    "the only one": ({"selector": None, "computing_uuid": None}, "no board is named"),
    "split by mig": ({"board": {"mig": 1.0}, "selector": "0"}, "the board is split by MIG"),
    "no driver": (
        {"faults": [{"name": "nvmlInitWithFlags", "code": DRIVER_NOT_LOADED}]},
        "NVML cannot be initialised (Driver Not Loaded)",
    ),
    "no handle": (
        {"faults": [{"name": "nvmlDeviceGetHandleByIndex_v2", "code": NO_PERMISSION}]},
        "NVML lists no board that can be read",
    ),
}

INVENTORIES: dict[str, dict[str, Any]] = {
    "two": {"board": {"boards": 2}, "cuda_uuids": [UUIDS[1]]},
    "no cuda": {"board": {"boards": 2}},
    "split": {"board": {"mig": 1.0}, "cuda_uuids": ["GPU-of-an-instance"]},
    "lost": {"faults": [{"name": COUNTER, "code": LOST}]},
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
    for name in ("unknown", "ambiguous", "none named"):
        assert f"Boards found: 0: Simulated Board ({UUIDS[0]}), 1: " in outcomes[name]["fix"]
    assert outcomes["the only one"]["fix"] == (
        f"Use --energy nvml:INDEX. Boards found: 0: Simulated Board ({UUIDS[0]})."
    )
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
    board = found["boards"][0]
    assert (board["energy"], board["check"], board["power_limit_w"]) == ("counter", "instant_power", 300.0)
    assert board["update_period_s"] == pytest.approx(0.1, rel=0.1)
    for name in ("no cuda", "split"):
        assert {board["visible"] for board in outcomes[f"inventory {name}"]["inventory"]["boards"]} == {None}


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
