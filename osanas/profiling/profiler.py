"""Costs, latency and energy of any list of networks: searched, published, or peers, all through the same code."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from osanas.costs import Costs, count_costs
from osanas.errors import CandidateError, Unavailable, UsageError
from osanas.evaluation.keys import network_key
from osanas.genotype.closed_form import NetworkShape
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.measurement import Measurement, key_digest
from osanas.measure.network import measure, peak_memory_bytes
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.rounds import interleaved, per_round, pooled
from osanas.measure.setup import Setup
from osanas.profiling.networks import Network

RATIOS = {
    "latency_ratio": "latency_ms",
    "energy_ratio": "energy_mj",
    "multiply_adds_ratio": "multiply_adds",
    "parameters_ratio": "parameters",
}
"""What is compared with a baseline: the network's figure over the baseline's."""

_MEASURED = (
    "latency_ms",
    "latency_interval_ms",
    "gpu_time_ms",
    "gpu_time_interval_ms",
    "percentiles_ms",
    "energy_mj",
    "energy_net_mj",
    "energy_iteration_ms",
    "energy_source",
    "energy_method",
    "power_w",
    "idle_power_w",
    "exclusive",
    "runtime_details",
)
"""Figures of a row that are a measurement's own."""


@dataclass(frozen=True)
class Turn:
    """One measurement about to be taken."""

    number: int
    total: int
    label: str
    batch_size: int


@dataclass
class _Task:
    """A network to be measured in one way, and what has come of it.

    Attributes:
        network: What is measured.
        costs: By counting.
        protocol: How it is measured.
        meter: Of energy, or why there is none; None where energy is not asked for.
        parts: A measurement a round.
        result: All rounds as one, or the stored one.
        measured_at: Seconds since 1970.
        is_stored: Whether the result comes from the database.
        failure: Why there is no result.
    """

    network: Network
    costs: Costs
    protocol: MeasurementProtocol
    meter: EnergyMeter | Unavailable | None
    parts: list[Measurement] = field(default_factory=list)
    result: Measurement | None = None
    measured_at: float | None = None
    is_stored: bool = False
    failure: str | None = None


class _Built:
    """Networks of one shape; as many as there is room for are built once.

    Args:
        shape: Images and classes.
        room: Parameters of those that are kept.
    """

    def __init__(self, shape: NetworkShape, room: int) -> None:
        self._shape = shape
        self._kept: dict[str, nn.Module] = {}
        self._room = room

    def get(self, network: Network) -> nn.Module:
        """The network, with the same weights each time."""
        if network.label in self._kept:
            return self._kept[network.label]
        model = network.build(self._shape)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        if parameters <= self._room:
            self._room -= parameters
            self._kept[network.label] = model
        return model


