"""Measuring a network: latency and energy with the device to itself, and peak memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from osanas.costs import Costs, count_costs
from osanas.errors import Unavailable
from osanas.machine.clock import Clock, SystemClock
from osanas.machine.device import device_uuid
from osanas.machine.exclusive import CPU, DEFAULT_TIMEOUT_S, exclusive
from osanas.measure.energy.meter import EnergyMeter, EnergyReading, Load
from osanas.measure.latency import time_workload
from osanas.measure.measurement import Measurement
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.workload import open_workload

_OFF_PACE = 0.05
"""Relative difference between an iteration's time while energy is counted and the GPU's own time."""


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
    names = [device_uuid(device) or CPU]
    if isinstance(meter, EnergyMeter):
        if meter.lock_name is not None:
            names.append(meter.lock_name)
        if costs is None and meter.needs_costs:
            costs = count_costs(model, input_shape)
    with (
        exclusive(names, timeout_s=lock_timeout_s, folder=lock_folder) as disturbances,
        open_workload(model, input_shape, device, protocol) as workload,
    ):
        found = time_workload(workload, protocol, clock=SystemClock() if clock is None else clock)
        if isinstance(meter, EnergyMeter):
            # the pace of what is launched back to back, without waiting for the device between iterations
            pace_ms = found.latency_ms if found.gpu_time_ms is None else found.gpu_time_ms
            reading = meter.measure(Load(workload.launch, pace_ms / 1e3, costs), protocol)
            found = _with_energy(found, reading, protocol.batch_size)
    reasons = (meter.reason,) if isinstance(meter, Unavailable) else ()
    return replace(
        found,
        flags=tuple(dict.fromkeys((*disturbances, *found.flags))),
        notes=tuple(dict.fromkeys((*found.notes, *reasons))),
    )


def _with_energy(timed: Measurement, reading: EnergyReading, batch_size: int) -> Measurement:
    joules, net_joules = reading.joules_per_iteration, reading.net_joules_per_iteration
    counted = [window for window in reading.windows if window.voided_by is None]
    counted_ms = 1e3 * sum(window.seconds for window in counted)
    iteration_ms = counted_ms / sum(window.iterations for window in counted) if counted else None
    is_off_pace = (
        iteration_ms is not None
        and timed.gpu_time_ms is not None
        and abs(iteration_ms - timed.gpu_time_ms) > _OFF_PACE * timed.gpu_time_ms
    )
    return replace(
        timed,
        energy_mj=None if joules is None else joules * 1e3 / batch_size,
        energy_source=None if joules is None else reading.source,
        energy_method=None if joules is None else reading.method,
        power_w=reading.power_w,
        idle_power_w=reading.idle_power_w,
        energy_net_mj=None if net_joules is None else net_joules * 1e3 / batch_size,
        exclusive=reading.exclusive,
        energy_iteration_ms=iteration_ms,
        converged=timed.converged and reading.converged,
        flags=(*timed.flags, *reading.flags, *(("energy_off_pace",) if is_off_pace else ())),
        notes=(*timed.notes, *reading.notes),
        energy_windows=tuple(window.to_dict() for window in reading.windows),
        energy_details=dict(reading.details),
    )


def peak_memory_bytes(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    device: torch.device,
    protocol: MeasurementProtocol,
    *,
    costs: Costs,
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
        protocol: Its batch size and precision.
        costs: Static costs for one image.

    Raises:
        CandidateError: It does not fit or does not run.
        EnvironmentFailure: The device failed.
    """
    if device.type == "cpu":
        elements = costs.parameters + costs.peak_activation_bytes // 4 * protocol.batch_size
        return elements * protocol.bytes_per_element
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    with open_workload(model, input_shape, device, protocol.model_copy(update={"runtime": "eager"})) as workload:
        # the first pass tries algorithms whose workspaces a deployment never allocates again
        torch.cuda.reset_peak_memory_stats(device)
        workload.run(1)
        return int(torch.cuda.max_memory_allocated(device)) - before
