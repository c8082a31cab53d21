from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from osanas.machine.conditions import MachineWatch, cpu_quota, is_contended, settings
from tests.measure.simulation import SimulatedClock

CPU = torch.device("cpu")


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="ascii")
    return root


def test_the_processors_settings_are_read(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu"
    root = _write(
        tmp_path,
        {
            f"{cpu}/cpu0/cpufreq/scaling_governor": "powersave",
            f"{cpu}/cpu1/cpufreq/scaling_governor": "performance",
            f"{cpu}/cpu10/cpufreq/scaling_governor": "powersave",
            f"{cpu}/cpufreq/boost": "0",
            f"{cpu}/smt/active": "1",
        },
    )
    found = settings(CPU, root)
    assert (found["cpu_governor"], found["cpu_turbo"], found["smt"]) == ("performance,powersave", False, True)
    assert found["threads"] == torch.get_num_threads()
    assert found["cudnn"] is None
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(("no_turbo", "turbo"), [("0", True), ("1", False), ("?", None)])
def test_intels_driver_tells_turbo_the_other_way_round(tmp_path: Path, no_turbo: str, turbo: bool | None) -> None:
    root = _write(tmp_path, {"sys/devices/system/cpu/intel_pstate/no_turbo": no_turbo})
    assert settings(CPU, root)["cpu_turbo"] is turbo


def test_what_the_machine_does_not_tell_is_none(tmp_path: Path) -> None:
    found = settings(CPU, tmp_path)
    assert [found[name] for name in ("cpu_governor", "cpu_turbo", "smt", "cpu_quota")] == [None] * 4
    watch = MachineWatch(SimulatedClock(), tmp_path)
    assert watch.read()["runnable_threads"] is None


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, "unlimited"),
        (
            {
                "proc/self/cgroup": "0::/pod/job",
                "sys/fs/cgroup/pod/cpu.max": "200000 100000",
                "sys/fs/cgroup/pod/job/cpu.max": "max 100000",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/\n3:cpu,cpuacct:/job\n0::/",
                "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            0.5,
        ),
        ({"proc/self/cgroup": "0::/gone"}, None),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "nonsense"}, None),
    ],
)
def test_the_quota_is_the_tightest_of_all_groups(
    tmp_path: Path, files: dict[str, str], quota: float | str | None
) -> None:
    assert cpu_quota(_write(tmp_path, files)) == quota


def test_the_watch_tells_shares_of_a_processor(tmp_path: Path) -> None:
    clock = SimulatedClock()
    watch = MachineWatch(clock, _write(tmp_path, {"proc/loadavg": "1.67 1.16 1.42 3/95 5757"}))
    clock.advance(2.0, 100.0)
    found = watch.read()
    assert found["seconds"] == pytest.approx(2.0)
    assert found["runnable_threads"] == 3
    assert found["processors"] >= 1
    assert min(found["own_cpu_share"], found["other_cpu_share"], found["involuntary_switches_per_second"]) >= 0.0


@pytest.mark.parametrize(
    ("own", "other", "steal", "contended"),
    [
        (1.0, 0.05, 0.0, False),
        (1.0, 0.2, 0.0, False),
        (1.0, 0.3, 0.0, True),
        (2.0, 0.2, 0.0, True),
        (1.0, 0.0, 0.2, True),
        (1.0, 0.0, None, False),
    ],
)
def test_contention_is_work_of_others_where_we_compute(
    own: float, other: float, steal: float | None, contended: bool
) -> None:
    conditions = {"processors": 2, "own_cpu_share": own, "other_cpu_share": other, "steal_share": steal}
    assert is_contended(conditions) == contended
