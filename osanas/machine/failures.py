"""Whose fault an error of torch's is: the network's, which is too large, or the device's, which failed."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from osanas.errors import CandidateError, EnvironmentFailure

_OUT_OF_MEMORY = re.compile(
    "DefaultCPUAllocator|CUDA (driver )?error: out of memory|CUDA out of memory|can't allocate memory|not enough memory"
    "|(CUBLAS|CUDNN)_STATUS(_INTERNAL_ERROR)?(_DEVICE|_HOST)?_ALLOC(ATION)?_FAILED|Triton Error [^:]*: out of memory"
    # torch asks NVML how much is free only when an allocation has failed; Jetson and MIG instances do not answer
    "|NVML_SUCCESS == r INTERNAL ASSERT FAILED"
)
_DEVICE = re.compile("CUDA error|(CUBLAS|CUDNN)_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR|NOT_INITIALIZED)")

_CAPTURE = re.compile(r"captur", re.IGNORECASE)
"""In every error of CUDA's about a network that cannot be captured, and in none about a device that failed."""

_OWN_CONTEXT_GIB = 1.0
"""What CUDA, cuDNN and captured graphs keep apart from torch's allocator; 0.6 GiB on an H200."""

_MUCH_GIB = 1.0
"""From here on it may have been what others hold that was missing."""


def failure_kind(error: BaseException) -> Literal["out_of_memory", "device"] | None:
    """``out_of_memory``, ``device``, or None for any other error."""
    text = str(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or _OUT_OF_MEMORY.search(text):
        return "out_of_memory"
    return "device" if _DEVICE.search(text) and not _CAPTURE.search(text) else None


def reason(error: BaseException) -> str:
    """What went wrong at the root of an error, in one line without a full stop."""
    while error.__cause__ is not None:
        error = error.__cause__
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    # "backend='inductor' raised:" stands above the line that says what it raised
    lines = [line.strip() for line in plain.splitlines() if line.strip() and not line.rstrip().endswith("raised:")]
    return lines[0][:200].rstrip(". ") if lines else type(error).__name__


def _held_by_others_gib(device: torch.device) -> float:
    """Memory of a GPU that is neither free nor this process's, in GiB; 0 where that is not told."""
    if device.type != "cuda":
        return 0.0
    try:
        free, total = torch.cuda.mem_get_info(device)
        return max(0.0, (total - free - torch.cuda.memory_reserved(device)) / 2**30 - _OWN_CONTEXT_GIB)
    except (RuntimeError, AssertionError):
        return 0.0


@contextmanager
def device_errors(device: torch.device, during: Literal["measurement", "training"]) -> Iterator[None]:
    """Translates what torch raises on a device: memory that ran out is the network's fault, a failure the device's.

    Args:
        device: Where the network runs.
        during: What is done with it.

    Raises:
        CandidateError: ``out_of_memory``.
        EnvironmentFailure: The device failed, or memory ran out while other processes held much of it.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        kind = failure_kind(error)
        traceback.clear_frames(error.__traceback__)  # whoever keeps the error keeps no activations
        if kind == "out_of_memory":
            others_gib = _held_by_others_gib(device)
            if others_gib >= _MUCH_GIB:
                raise EnvironmentFailure(
                    f"Memory ran out on {device} during {during} while others held {others_gib:.1f} GiB of it.",
                    "Free it, see nvidia-smi, then run the same command again; a search goes on where it stopped.",
                ) from error
            raise CandidateError(kind, f"Memory ran out on {device} during {during}: {reason(error)}.") from error
        if kind == "device":
            raise EnvironmentFailure(
                f"The device {device} failed during {during}: {reason(error)}.",
                "Check it with nvidia-smi, then run the same command again; a search goes on where it stopped.",
            ) from error
        raise
