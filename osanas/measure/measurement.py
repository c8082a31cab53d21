"""One measurement of a network: latency, energy, and the key under which it may be compared and reused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import nn

from osanas.costs import Costs, count_costs
from osanas.errors import Unavailable
from osanas.machine.clock import Clock, SystemClock
from osanas.machine.device import DeviceIdentity, device_uuid
from osanas.machine.exclusive import CPU, DEFAULT_TIMEOUT_S, exclusive
from osanas.measure.energy.meter import EnergyMeter, EnergyReading, EnergySource, Exclusivity, Load
from osanas.measure.latency import Latency, time_workload
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.runtimes import describe_runtime
from osanas.measure.workload import open_workload

KEY_PREFIX = "m1:"


@dataclass(frozen=True)
class Measurement:
    """What a network cost on a device, as plain values.

    Attributes:
        latency_ms: Median of the blocks, for one batch, by the host's clock.
        latency_interval_ms: 95 % confidence interval of the median.
        blocks_ms: Milliseconds per iteration of the blocks that count, in order.
        disturbed_blocks_ms: Those of the blocks during which the processor was taken away.
        iterations: Iterations of the blocks that count.
        stopped_by: ``interval``, ``plateau`` or ``cap``: what ended the latency blocks.
        energy_mj: Gross millijoules per image; None if there is no reading (``notes`` say why).
        energy_source: ``nvml``, ``rapl`` or ``estimated``; None without a reading.
        energy_method: How the source got it, such as ``counter`` or ``analytic``; None without a reading.
        power_w: Mean power under the load, gross.
        idle_power_w: Power without load.
        converged: Whether latency and energy are as certain as the protocol asks.
        energy_net_mj: Gross energy less idle power times time, per image.
        exclusive: Whether the metered device was ours alone meanwhile: ``yes``, ``no`` or ``unknown``.
        gpu_time_ms: The GPU's own time for a batch, between events around launches back to back; None on a CPU.
        gpu_time_interval_ms: Its 95 % confidence interval; None on a CPU.
        energy_iteration_ms: Milliseconds per iteration within the windows that energy was counted in, so that time and
            energy of one stretch of work stand together; None where energy is not measured.
        percentiles_ms: ``p90``, ``p95``, ``p99`` of single inferences, each only where enough of them were timed.
        runtime_details: What the runtime tells of itself, such as the seconds it took to compile.
        flags: Those of ``Latency``, of the meter's reading, and of other work on the device.
        notes: What a reader of the figures should know, such as why there is no energy.
        conditions: What the machine is set to and did meanwhile.
        energy_windows: Every window of the meter, void ones too.
        energy_details: What else describes the energy (coefficients of an estimate, board, update period).
    """

    latency_ms: float
    latency_interval_ms: tuple[float, float]
    blocks_ms: tuple[float, ...]
    disturbed_blocks_ms: tuple[float, ...]
    iterations: int
    stopped_by: str
    energy_mj: float | None
    energy_source: EnergySource | None
    energy_method: str | None
    power_w: float | None
    idle_power_w: float | None
    converged: bool
    energy_net_mj: float | None = None
    exclusive: Exclusivity = "unknown"
    gpu_time_ms: float | None = None
    gpu_time_interval_ms: tuple[float, float] | None = None
    energy_iteration_ms: float | None = None
    percentiles_ms: dict[str, float] = field(default_factory=dict)
    runtime_details: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    conditions: dict[str, Any] = field(default_factory=dict)
    energy_windows: tuple[dict[str, Any], ...] = ()
    energy_details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return cast("dict[str, Any]", json.loads(json.dumps(asdict(self))))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``."""
        values = dict(document)
        for name in ("latency_interval_ms", "blocks_ms", "disturbed_blocks_ms", "flags", "notes", "energy_windows"):
            values[name] = tuple(values[name])
        if values["gpu_time_interval_ms"] is not None:
            values["gpu_time_interval_ms"] = tuple(values["gpu_time_interval_ms"])
        return cls(**{item.name: values[item.name] for item in fields(cls)})


