"""What else decides a latency: the machine's settings, which are recorded and never changed, and what others do on it.

A figure that the machine does not tell is None.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil
import torch

from osanas.machine.clock import Clock, now_s
from osanas.machine.device import usable_cpus

ROOT = Path("/")


def settings(device: torch.device, root: Path = ROOT) -> dict[str, Any]:
    """Settings of the process and the processors, as JSON.

    Args:
        device: That computes.
        root: Where ``sys`` and ``proc`` lie.
    """
    processors = root / "sys/devices/system/cpu"
    of_cudnn = ("benchmark", "deterministic", "allow_tf32") if device.type == "cuda" else ()
    return {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "usable_processors": usable_cpus(),
        "cpu_governor": _governor(processors),
        "cpu_turbo": _turbo(processors),
        "smt": _is_one(processors / "smt/active"),
        "cpu_quota": cpu_quota(root),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn": {name: getattr(torch.backends.cudnn, name) for name in of_cudnn} or None,
    }


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _is_one(path: Path) -> bool | None:
    return {"0": False, "1": True}.get(_text(path) or "")


def _governor(processors: Path) -> str | None:
    """The frequency governors in use, such as ``powersave``; several are joined by commas."""
    found = {_text(path) for path in processors.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    return ",".join(sorted(name for name in found if name)) or None


def _turbo(processors: Path) -> bool | None:
    """Whether processors may exceed their nominal frequency: Intel's driver tells the opposite, others ``boost``."""
    is_off = _is_one(processors / "intel_pstate/no_turbo")
    return _is_one(processors / "cpufreq/boost") if is_off is None else not is_off


def cpu_quota(root: Path = ROOT) -> float | str | None:
    """How many processors' time the control groups of this process grant: a number, or ``unlimited``.

    Every group up to the root counts: version 2 (``cpu.max``), otherwise version 1 (``cpu.cfs_quota_us``).
    """
    found = [quota for group in _groups(root) if (quota := _quota(group)) is not None]
    limits = [quota for quota in found if isinstance(quota, float)]
    return min(limits) if limits else ("unlimited" if found else None)


def _groups(root: Path) -> list[Path]:
    """Folders of the control groups that this process is in, with those around them."""
    folders: list[Path] = []
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (controllers and "cpu")
        group = mount / path.strip("/")
        folders += [group, *(parent for parent in group.parents if parent.is_relative_to(mount))]
    return folders


def _quota(group: Path) -> float | str | None:
    together = _text(group / "cpu.max")
    if together is not None:
        quota, _, period = together.partition(" ")
    else:
        quota, period = _text(group / "cpu.cfs_quota_us") or "", _text(group / "cpu.cfs_period_us") or ""
    if quota in ("max", "-1"):
        return "unlimited"
    return float(quota) / float(period) if quota.isdigit() and period.isdigit() and int(period) else None


class MachineWatch:
    """What the machine does from now until ``read``.

    Args:
        clock: That measures how long.
        root: Where ``proc`` lies.
    """

    def __init__(self, clock: Clock, root: Path = ROOT) -> None:
        self._clock = clock
        self._root = root
        self._start_s = now_s(clock)
        self._before = _used()

    def read(self) -> dict[str, Any]:
        """Own and others' use of the processors, as shares of one processor's time."""
        seconds = max(now_s(self._clock) - self._start_s, 1e-9)
        own_s, busy_s, steal_s, switches = (after - before for before, after in zip(self._before, _used(), strict=True))
        own_s = max(0.0, own_s)
        return {
            "seconds": seconds,
            "processors": psutil.cpu_count() or 1,
            "own_cpu_share": own_s / seconds,
            "other_cpu_share": max(0.0, busy_s - own_s) / seconds,
            "steal_share": steal_s / seconds if hasattr(psutil.cpu_times(), "steal") else None,
            "involuntary_switches_per_second": switches / seconds,
            "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "runnable_threads": self._runnable(),
        }

    def _runnable(self) -> int | None:
        """Threads of the whole machine that run or want to, as of now."""
        fields = (_text(self._root / "proc/loadavg") or "").split()
        running = fields[3].partition("/")[0] if len(fields) > 3 else ""
        return int(running) if running.isdigit() else None


def _used() -> tuple[float, float, float, int]:
    """Seconds of this process, of all processes and of the hypervisor so far, and this process's involuntary switches.

    Linux counts guests' time within user's and nice's already.
    """
    process, times = psutil.Process(), psutil.cpu_times()
    own = process.cpu_times()
    not_busy = ("idle", "iowait", "steal", "guest", "guest_nice")
    busy_s = sum(seconds for name, seconds in times._asdict().items() if name not in not_busy)
    return own.user + own.system, busy_s, getattr(times, "steal", 0.0), process.num_ctx_switches().involuntary


def is_contended(conditions: dict[str, Any]) -> bool:
    """Whether others kept a quarter of the processors that we leave busy, or the hypervisor took a tenth.

    Even on processors of their own they share caches, memory and often the very core (hyper-threads) with us.
    """
    spare = max(0.0, conditions["processors"] - conditions["own_cpu_share"])
    is_crowded = conditions["other_cpu_share"] > max(0.1, 0.25 * spare)
    return is_crowded or (conditions["steal_share"] or 0.0) > 0.1
