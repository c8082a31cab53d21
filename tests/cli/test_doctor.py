from __future__ import annotations

from pathlib import Path

import pytest

from osanas.profiling.selftest import measuring
from tests.cli.conftest import Command

CHECKS = ["repeatability", "runtimes", "energy", "meter", "memory", "overflow", "training", "files"]
KEYS = ["cpu", "cuda", "nvml", "rapl", "data", "database", "extras"]


def test_document(osanas: Command) -> None:
    result = osanas("doctor", "--json")
    assert (result.code, result.err) == (0, "")
    assert list(result.document) == KEYS
    parts = [result.document[key] for key in ("cuda", "nvml", "rapl", "database")]
    for part in (*parts, *result.document["data"].values()):
        assert part["available"] == (part["reason"] is None)
        assert part["available"] or part["fix"]


def test_every_part_is_told(osanas: Command) -> None:
    result = osanas("doctor")
    assert (result.code, result.err) == (0, "")
    labels = [line.split()[0] for line in result.out.splitlines() if not line.startswith(" ")]
    assert list(dict.fromkeys(labels)) == ["CPU", "GPU", "NVML", "RAPL", "data", "database", "extras"]
    assert "None" not in result.out


def test_missing_data_and_a_bad_database(osanas: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bad.db").write_bytes(b"garbage" * 100)
    options = ("--storage", "sqlite:///bad.db", "--data-dir", "nowhere")
    document = osanas("doctor", "--json", *options).document
    assert document["database"]["available"] is False
    assert document["data"]["fashion_mnist"]["available"] is False
    assert document["data"]["cifar10"]["available"] is False
    out = osanas("doctor", *options).out
    assert "fashion_mnist: no: its files are not here; a search downloads them if it can" in out
    assert "--data-dir" in out
    assert "database   no: The file bad.db is no intact SQLite database" in out


def test_cifar_is_found(osanas: Command, folder: Path) -> None:
    (folder / "data" / "cifar-100-python").mkdir(parents=True)
    found = osanas("doctor", "--json", "--data-dir", "data").document["data"]
    assert (found["cifar10"]["available"], found["cifar100"]["folder"]) == (False, "data/cifar-100-python")
    assert "cifar100: data/cifar-100-python" in osanas("doctor", "--data-dir", "data").out


def test_extras(osanas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"timm", "psycopg", "pandas", "onnx", "onnxscript"}  # no onnxruntime, so the extra onnx is not whole
    monkeypatch.setattr("osanas.cli.doctor.find_spec", lambda module: module if module in known else None)
    assert osanas("doctor", "--json").document["extras"] == {
        "timm": True, "onnx": False, "postgresql": True, "dashboard": False, "pandas": True,
    }  # fmt: skip
    assert osanas("doctor").out.splitlines()[-3:] == [
        "extras     timm, postgresql, pandas",
        "extras     not installed: onnx, dashboard",
        "             Install them with: pip install 'osanas[onnx,dashboard]'",
    ]


def test_a_machine_with_everything(osanas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"available": True, "reason": None, "fix": None}
    board = {"index": 0, "name": "H100", "energy": "counter", "reason": None, "fix": None, "visible": True}
    silent = {
        "index": 1,
        "name": "Old",
        "energy": None,
        "reason": "it has no sensor",
        "fix": "Use --energy estimated.",
        "visible": False,
    }
    untold = {**board, "index": 2, "name": "A100", "visible": None}
    gpu = {"index": 0, "name": "H100", "memory_bytes": 80 * 2**30, "uuid": "GPU-1"}
    cpu = {"model": "CPU", "usable": 4, "logical": 8, "threads": 4, "capability": "AVX512", "torch": "2.9"}
    monkeypatch.setattr(
        "osanas.measure.inventory.inventory",
        lambda: {
            "cpu": cpu,
            "cuda": {**there, "devices": [gpu]},
            "nvml": {**there, "driver": "570.1", "boards": [board, silent, untold]},
            "rapl": {**there, "zones": ["package-0", "dram"]},
        },
    )
    lines = osanas("doctor").out.splitlines()
    assert lines[:7] == [
        "CPU        CPU: 4 of 8 processors usable, threads: 4, AVX512, torch 2.9",
        "GPU        cuda:0 H100, 80.0 GiB, GPU-1",
        "NVML       0 H100, driver 570.1, counter",
        "NVML       1 Old, driver 570.1, no energy: it has no sensor, hidden by CUDA_VISIBLE_DEVICES",
        "             Use --energy estimated.",
        "NVML       2 A100, driver 570.1, counter",
        "RAPL       package-0, dram",
    ]


def test_its_options_are_its_own(osanas: Command) -> None:
    result = osanas("doctor", "--device", "cpu")
    assert result.code == 2
    assert "--device and --energy are of the self-test." in result.err


@pytest.mark.slow
def test_everything_runs_through_the_code_of_a_search(osanas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that all checks come to an end on this machine, and that the exit code says what they found."""
    monkeypatch.setattr(measuring, "REPEATS", 4)
    monkeypatch.setattr(measuring, "_REST_S", 0.0)
    monkeypatch.setattr(measuring, "_BUILDS", 3)
    result = osanas("doctor", "--selftest", "--device", "cpu", "--energy", "estimated", "--json")
    checks = {check["name"]: check for check in result.document["checks"]}
    assert list(checks) == CHECKS
    assert result.code == (1 if any(check["is_sound"] is False for check in checks.values()) else 0)
    for name in ("memory", "overflow", "training", "files"):
        assert checks[name]["is_sound"], checks[name]
    assert checks["runtimes"]["figures"]["eager"]["latency_ms"] > 0
    assert checks["training"]["figures"]["host_ms_per_step"] > 0
    assert checks["files"]["figures"]["images_per_s"] > 0