def measure(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    device: torch.device,
    protocol: MeasurementProtocol,
    meter: EnergyMeter | Unavailable | None,
    *,
    costs: Costs | None = None,
    clock: Clock | None = None,
    lock_timeout_s: float = DEFAULT_TIMEOUT_S,
    lock_folder: Path | None = None,
) -> Measurement:
    """Latency and energy of a network in its deployed form, with the device to itself.

    Args:
        model: Any network; it stays as it is.
        input_shape: Channels, height, width of one image.
        device: From ``resolve_device``.
        protocol: How.
        meter: From ``open_meter``; None is as good as ``Unavailable``.
        costs: Static costs for one image; counted where the meter needs them and they are missing.
        clock: None is the host's.
        lock_timeout_s: How long to wait while another osanas process measures on the device.
        lock_folder: Where lock files lie.

    Raises:
        CandidateError: The network does not run (``forward``), not in that runtime (``runtime``), or does not fit
            (``out_of_memory``).
        EnvironmentFailure: Device or meter failed, or the device stays in use.
        UsageError: The device cannot do what the protocol asks.
    """
    time_source = SystemClock() if clock is None else clock
    names = [device_uuid(device) or CPU]
    if isinstance(meter, EnergyMeter) and meter.lock_name is not None:
        names.append(meter.lock_name)
    if costs is None and isinstance(meter, EnergyMeter) and meter.needs_costs:
        costs = count_costs(model, input_shape)
    with (
        exclusive(names, timeout_s=lock_timeout_s, folder=lock_folder) as disturbances,
        open_workload(model, input_shape, device, protocol) as workload,
    ):
        latency = time_workload(workload, protocol, clock=time_source)
        # the pace of ``run``, which does not wait for the device between iterations
        pace_ms = latency.median_ms if latency.gpu_time_ms is None else latency.gpu_time_ms
        energy = (
            meter.measure(Load(workload.run, pace_ms / 1e3, costs), protocol)
            if isinstance(meter, EnergyMeter)
            else meter
        )
    return _combined(latency, energy, protocol.batch_size, disturbances)


def _combined(
    latency: Latency, energy: EnergyReading | Unavailable | None, batch_size: int, disturbances: tuple[str, ...]
) -> Measurement:
    reading = energy if isinstance(energy, EnergyReading) else _no_reading(energy)
    joules, net_joules = reading.joules_per_iteration, reading.net_joules_per_iteration
    counted = [window for window in reading.windows if window.voided_by is None]
    counted_iterations = sum(window.iterations for window in counted)
    return Measurement(
        latency_ms=latency.median_ms,
        latency_interval_ms=latency.interval_ms,
        blocks_ms=latency.blocks_ms,
        disturbed_blocks_ms=latency.disturbed_blocks_ms,
        iterations=latency.iterations,
        stopped_by=latency.stopped_by,
        energy_mj=None if joules is None else joules * 1e3 / batch_size,
        energy_source=None if joules is None else reading.source,
        energy_method=None if joules is None else reading.method,
        power_w=reading.power_w,
        idle_power_w=reading.idle_power_w,
        energy_net_mj=None if net_joules is None else net_joules * 1e3 / batch_size,
        exclusive=reading.exclusive,
        gpu_time_ms=latency.gpu_time_ms,
        gpu_time_interval_ms=latency.gpu_time_interval_ms,
        energy_iteration_ms=sum(window.seconds for window in counted) * 1e3 / counted_iterations if counted else None,
        percentiles_ms=latency.percentiles_ms,
        runtime_details=latency.runtime_details,
        converged=latency.converged and reading.converged,
        flags=tuple(dict.fromkeys((*disturbances, *latency.flags, *reading.flags))),
        notes=tuple(dict.fromkeys((*latency.notes, *reading.notes))),
        conditions=latency.conditions,
        energy_windows=tuple(window.to_dict() for window in reading.windows),
        energy_details=dict(reading.details),
    )


