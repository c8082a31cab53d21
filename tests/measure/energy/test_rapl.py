from __future__ import annotations

from pathlib import Path

import pytest
import torch

from osanas.errors import EnvironmentFailure, Unavailable, UsageError
from osanas.measure.energy.choose import MeterSources, open_meter
from osanas.measure.energy.estimate import EstimateMeter
from osanas.measure.energy.rapl import RaplMeter, RaplZone, find_zones, open_rapl, rapl_inventory
from osanas.measure.protocol import MeasurementProtocol
from tests.measure.simulation import FakeRapl, SimulatedClock

SEARCH = MeasurementProtocol.for_search()
CPU = torch.device("cpu")


def _meter(clock: SimulatedClock, root: Path) -> RaplMeter:
    meter = open_rapl(clock, root)
    assert isinstance(meter, RaplMeter), meter
    return meter


def _forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.read_text

    def read_text(path: Path, encoding: str | None = None, errors: str | None = None) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, encoding, errors)

    monkeypatch.setattr(Path, "read_text", read_text)


@pytest.mark.parametrize("iteration_ms", [0.2, 5.0, 50.0])
@pytest.mark.parametrize("packages", [1, 2])
def test_packages_and_memory_are_added_up_over_a_wrap_around(
    tmp_path: Path, packages: int, iteration_ms: float
) -> None:
    clock = SimulatedClock()
    FakeRapl(tmp_path, clock, packages=packages, dram_w=10.0)  # wraps after 20 J, within the first window
    reading = _meter(clock, tmp_path).measure(clock.load(iteration_ms / 1e3), SEARCH)
    watts = 100.0 + 10.0 * packages
    assert (reading.source, reading.method) == ("rapl", "counter")
    assert reading.joules_per_iteration == pytest.approx(watts * iteration_ms / 1e3, rel=0.02)
    assert reading.power_w == pytest.approx(watts, rel=0.02)
    assert reading.idle_power_w == pytest.approx(30.0 + 10.0 * packages, rel=0.02)
    net = 70.0 * iteration_ms / 1e3  # memory draws the same at idle
    assert reading.net_joules_per_iteration == pytest.approx(net, rel=0.04)
    assert reading.exclusive == "unknown"
    assert reading.notes == ("RAPL counts whatever runs on the processor, other processes too",)
    assert reading.converged


def test_what_is_no_package_or_memory_is_left_out(tmp_path: Path) -> None:
    clock = SimulatedClock()
    tree = FakeRapl(tmp_path, clock, dram_w=5.0)
    tree.zone("intel-rapl:1", "psys", share=2.0)
    tree.zone("intel-rapl-mmio:0", "package-0", share=1.0)
    tree.zone("dtpm", "something", share=1.0)
    (tmp_path / "intel-rapl:0:9").symlink_to(tmp_path / "intel-rapl:0" / "intel-rapl:0:0")
    assert [zone.name for zone in find_zones(tmp_path)] == ["package-0", "package-0/dram"]
    assert _meter(clock, tmp_path).describe() == {
        "source": "rapl",
        "method": "counter",
        "zones": ["package-0", "package-0/dram"],
    }


def test_differences_wrap_around_once() -> None:
    zone = RaplZone(Path(), "package-0", 1000)
    assert zone.difference_uj(200, 700) == 500
    assert zone.difference_uj(900, 100) == 200
    assert zone.difference_uj(5, 5) == 0


def test_a_missing_tree_is_named_with_a_remedy(tmp_path: Path) -> None:
    found = open_rapl(SimulatedClock(), tmp_path / "none")
    assert isinstance(found, Unavailable)
    assert "there is no RAPL zone in" in found.reason
    assert "intel_rapl_msr" in found.fix
    with pytest.raises(UsageError, match="'rapl' is not available: there is no RAPL zone"):
        open_meter("rapl", CPU, sources=MeterSources(SimulatedClock(), powercap_root=tmp_path))


def test_a_counter_that_stands_still_is_unavailable(tmp_path: Path) -> None:
    clock = SimulatedClock()
    FakeRapl(tmp_path, clock).frozen = True
    found = open_rapl(clock, tmp_path)
    assert isinstance(found, Unavailable)
    assert "do not advance" in found.reason


def test_missing_permission_names_its_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimulatedClock()
    FakeRapl(tmp_path, clock)
    _forbid(monkeypatch)
    sources = MeterSources(clock, powercap_root=tmp_path)
    with pytest.raises(UsageError, match="this user may not read it") as failure:
        open_meter("measured", CPU, sources=sources)
    for remedy in ("udev rule", "chmod", "CVE-2020-8694", "--energy estimated"):
        assert remedy in failure.value.fix
    assert failure.value.exit_code == 2
    meter = open_meter("auto", CPU, sources=sources)
    assert isinstance(meter, EstimateMeter)
    assert "energy is estimated, not measured: RAPL is there, but this user may not read it" in meter.notes[0]
    found = rapl_inventory(clock, tmp_path)
    assert not found["available"]
    assert "udev rule" in found["fix"]


def test_permission_lost_in_the_middle_is_the_environments_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimulatedClock()
    FakeRapl(tmp_path, clock)
    meter = _meter(clock, tmp_path)
    _forbid(monkeypatch)
    with pytest.raises(EnvironmentFailure, match="RAPL can no longer be read"):
        meter.measure(clock.load(0.005), SEARCH)


def test_a_counter_that_stops_gives_no_zero(tmp_path: Path) -> None:
    clock = SimulatedClock()
    tree = FakeRapl(tmp_path, clock)
    meter = _meter(clock, tmp_path)
    tree.frozen = True
    with pytest.raises(EnvironmentFailure, match=r"too few usable readings in 4 windows: no_energy \(4\)"):
        meter.measure(clock.load(0.005), SEARCH)


def test_a_counter_that_is_reset_voids_its_window_alone(tmp_path: Path) -> None:
    clock = SimulatedClock()
    tree = FakeRapl(tmp_path, clock)
    meter = _meter(clock, tmp_path)
    tree.reset_at = clock.now_s + 4.5
    reading = meter.measure(clock.load(0.005), SEARCH)
    assert reading.details["void_windows"] == {"implausible_power": 1}
    assert reading.joules_per_iteration == pytest.approx(0.5, rel=0.02)
    assert reading.flags == ()


def test_inventory_lists_zones(tmp_path: Path) -> None:
    clock = SimulatedClock()
    FakeRapl(tmp_path, clock, packages=2)
    assert rapl_inventory(clock, tmp_path) == {
        "available": True,
        "zones": ["package-0", "package-1"],
        "reason": None,
        "fix": None,
    }


def test_rapl_is_the_cpus_own_meter(tmp_path: Path) -> None:
    clock = SimulatedClock()
    FakeRapl(tmp_path, clock)
    for choice in ("auto", "measured", "rapl"):
        meter = open_meter(choice, CPU, sources=MeterSources(clock, powercap_root=tmp_path))
        assert isinstance(meter, RaplMeter)
        assert meter.lock_name == "cpu"
