from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from osanas.errors import Unavailable, UsageError
from osanas.measure.energy.choose import MeterSources, open_meter
from osanas.measure.energy.estimate import EstimateMeter
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.energy.nvml_meter import NvmlMeter
from tests.measure.simulation import FakeNvml, SimulatedClock

CPU = torch.device("cpu")


@pytest.mark.parametrize("choice", ["nvlm", "nvml:", "rapl:0", "auto:1", "", "tdp"])
def test_an_unknown_meter_is_a_usage_error(choice: str) -> None:
    with pytest.raises(UsageError, match=f"Unknown energy meter '{choice}'"):
        open_meter(choice, CPU)


def test_did_you_mean() -> None:
    with pytest.raises(UsageError) as failure:
        open_meter("estimate", CPU)
    assert "Did you mean 'estimated'?" in failure.value.fix


def test_none_is_unavailable_with_its_reason() -> None:
    found = open_meter("none", CPU)
    assert isinstance(found, Unavailable)
    assert "--energy none" in found.reason


def test_auto_falls_back_to_an_estimate_and_measured_refuses(tmp_path: Path) -> None:
    sources = MeterSources(SimulatedClock(), powercap_root=tmp_path)
    meter = open_meter("auto", CPU, sources=sources)
    assert isinstance(meter, EstimateMeter)
    assert "not measured" in meter.notes[0]
    with pytest.raises(UsageError, match="'measured' is not available"):
        open_meter("measured", CPU, sources=sources)
    chosen = open_meter("estimated", CPU, sources=sources)
    assert isinstance(chosen, EstimateMeter)
    assert chosen.notes == ()


def test_a_named_board_that_is_absent_is_a_usage_error() -> None:
    clock = SimulatedClock()
    sources = MeterSources(clock, FakeNvml(clock))
    with pytest.raises(UsageError, match="'nvml:3' is not available: no board matches '3'") as failure:
        open_meter("nvml:3", CPU, sources=sources)
    assert "Boards found: 0: Simulated Board" in failure.value.fix


def test_meters_tell_themselves_apart() -> None:
    clock = SimulatedClock()
    nvml = open_meter("nvml:0", CPU, sources=MeterSources(clock, FakeNvml(clock)))
    assert isinstance(nvml, EnergyMeter)
    one, two = EstimateMeter("cpu", 1).describe(), EstimateMeter("cpu", 2).describe()
    assert nvml.describe() != one != two


def test_the_meter_is_chosen_apart_from_the_device() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock, boards=2)
    meter = open_meter("nvml:1", CPU, sources=MeterSources(clock, nvml))
    assert isinstance(meter, NvmlMeter)
    assert meter.lock_name == nvml.uuids[1]


@pytest.mark.parametrize("boards", [1, 2])
def test_where_no_gpu_computes_the_board_must_be_named(boards: int) -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock, boards=boards)
    with pytest.raises(UsageError, match="'nvml' is not available: no board is named") as failure:
        open_meter("nvml", CPU, sources=MeterSources(clock, nvml))
    assert failure.value.fix.startswith("Use --energy nvml:INDEX. Boards found: 0: Simulated Board (")
    assert all(uuid in failure.value.fix for uuid in nvml.uuids)


@pytest.mark.parametrize("choice", ["nvml", "measured", "auto"])
def test_where_a_gpu_computes_its_own_board_is_metered(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock, boards=2)
    properties = SimpleNamespace(uuid=nvml.uuids[1].removeprefix("GPU-"))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    meter = open_meter(choice, torch.device("cuda", 0), sources=MeterSources(clock, nvml))
    assert isinstance(meter, NvmlMeter)
    assert meter.lock_name == nvml.uuids[1]
    properties.uuid = "MIG-1234"
    with pytest.raises(UsageError, match="'nvml' is not available: a MIG instance has no power figures of its own"):
        open_meter("nvml", torch.device("cuda", 0), sources=MeterSources(clock, nvml))