def _no_reading(meter: Unavailable | None) -> EnergyReading:
    """Without joules, whose source is not told, and with the reason as its note."""
    return EnergyReading("estimated", "none", None, None, None, notes=() if meter is None else (meter.reason,))


def peak_memory_bytes(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    device: torch.device,
    protocol: MeasurementProtocol | None = None,
    *,
    costs: Costs | None = None,
) -> int:
    """Bytes of parameters and activations at the worst moment of a forward pass.

    On a GPU this is measured: the most that torch's allocator held for the network, its input and one pass
    (``torch.cuda.max_memory_allocated``), with kernels' workspaces and without the CUDA context. It is eager mode's in
    every runtime: a graph keeps its memory apart, and ONNX Runtime has an allocator of its own. On a CPU it is counted:
    the parameters and ``Costs.peak_activation_bytes``, without workspaces.

    Args:
        model: Any network in fp32; it stays as it is.
        input_shape: Channels, height, width of one image.
        device: From ``resolve_device``.
        protocol: Its batch size and precision; None is batch 1 in fp32.
        costs: Static costs for one image, counted where missing.

    Raises:
        CandidateError: It does not fit or does not run.
        EnvironmentFailure: The device failed.
    """
    how = MeasurementProtocol() if protocol is None else protocol
    if device.type == "cuda":
        return _measured_peak(model, input_shape, device, how)
    counted = count_costs(model, input_shape) if costs is None else costs
    elements = counted.parameters + counted.peak_activation_bytes // 4 * how.batch_size
    return elements * how.bytes_per_element


def _measured_peak(
    model: nn.Module, input_shape: tuple[int, int, int], device: torch.device, protocol: MeasurementProtocol
) -> int:
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    eager = protocol.model_copy(update={"runtime": "eager"})
    with open_workload(model, input_shape, device, eager) as workload:
        # the first pass tries algorithms whose workspaces a deployment never allocates again
        torch.cuda.reset_peak_memory_stats(device)
        workload.run(1)
        return int(torch.cuda.max_memory_allocated(device)) - before


def measurement_key(
    identity: DeviceIdentity,
    protocol: MeasurementProtocol,
    input_shape: tuple[int, int, int],
    meter: EnergyMeter | Unavailable | None,
) -> dict[str, Any]:
    """What two measurements must share to be compared, as JSON.

    Args:
        identity: From ``identify``.
        protocol: All its settings are part of the key.
        input_shape: Channels, height, width.
        meter: From ``open_meter``.

    Raises:
        UsageError: The protocol's runtime does not work here.
    """
    device = identity.measurement_key()
    if protocol.threads is not None:
        device["threads"] = protocol.threads
    return {
        "protocol": protocol.to_dict(),
        "runtime": describe_runtime(protocol.runtime, torch.device(identity.kind)),
        "memory_format": "contiguous" if protocol.runtime == "onnxruntime" else "channels_last",
        "device": device,
        "arithmetic": _arithmetic(identity),
        "input_shape": list(input_shape),
        "energy": meter.describe() if isinstance(meter, EnergyMeter) else {"source": None},
    }


def _arithmetic(identity: DeviceIdentity) -> dict[str, Any]:
    """Settings of torch under which fp32 is computed as something else."""
    if identity.kind == "cpu":
        return {"float32_matmul_precision": torch.get_float32_matmul_precision()}
    return {
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
        "cudnn_benchmark": True,
    }


def key_digest(key: Mapping[str, Any]) -> str:
    """A short name of a measurement key: ``m1:`` and 16 hexadecimal digits of its canonical JSON's SHA-256."""
    canonical = json.dumps(key, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return KEY_PREFIX + hashlib.sha256(canonical.encode()).hexdigest()[:16]
