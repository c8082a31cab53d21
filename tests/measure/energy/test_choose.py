from __future__ import annotations

from pathlib import Path

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
    nvml = open_meter("nvml", CPU, sources=MeterSources(clock, FakeNvml(clock)))
    assert isinstance(nvml, EnergyMeter)
    one, two = EstimateMeter("cpu", 1).describe(), EstimateMeter("cpu", 2).describe()
    assert nvml.describe() != one != two


def test_the_meter_is_chosen_apart_from_the_device() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock, boards=2)
    meter = open_meter("nvml:1", CPU, sources=MeterSources(clock, nvml))
    assert isinstance(meter, NvmlMeter)
    assert meter.lock_name == nvml.uuids[1]


def test_without_a_name_the_board_is_the_one_that_cuda_would_see() -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock, boards=2)
    sources = MeterSources(clock, nvml, environment={"CUDA_VISIBLE_DEVICES": "1"})
    assert open_meter("nvml", CPU, sources=sources).describe()["uuid"] == nvml.uuids[1]  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="'nvml' is not available: 2 boards are there and none is named") as failure:
        open_meter("nvml", CPU, sources=MeterSources(clock, nvml, environment={}))
    assert "Use --energy nvml:INDEX" in failure.value.fix
