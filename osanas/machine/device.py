"""The device that computes: choosing it, and saying which one it is."""

from __future__ import annotations

import os
import platform
import re
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import torch

from osanas.errors import EnvironmentFailure, UsageError
from osanas.machine.nvml import installed_driver
from osanas.validation import did_you_mean

DeviceKind = Literal["cpu", "cuda"]

_NO_CUDA_FIX = "Use --device cpu, or run 'osanas doctor' to see what is missing."


@dataclass(frozen=True)
class DeviceIdentity:
    """Which device computes, and with what software."""

    kind: DeviceKind
    name: str
    """Model of the GPU or CPU."""
    uuid: str | None
    """``GPU-...`` as NVML writes it; None for a CPU."""
    host: str
    cpu_model: str
    cpu_capability: str
    """Instruction set that torch's CPU kernels use, such as ``AVX512``."""
    threads: int
    """Threads inside an operator."""
    omp_wait_policy: str
    """``OMP_WAIT_POLICY``; ``unset`` if it is not set."""
    python: str
    torch: str
    cuda: str | None
    cudnn: str | None
    driver: str | None

    @property
    def model_key(self) -> dict[str, Any]:
        """The device's model alone: what a study may not change when it is resumed."""
        return {"kind": self.kind, "name": self.name}

    def measurement_key(self) -> dict[str, Any]:
        """What latency or energy may depend on.

        A GPU is one board, whatever host it is in; a CPU is told from another of its model by the host's name.
        """
        if self.kind == "cuda":
            names = "kind name uuid cpu_model threads omp_wait_policy torch cuda cudnn driver"
        else:
            names = "kind name host cpu_capability threads omp_wait_policy torch"
        return {name: getattr(self, name) for name in names.split()}

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)


def resolve_device(name: str) -> torch.device:
    """The device that a user named, tried with an allocation.

    Args:
        name: ``auto`` (the first usable GPU, otherwise the CPU), ``cpu``, ``cuda`` (the first GPU) or ``cuda:N``.

    Raises:
        UsageError: No such device, or it is not here.
        EnvironmentFailure: It is here and does not work.
    """
    if name == "cpu":
        return torch.device("cpu")
    if name == "auto":
        usable = torch.cuda.is_available() and torch.cuda.device_count() > 0 and _allocation_error(0) is None
        return torch.device("cuda", 0) if usable else torch.device("cpu")
    found = re.fullmatch(r"cuda(?::(\d{1,4}))?", name)
    if found is None:
        raise UsageError(
            f"Unknown device '{name}'.", f"Use auto, cpu, cuda or cuda:N. {did_you_mean(name, ('auto', 'cpu', 'cuda'))}"
        )
    reason = cuda_missing()
    if reason is not None:
        raise UsageError(f"The device '{name}' is not available: {reason}.", _NO_CUDA_FIX)
    index = int(found[1] or 0)
    count = torch.cuda.device_count()
    if index >= count:
        seen, names = ("1 GPU", "cuda:0") if count == 1 else (f"{count} GPUs", f"cuda:0 to cuda:{count - 1}")
        raise UsageError(
            f"The device '{name}' does not exist: this process sees {seen}.",
            f"Use {names}; CUDA_VISIBLE_DEVICES decides which GPUs are seen.",
        )
    error = _allocation_error(index)
    if error is not None:
        raise EnvironmentFailure(
            f"The device '{name}' is listed, but cannot be used: {error}.",
            "Free its memory, check the driver with nvidia-smi, or use --device cpu.",
        )
    return torch.device("cuda", index)


def cuda_missing() -> str | None:
    """Why no GPU can be used at all, or None."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA"
    if not torch.cuda.is_available() or torch.cuda.device_count() == 0:
        if os.environ.get("CUDA_VISIBLE_DEVICES") is not None:
            visible = os.environ["CUDA_VISIBLE_DEVICES"]
            return f"torch finds no NVIDIA GPU with CUDA_VISIBLE_DEVICES set to '{visible}'"
        return f"torch (CUDA {torch.version.cuda}) finds no NVIDIA GPU or no driver that is new enough"
    return None


def _allocation_error(index: int) -> str | None:
    """What goes wrong when memory is allocated and used. ``is_available`` alone may only have asked NVML."""
    try:
        (torch.ones(8, device=torch.device("cuda", index)) + 1).sum().item()
    except (RuntimeError, AssertionError) as error:
        return str(error).splitlines()[0].rstrip(". ")
    return None


def cudnn_version() -> str | None:
    """Version of cuDNN as torch gives it, such as ``92400``."""
    version = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return None if version is None else str(version)


def device_uuid(device: torch.device) -> str | None:
    """The UUID of a CUDA device as NVML writes it, or None for a CPU."""
    if device.type != "cuda":
        return None
    uuid = str(torch.cuda.get_device_properties(device).uuid)
    return uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"


def identify(device: torch.device) -> DeviceIdentity:
    """Everything that tells this device and its software from another."""
    is_cuda = device.type == "cuda"
    cpu = cpu_model()
    return DeviceIdentity(
        kind="cuda" if is_cuda else "cpu",
        name=torch.cuda.get_device_name(device) if is_cuda else cpu,
        uuid=device_uuid(device),
        host=socket.gethostname(),
        cpu_model=cpu,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
        omp_wait_policy=os.environ.get("OMP_WAIT_POLICY", "unset"),
        python=platform.python_version(),
        torch=str(torch.__version__),
        cuda=torch.version.cuda if is_cuda else None,
        cudnn=cudnn_version() if is_cuda else None,
        driver=installed_driver() if is_cuda else None,
    )


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as the operating system gives it."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(\S.*)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine() or "unknown"


def usable_cpus() -> int:
    """Processors that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else psutil.cpu_count() or 1
