"""Checks of latency, energy, runtimes and memory, through the code that measures candidates."""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from dataclasses import replace
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from osanas.errors import CandidateError, OsanasError, Unavailable
from osanas.evaluation.drift import REFERENCE
from osanas.evaluation.measurer import NetworkMeasurer
from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.machine.clock import SystemClock
from osanas.measure.energy.meter import EnergyMeter, Load
from osanas.measure.latency import time_workload
from osanas.measure.protocol import Runtime
from osanas.measure.runtimes import check_runtime
from osanas.measure.workload import open_workload
from osanas.profiling.selftest.check import REPORT, Check

REPEATS = 10
"""Measurements of each network: half of them after a rest, half right after one another."""
_MEMBERS = 4
_REST_S = 1.0
_LOOKS = 100
_BUILDS = 40

_SPREAD = 0.03
_AGREEMENT = 0.05
_DIFFERENCE = 0.02
_GROWTH_MIB = 32
_SLOW_LOOK_MS = 20


def members(measurer: NetworkMeasurer) -> list[Architecture]:
    """The reference network and others of the default space, even in log multiply-adds."""
    shape = measurer.shape()
    at = SpaceAt(SearchSpace.load("vovnet"), shape)
    drawn = sorted(
        (at.canonical(at.space.sample(random.Random(seed))) for seed in range(64)),  # noqa: S311
        key=lambda member: at.costs(member).multiply_adds,
    )
    return [shape.canonical(REFERENCE), *(drawn[index * len(drawn) // (2 * _MEMBERS)] for index in range(_MEMBERS))]


def repeatability(measurer: NetworkMeasurer, members: list[Architecture]) -> Check:
    """Whether latency comes out the same again, and after a rest as in the middle of work."""
    without_energy = replace(measurer, setup=replace(measurer.setup, meter=Unavailable("apart")))
    cold: list[list[float]] = [[] for _ in members]
    hot: list[list[float]] = [[] for _ in members]
    for _ in range(REPEATS // 2):
        for found, rest_s in ((cold, _REST_S), (hot, 0.0)):
            for index, member in enumerate(members):
                time.sleep(rest_s)
                found[index].append(without_energy.measure(member).latency_ms or math.nan)
    spreads = [statistics.stdev(values) / statistics.mean(values) for values in hot]
    ratios = [statistics.median(rested) / statistics.median(others) for rested, others in zip(cold, hot, strict=True)]
    typical = [statistics.median(values) for values in hot]
    worst, change = max(spreads), statistics.median(ratios)
    is_sound = statistics.median(spreads) <= _SPREAD and abs(change - 1) <= _AGREEMENT
    return Check(
        is_sound,
        f"{len(members)} networks of {min(typical):.3g} to {max(typical):.3g} ms, {REPEATS} times each: "
        f"latency repeats within {100 * statistics.median(spreads):.1f} % (worst {100 * worst:.1f} %), "
        f"after a rest it is {change:.2f} times as long",
        None if is_sound else "Stop other work on this machine; on a laptop, plug it in and fix the clocks.",
        {"hot_ms": hot, "cold_ms": cold, "spread": spreads, "cold_over_hot": ratios},
    )


def runtimes(measurer: NetworkMeasurer, model: nn.Module) -> Check:
    """Whether every runtime of this machine gives the eager network's results."""
    setup = measurer.setup
    found: dict[str, dict[str, Any]] = {}
    names: tuple[Runtime, ...] = ("eager", "cudagraph", "onnxruntime", "compile")
    for runtime in names:
        try:
            check_runtime(runtime, setup.protocol.precision, setup.device)
        except OsanasError:
            continue
        protocol = setup.protocol.model_copy(update={"runtime": runtime})
        try:
            with open_workload(model, measurer.input_shape, setup.device, protocol) as workload:
                timed = time_workload(workload, protocol, clock=SystemClock())
        except CandidateError as error:
            found[runtime] = {"latency_ms": None, "output_difference": None, "reason": error.problem}
            continue
        difference = timed.runtime_details.get("output_difference", 0.0)
        found[runtime] = {"latency_ms": timed.latency_ms, "output_difference": difference, "reason": None}
    wrong = [
        name
        for name, one in found.items()
        if one["reason"] or one["output_difference"] is None or one["output_difference"] > _DIFFERENCE
    ]
    listed = ", ".join(
        f"{name} fails" if one["latency_ms"] is None else f"{name} {one['latency_ms']:.3g} ms"
        for name, one in found.items()
    )
    return Check(
        not wrong,
        f"{listed}; results differ by at most "
        f"{max((one['output_difference'] or 0.0 for one in found.values()), default=0.0):.1e} from eager mode's",
        f"Do not measure with --runtime {' or '.join(wrong)} here." if wrong else None,
        found,
    )


def energy(measurer: NetworkMeasurer, model: nn.Module) -> Check:
    """The meter against itself: the same again, and twice the work."""
    setup = measurer.setup
    if not isinstance(setup.meter, EnergyMeter):
        return Check(is_sound=None, told=setup.meter.reason, fix=setup.meter.fix)
    if setup.meter.source == "estimated":
        return Check(is_sound=None, told="; ".join(setup.meter.notes) or "energy is estimated, not measured")
    with open_workload(model, measurer.input_shape, setup.device, setup.protocol) as workload:
        timed = time_workload(workload, setup.protocol, clock=SystemClock())
        pace_s = (timed.latency_ms if timed.gpu_time_ms is None else timed.gpu_time_ms) / 1e3
        began = time.monotonic()
        once = [setup.meter.measure(Load(workload.launch, pace_s), setup.protocol) for _ in range(3)]
        seconds = (time.monotonic() - began) / len(once)
        double = Load(lambda iterations: workload.launch(2 * iterations), 2 * pace_s)
        twice = setup.meter.measure(double, setup.protocol)
    joules = [reading.joules_per_iteration or math.nan for reading in once]
    spread = (max(joules) - min(joules)) / statistics.mean(joules)
    ratio = (twice.joules_per_iteration or math.nan) / statistics.mean(joules)
    is_sound = spread <= _AGREEMENT and abs(ratio - 2) <= 2 * _AGREEMENT
    return Check(
        is_sound,
        f"{setup.meter.source} ({setup.meter.method}): {1e3 * statistics.mean(joules):.3g} mJ an inference, "
        f"three times within {100 * spread:.1f} %; twice the work takes {ratio:.2f} times the energy; "
        f"{seconds:.1f} s a measurement",
        None if is_sound else "Stop other work on the device, and compare with --energy of another kind.",
        {
            "joules": joules,
            "ratio_of_twice": ratio,
            "seconds": seconds,
            "power_w": once[-1].power_w,
            "idle_power_w": once[-1].idle_power_w,
            "windows": [window.to_dict() for window in once[-1].windows],
            "flags": sorted({flag for reading in (*once, twice) for flag in reading.flags}),
        },
    )


def looks(measurer: NetworkMeasurer) -> Check:
    """How long the meter takes to read."""
    meter = measurer.setup.meter
    if not isinstance(meter, EnergyMeter) or meter.source == "estimated":
        return Check(is_sound=None, told="there is no meter to read")
    looks_ms = []
    for _ in range(_LOOKS):
        start = time.perf_counter()
        meter.look()
        looks_ms.append(1e3 * (time.perf_counter() - start))
    typical, slow = statistics.median(looks_ms), statistics.quantiles(looks_ms, n=20)[-1]
    is_sound = typical <= _SLOW_LOOK_MS / 4 and slow <= _SLOW_LOOK_MS
    return Check(
        is_sound,
        f"{typical:.2g} ms, one in twenty {slow:.2g} ms, the longest {max(looks_ms):.2g} ms",
        None if is_sound else "Reads as slow as this blur energy; use --energy estimated.",
        {"reads_ms": looks_ms},
    )


def memory(measurer: NetworkMeasurer, model: nn.Module) -> Check:
    """Whether measured networks give their memory back: on a GPU all that is in use there, otherwise the process's."""
    setup = measurer.setup

    def build() -> None:
        with open_workload(model, measurer.input_shape, setup.device, setup.protocol) as workload:
            workload.run(1)

    for _ in range(3):  # libraries keep workspaces of their own from the first time on
        build()
    before = _used_mib(setup.device)
    for _ in range(_BUILDS):
        build()
    growth = _used_mib(setup.device) - before
    is_sound = growth <= _GROWTH_MIB
    return Check(
        is_sound,
        f"{growth:+.0f} MiB after a network was made ready {_BUILDS} times ({setup.protocol.runtime})",
        None if is_sound else REPORT,
        {"growth_mib": growth, "runtime": setup.protocol.runtime},
    )


def _used_mib(device: torch.device) -> float:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info(device)
        return (total - free) / 2**20
    return float(psutil.Process().memory_info().rss) / 2**20


class _Huge(nn.Module):
    """Asks for more memory than there is."""

    def forward(self, x: Tensor) -> Tensor:
        return x.new_empty(1 << 50)


def out_of_memory(measurer: NetworkMeasurer, model: nn.Module) -> Check:
    """Whether a network that does not fit is refused as such, and a good one runs after it."""
    setup = measurer.setup
    protocol = setup.protocol.model_copy(update={"runtime": "eager"})
    told = "a network that does not fit was not refused"
    try:
        with open_workload(_Huge(), measurer.input_shape, setup.device, protocol):
            pass
    except CandidateError as error:
        told = "" if error.kind == "out_of_memory" else f"a network that does not fit is called '{error.kind}'"
    with open_workload(model, measurer.input_shape, setup.device, setup.protocol) as workload:
        workload.run(1)
    return Check(
        not told,
        told or "a network that does not fit is refused, and the next one runs",
        REPORT if told else None,
    )
