"""One measurement of a network: its figures, and the key under which they may be compared and reused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self, cast

import torch

from osanas.errors import Unavailable
from osanas.machine.device import DeviceIdentity
from osanas.measure.energy.meter import EnergyMeter, EnergySource, Exclusivity
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.runtimes import describe_runtime

StoppedBy = Literal["interval", "plateau", "cap"]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a network cost on a device, as plain values.

    Attributes:
        latency_ms: Median of the blocks, for one batch, by the host's clock, from the start of a forward pass to the
            end of its work on the device.
        latency_interval_ms: 95 % confidence interval of the median, by order statistics.
        blocks_ms: Milliseconds per iteration of the blocks that count, in order.
        disturbed_blocks_ms: The blocks that do not count, because the processor was taken away meanwhile.
        iterations: Iterations of the blocks that count.
        stopped_by: What ended the latency blocks: see ``stop_reason``.
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
        flags: Those of ``time_workload``, of the meter's reading, and of other work on the device.
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
    stopped_by: StoppedBy
    energy_mj: float | None = None
    energy_source: EnergySource | None = None
    energy_method: str | None = None
    power_w: float | None = None
    idle_power_w: float | None = None
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
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
        }
        return cls(**{item.name: values[item.name] for item in fields(cls)})


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
    # settings of torch under which fp32 is computed as something else
    arithmetic: dict[str, Any] = {"float32_matmul_precision": torch.get_float32_matmul_precision()}
    if identity.kind == "cuda":
        arithmetic |= {"cudnn_allow_tf32": torch.backends.cudnn.allow_tf32, "cudnn_benchmark": True}
    return {
        "protocol": protocol.to_dict(),
        "runtime": describe_runtime(protocol.runtime, torch.device(identity.kind)),
        "memory_format": "contiguous" if protocol.runtime == "onnxruntime" else "channels_last",
        "device": device,
        "arithmetic": arithmetic,
        "input_shape": list(input_shape),
        "energy": meter.describe() if isinstance(meter, EnergyMeter) else {"source": None},
    }


def key_digest(key: Mapping[str, Any]) -> str:
    """A short name of a measurement key: ``m1:`` and 16 hexadecimal digits of its canonical JSON's SHA-256."""
    canonical = json.dumps(key, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "m1:" + hashlib.sha256(canonical.encode()).hexdigest()[:16]