@dataclass(frozen=True)
class Profiler:
    """Measures networks under one protocol, in its rounds, each round in a random order.

    Attributes:
        setup: Device, meter and protocol.
        shape: Images and classes.
        throughput_batch_size: Batch at which images per second are measured; None takes them from the latency.
        is_fresh: Measures anew what the store holds, and replaces it.
        seed: Of the orders.
        kept_parameters: Of the networks that stay in memory between rounds, 800 MB by default; those beyond are built
            for each turn.
    """

    setup: Setup
    shape: NetworkShape
    throughput_batch_size: int | None = None
    is_fresh: bool = False
    seed: int = 0
    kept_parameters: int = 200_000_000

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        return self.shape.in_channels, self.shape.resolution, self.shape.resolution

    def key(self) -> dict[str, Any]:
        """The measurement key that all these figures share."""
        return self._key(self.setup.protocol, self.setup.meter)

    def document(
        self,
        networks: Sequence[Network],
        *,
        baseline: str | None = None,
        on_turn: Callable[[Turn], None] = lambda _: None,
    ) -> dict[str, Any]:
        """The JSON of ``osanas profile``: a row a network; what cannot be had is None with a note.

        Args:
            networks: With labels of their own.
            baseline: Label of the one that ratios are taken to.
            on_turn: Called before each measurement.

        Raises:
            UsageError: A network does not exist or does not take such images; nothing is measured then.
            EnvironmentFailure: Device, meter or database failed.
        """
        built = _Built(self.shape, self.kept_parameters)
        tasks = [self._task(network, built) for network in networks]
        throughputs = [self._throughput_task(task) for task in tasks]
        everything = [*tasks, *(task for task in throughputs if task is not None)]
        for task in everything:
            self._recall(task)
        order = self._measure_all([task for task in everything if task.result is None], built, on_turn)
        rows = [
            self._row(task, task if own is None else own, built) for task, own in zip(tasks, throughputs, strict=True)
        ]
        if baseline is not None:
            _add_ratios(rows, baseline)
        return {
            "device": self.setup.identity.to_dict(),
            "measurement_key": self.key(),
            "baseline": baseline,
            "seed": self.seed,
            "order": order,
            "models": rows,
        }

    def _key(self, protocol: MeasurementProtocol, meter: EnergyMeter | Unavailable | None) -> dict[str, Any]:
        return network_key(self.setup.identity, protocol, self.shape, meter)

    def _task(self, network: Network, built: _Built) -> _Task:
        try:
            costs = count_costs(built.get(network), self.input_shape)
        except UsageError as error:
            known = network.label in error.problem
            raise UsageError(error.problem if known else f"{network.label}: {error.problem}", error.fix) from None
        return _Task(network, costs, self.setup.protocol, self.setup.meter)

    def _throughput_task(self, task: _Task) -> _Task | None:
        if self.throughput_batch_size in {None, self.setup.protocol.batch_size}:
            return None
        protocol = self.setup.protocol.model_copy(update={"batch_size": self.throughput_batch_size})
        return _Task(task.network, task.costs, protocol, meter=None)

    def _recall(self, task: _Task) -> None:
        """Takes what the store holds."""
        if task.network.store is None or self.is_fresh:
            return
        digest = key_digest(self._key(task.protocol, task.meter))
        record = task.network.store.measurement_record(digest, task.network.identity(self.shape))
        if record is not None:
            task.result, task.measured_at = Measurement.from_dict(record.result), record.measured_at
            task.is_stored = True

    def _measure_all(self, tasks: Sequence[_Task], built: _Built, on_turn: Callable[[Turn], None]) -> list[list[str]]:
        """Measures round by round; returns the labels in the order they had."""
        rounds = self.setup.protocol.rounds
        orders = interleaved(len(tasks), rounds, self.seed) if tasks else []
        number = 0
        for order in orders:
            for index in order:
                task = tasks[index]
                number += 1
                if task.failure is None:
                    on_turn(Turn(number, rounds * len(tasks), task.network.label, task.protocol.batch_size))
                    self._measure(task, built)
        return [[tasks[index].network.label for index in order] for order in orders]

    def _measure(self, task: _Task, built: _Built) -> None:
        """A round of a network; the last one completes it. One that fails is not tried again."""
        model, protocol = built.get(task.network), per_round(task.protocol)
        try:
            part = measure(model, self.input_shape, self.setup.device, protocol, task.meter, costs=task.costs)
        except CandidateError as error:
            task.failure = str(error)
            return
        task.parts.append(part)
        if len(task.parts) == task.protocol.rounds:
            task.result, task.measured_at = pooled(task.parts, task.protocol), time.time()
            self._keep(task, task.result)

    def _keep(self, task: _Task, result: Measurement) -> None:
        """Stores a result; one that lacks its energy is not kept, so that the next run tries again."""
        lacks_energy = isinstance(task.meter, EnergyMeter) and result.energy_mj is None
        if task.network.store is None or lacks_energy:
            return
        key = self._key(task.protocol, task.meter)
        network = task.network.identity(self.shape)
        task.network.store.save_measurement(key_digest(key), key, network, result.to_dict(), replace=self.is_fresh)

    def _row(self, task: _Task, throughput: _Task, built: _Built) -> dict[str, Any]:
        costs, result = task.costs, task.result
        memory, notes = self._peak_memory(task, built)
        measured = {} if result is None else result.to_dict()
        if throughput is not task:
            notes += _throughput_notes(throughput)
        return {
            "model": task.network.label,
            "digest": task.network.digest,
            "parameters": costs.parameters,
            "multiply_adds": costs.multiply_adds,
            "memory_access_elements": costs.memory_access_elements,
            "memory_access_bytes": costs.memory_access_bytes(task.protocol.bytes_per_element),
            "memory_access_bound": costs.memory_access_bound,
            "memory_access_excess": costs.memory_access_excess,
            "peak_memory_bytes": memory,
            "batch_size": task.protocol.batch_size,
            **{name: measured.get(name) for name in _MEASURED},
            **_throughput(throughput, costs),
            "measured_at": task.measured_at,
            "is_stored": task.is_stored,
            "flags": measured.get("flags", []),
            "notes": [*notes, *measured.get("notes", [])],
            "uncounted": list(costs.uncounted),
        }

    def _peak_memory(self, task: _Task, built: _Built) -> tuple[int | None, list[str]]:
        """Peak memory, or why there is none."""
        if task.failure is not None:
            return None, [task.failure]
        model = built.get(task.network)
        try:
            return peak_memory_bytes(model, self.input_shape, self.setup.device, task.protocol, costs=task.costs), []
        except CandidateError as error:
            return None, [str(error)]


def _throughput_notes(task: _Task) -> list[str]:
    """Why there is no throughput, or the flags of its measurement."""
    flags = [] if task.result is None else [flag.replace("_", " ") for flag in task.result.flags]
    text = task.failure or ", ".join(flags)
    return [f"images per second at batch {task.protocol.batch_size}: {text}"] if text else []


def _throughput(task: _Task, costs: Costs) -> dict[str, Any]:
    """Images and multiply-adds per second at the batch of a task."""
    batch, result = task.protocol.batch_size, task.result
    images = None if result is None else batch * 1e3 / result.latency_ms
    return {
        "throughput_batch_size": batch,
        "images_per_second": images,
        "multiply_adds_per_second": None if images is None else costs.multiply_adds * images,
    }


def _add_ratios(rows: Sequence[dict[str, Any]], baseline: str) -> None:
    base = next(row for row in rows if row["model"] == baseline)
    for row in rows:
        for name, figure in RATIOS.items():
            known = row[figure] is not None and base[figure]
            row[name] = row[figure] / base[figure] if known else None
