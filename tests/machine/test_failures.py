from __future__ import annotations

import pytest
import torch

from osanas.errors import CandidateError, EnvironmentFailure
from osanas.machine.failures import device_errors, failure_kind, reason

CUDA = torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nmore"), "CUDA out of memory. Tried to"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "[enforce fail] DefaultCPUAlloc"),
        (MemoryError(), "MemoryError"),
        (RuntimeError("CUDA driver error: out of memory"), "CUDA driver error: out of memory"),
        (RuntimeError("Triton Error [CUDA]: out of memory"), "Triton Error [CUDA]: out of memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), "cuDNN error: CUDNN_STAT"),
        (RuntimeError("CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"), "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALL"),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "CUBLAS_STATUS_ALLOC_FAILED"),
        (RuntimeError("NVML_SUCCESS == r INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp"), "NVML_SUCCESS == r INT"),
    ],
)
def test_memory_that_runs_out_is_the_networks_failure(error: Exception, told: str) -> None:
    with pytest.raises(CandidateError) as failure, device_errors(CUDA, "measurement"):
        raise error
    assert failure.value.kind == "out_of_memory"
    assert failure.value.problem.startswith(f"Memory ran out on cuda:0 during measurement: {told}")
    assert "\n" not in failure.value.problem


def test_memory_that_others_hold_is_the_environments_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that a candidate is not failed for good because another process took the memory."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 << 30, 80 << 30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 7 << 30)
    with pytest.raises(EnvironmentFailure) as failure, device_errors(CUDA, "training"):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    assert "on cuda:0 during training while others held 70.0 GiB" in failure.value.problem
    assert "nvidia-smi" in failure.value.fix
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 77 << 30)
    with pytest.raises(CandidateError), device_errors(CUDA, "training"):
        raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("CUDA error: an illegal memory access was encountered\nmore", "CUDA error: an illegal memory access was enc"),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED."),
    ],
)
def test_a_device_that_fails_is_no_failure_of_the_network(error: str, told: str) -> None:
    with pytest.raises(EnvironmentFailure) as failure, device_errors(CUDA, "training"):
        raise RuntimeError(error)
    assert failure.value.problem.startswith(f"The device cuda:0 failed during training: {told}")
    assert "\n" not in failure.value.problem
    assert "nvidia-smi" in failure.value.fix


def test_a_mistake_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="something of ours"), device_errors(CUDA, "training"):
        raise RuntimeError("something of ours")


def test_a_broken_capture_is_no_failure_of_the_device() -> None:
    assert failure_kind(RuntimeError("CUDA error: operation not permitted when stream is capturing")) is None
    assert failure_kind(RuntimeError("CUDA out of memory while capturing")) == "out_of_memory"


def test_a_reason_is_one_plain_line_from_the_root() -> None:
    outer = RuntimeError("outer")
    outer.__cause__ = ValueError("\x1b[96mroot\x1b[0m cause.\nmore")
    assert reason(outer) == "root cause"
    assert reason(RuntimeError("backend='inductor' raised:\nCppCompileError: exit 1")) == "CppCompileError: exit 1"
    assert reason(KeyError()) == "KeyError"
