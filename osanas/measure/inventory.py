"""What this machine can compute and measure with, and what to do about what is missing."""

from __future__ import annotations

import os
from typing import Any

import psutil
import torch

from osanas.machine.clock import SystemClock
from osanas.machine.device import cpu_model, cuda_missing, cudnn_version, device_uuid, usable_cpus
from osanas.measure.energy.choose import MeterSources
from osanas.measure.energy.nvml_boards import nvml_inventory
from osanas.measure.energy.rapl import rapl_inventory


def inventory(*, sources: MeterSources | None = None) -> dict[str, Any]:
    """Processor, GPUs as torch sees them, boards as NVML sees them, RAPL; plain values, nothing raised.

    Args:
        sources: Where meters come from; None is this machine.

    Returns:
        ``cpu``, ``cuda``, ``nvml``, ``rapl``; where something is missing, ``reason`` and ``fix`` say why and what to
        do, both None otherwise.
    """
    places = MeterSources(SystemClock()) if sources is None else sources
    cuda = _cuda()
    uuids = {device["uuid"] for device in cuda["devices"]} if cuda["available"] else None
    return {
        "cpu": {
            "model": cpu_model(),
            "capability": torch.backends.cpu.get_cpu_capability(),
            "logical": psutil.cpu_count(),
            "physical": psutil.cpu_count(logical=False),
            "usable": usable_cpus(),
            "threads": torch.get_num_threads(),
            "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
            "torch": str(torch.__version__),
        },
        "cuda": cuda,
        "nvml": nvml_inventory(places.clock, places.nvml_module, cuda_uuids=uuids),
        "rapl": rapl_inventory(places.clock, places.powercap_root),
    }


def _cuda() -> dict[str, Any]:
    reason = cuda_missing()
    built = {"cuda": torch.version.cuda}
    if reason is not None:
        fix = "For a GPU, install a CUDA build of torch and an NVIDIA driver that is new enough for it."
        return {**built, "available": False, "cudnn": None, "devices": [], "reason": reason, "fix": fix}
    devices = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(
            {
                "index": index,
                "name": properties.name,
                "uuid": device_uuid(torch.device("cuda", index)),
                "memory_bytes": properties.total_memory,
                "compute_capability": f"{properties.major}.{properties.minor}",
            }
        )
    return {**built, "available": True, "cudnn": cudnn_version(), "devices": devices, "reason": None, "fix": None}
