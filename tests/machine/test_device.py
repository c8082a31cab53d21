from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from osanas.errors import EnvironmentFailure, UsageError
from osanas.machine.device import cpu_model, cuda_missing, identify, resolve_device

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == torch.device("cpu")


@NO_GPU
def test_auto_without_a_gpu_is_the_cpu() -> None:
    assert resolve_device("auto") == torch.device("cpu")


@NO_GPU
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_cuda_without_a_gpu_says_what_is_missing(name: str) -> None:
    with pytest.raises(UsageError, match=f"The device '{name}' is not available: torch") as failure:
        resolve_device(name)
    assert "osanas doctor" in failure.value.fix
    assert failure.value.exit_code == 2


def test_the_reason_names_cuda_visible_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "CUDA_VISIBLE_DEVICES set to '-1'" in str(cuda_missing())
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "built without CUDA" in str(cuda_missing())


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:x", "CPU", "", "mps"])
def test_an_unknown_device_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match=f"Unknown device '{name}'") as failure:
        resolve_device(name)
    assert "auto, cpu, cuda or cuda:N" in failure.value.fix


def test_a_gpu_that_is_listed_but_refuses_memory_is_not_taken_by_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # as with NVML's check and no usable driver
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    def refuse(*_: object, device: torch.device) -> None:
        raise torch.OutOfMemoryError(f"out of memory on {device}.\nMore.")

    monkeypatch.setattr(torch, "ones", refuse)
    assert resolve_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(UsageError, match=r"this process sees 1 GPU\. Use cuda:0; CUDA_VISIBLE"):
        resolve_device("cuda:1")
    with pytest.raises(EnvironmentFailure, match="cannot be used: out of memory on cuda:0"):
        resolve_device("cuda:0")


def test_identity_is_plain_and_separates_the_model_from_versions() -> None:
    identity = identify(torch.device("cpu"))
    assert json.loads(json.dumps(identity.to_dict())) == identity.to_dict()
    assert identity.model_key == {"kind": "cpu", "name": identity.name}
    newer = replace(identity, torch="99.0")
    assert newer.model_key == identity.model_key
    assert newer.measurement_key() != identity.measurement_key()
    assert replace(identity, python="9.9").measurement_key() == identity.measurement_key()
    for name in ("host", "threads", "omp_wait_policy"):
        changed = replace(identity, **{name: 99 if name == "threads" else "other"})  # type: ignore[arg-type]
        assert changed.measurement_key() != identity.measurement_key()
    gpu = replace(identity, kind="cuda", uuid="GPU-1", driver="580", cuda="13.0", cudnn="9")
    assert replace(gpu, host="other").measurement_key() == gpu.measurement_key()
    assert replace(gpu, driver="590").measurement_key() != gpu.measurement_key()


def test_the_processors_name(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Fast CPU 3000\nmodel\t\t: 17\n", encoding="utf-8")
    assert cpu_model(file) == "Fast CPU 3000"
    assert cpu_model(tmp_path / "none") != ""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_is_identified_by_uuid_and_driver() -> None:
    """Proves that torch gives the UUID in NVML's form and that the driver's version is found."""
    identity = identify(resolve_device("cuda"))
    assert identity.uuid is not None
    assert identity.uuid.startswith(("GPU-", "MIG-"))
    assert identity.driver is not None
    assert identity.cudnn is not None
