from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from osanas.measure.energy.choose import MeterSources
from osanas.measure.inventory import inventory
from tests.measure.simulation import FakeNvml, FakeRapl, SimulatedClock


def _without_nvml(clock: SimulatedClock) -> FakeNvml:
    nvml = FakeNvml(clock)
    nvml.without("nvmlInit", code=12)
    return nvml


def test_it_is_plain_and_gives_a_reason_for_what_is_missing(tmp_path: Path) -> None:
    clock = SimulatedClock()
    found = inventory(sources=MeterSources(clock, _without_nvml(clock), tmp_path))
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {"cpu", "cuda", "nvml", "rapl"}
    for part in ("nvml", "rapl"):
        assert not found[part]["available"]
        assert found[part]["reason"]
        assert found[part]["fix"]
    assert found["cuda"]["available"] or found["cuda"]["reason"]


def test_zones_of_rapl_are_named(tmp_path: Path) -> None:
    clock = SimulatedClock()
    FakeRapl(tmp_path, clock)
    assert inventory(sources=MeterSources(clock, _without_nvml(clock), tmp_path))["rapl"]["zones"] == ["package-0"]


def test_a_board_is_visible_where_torch_lists_its_uuid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock, boards=2)
    properties = SimpleNamespace(
        uuid=nvml.uuids[1].removeprefix("GPU-"), name="Board", total_memory=1, major=9, minor=0
    )
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    boards = inventory(sources=MeterSources(clock, nvml, tmp_path))["nvml"]["boards"]
    assert [(board["energy"], board["visible"]) for board in boards] == [("counter", False), ("counter", True)]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    boards = inventory(sources=MeterSources(clock, nvml, tmp_path))["nvml"]["boards"]
    assert [board["visible"] for board in boards] == [None, None]
