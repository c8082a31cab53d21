from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from osanas.arch import VARIANTS
from osanas.cli import reports
from osanas.measure.protocol import MeasurementProtocol
from tests.cli.conftest import Command, Searched

MODEL_KEYS = [
    "model", "digest", "parameters", "multiply_adds", "memory_access_elements", "memory_access_bound",
    "peak_memory_bytes", "latency_ms", "latency_interval_ms", "images_per_second", "multiply_adds_per_second",
    "energy_mj", "energy_source", "energy_method", "power_w", "idle_power_w", "flags", "notes",
]  # fmt: skip
HERE = ("--device", "cpu", "--threads", "1", "--resolution", "32", "--classes", "10")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements of a search's length; what they show is not tested here."""
    monkeypatch.setattr("osanas.measure.protocol.MeasurementProtocol", MeasurementProtocol.for_search)


def test_every_kind_of_network(osanas: Command, folder: Path, searched: Searched) -> None:
    searched.copy_to(folder)
    trial = osanas("show", "tiny-digits", "0", "--json")
    (folder / "whole.json").write_text(trial.out, encoding="utf-8")
    (folder / "net.json").write_text(json.dumps(trial.document["architecture"]), encoding="utf-8")
    models = ("tiny-digits:0", "net.json", "whole.json", "vovnet27_slim", "squeezenet1_1")
    result = osanas("profile", *models, *HERE, "--energy", "estimated", "--json")
    assert result.code == 0
    assert result.err.splitlines() == [f"measuring {model}" for model in models]
    document = result.document
    assert list(document) == ["device", "measurement_key", "models"]
    assert [row["model"] for row in document["models"]] == list(models)
    for row in document["models"]:
        assert list(row) == MODEL_KEYS
        low, high = row["latency_interval_ms"]
        assert low <= row["latency_ms"] <= high
        assert row["images_per_second"] == pytest.approx(1e3 / row["latency_ms"])
        assert row["multiply_adds_per_second"] == pytest.approx(row["multiply_adds"] * 1e3 / row["latency_ms"])
        assert row["energy_source"] == "estimated"
        assert row["energy_mj"] > 0
    digests = [row["digest"] for row in document["models"]]
    assert digests[:3] == [trial.document["digest"]] * 3
    assert digests[3:] == [VARIANTS["vovnet27_slim"].digest, None]
    assert len({row["parameters"] for row in document["models"][:3]}) == 1


def test_table_without_energy(osanas: Command) -> None:
    result = osanas("profile", "vovnet19_slim_v2", *HERE, "--energy", "none", "--batch-size", "2")
    assert result.code == 0
    lines = result.out.splitlines()
    assert re.search(r", fp32, eager, batch 2, 32 pixels$", lines[0])
    row = next(line for line in lines if line.startswith("vovnet19_slim_v2")).split()
    assert row[-2:] == ["-", "-"]
    assert "energy is not measured (--energy none)" in lines


def test_network_that_does_not_run(osanas: Command) -> None:
    result = osanas("profile", "alexnet", *HERE, "--energy", "none")
    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err


def test_remarks_are_said_once() -> None:
    rows = [
        {"model": "a", "notes": ["for all", "for a"], "flags": ["contended"]},
        {"model": "b", "notes": ["for all"], "flags": ["contended", "noisy"]},
    ]
    assert reports._remarks(rows) == [
        "for all",
        "a: for a",
        f"contended: {reports.FLAGS['contended']}",
        f"b: noisy: {reports.FLAGS['noisy']}",
    ]
