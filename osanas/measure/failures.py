"""Whose fault an error of torch's is: the network's, which is too large, or the device's, which failed."""

from __future__ import annotations

from typing import Literal

import torch

_OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "CUDA out of memory",
    "can't allocate memory",
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
_DEVICE = (
    "CUDA error",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_INTERNAL_ERROR",
    "CUBLAS_STATUS_NOT_INITIALIZED",
)


def failure_kind(error: BaseException) -> Literal["out_of_memory", "device"] | None:
    """``out_of_memory``, ``device``, or None for any other error."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return "out_of_memory"
    text = str(error)
    if any(sign in text for sign in _OUT_OF_MEMORY):
        return "out_of_memory"
    return "device" if any(sign in text for sign in _DEVICE) else None
