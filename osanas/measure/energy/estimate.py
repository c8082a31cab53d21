"""Energy from a formula, where no meter can be read. Everything that comes from here is labelled ``estimated``.

    energy = multiply-adds x e_mac + bytes moved x e_byte + static power x time

The coefficients are published figures of other hardware than the user's: an estimate orders networks by arithmetic,
memory traffic and time together, and says nothing about the watts of this machine.
"""

from __future__ import annotations

from typing import Any, ClassVar

from osanas.measure.energy.meter import EnergyMeter, EnergyReading, EnergySource, Load
from osanas.measure.protocol import MeasurementProtocol, Precision

_MULTIPLY_ADD_PJ: dict[Precision, float] = {"fp32": 3.7 + 0.9, "fp16": 1.1 + 0.4, "bf16": 1.1 + 0.4}
"""Picojoules of one multiplication and one addition, 45 nm at 0.9 V. M. Horowitz, "Computing's energy problem (and what
we can do about it)", ISSCC 2014, figure 1.1.9. It has no bf16, which takes fp16's value."""

_DRAM_PJ_PER_BYTE = 1300 / 8
"""Picojoules of a byte from DRAM: 1.3 nJ for 64 bits, the low end of the same figure's 1.3 to 2.6 nJ. Every input,
output and weight element counts as moved once; caches, which small networks fit into, are not modelled."""

_STATIC_W_PER_CPU_CORE = 41 / 18
_STATIC_W_PER_GPU = 25.0
"""Watts drawn whatever is computed, measured at idle: 41 W on an 18-core Haswell E5-2699 v3, 25 W on a K80 die. N.
Jouppi et al., "In-Datacenter Performance Analysis of a Tensor Processing Unit", ISCA 2017, table 2."""


def coefficients(kind: str, precision: Precision, threads: int) -> dict[str, float]:
    """The published coefficients; they are stored with every figure made from them.

    Args:
        kind: ``cpu`` or ``cuda``, of the device that computes.
        precision: Of the arithmetic.
        threads: CPU threads that compute; of no matter on a GPU.
    """
    return {
        "multiply_add_pj": _MULTIPLY_ADD_PJ[precision],
        "byte_pj": _DRAM_PJ_PER_BYTE,
        "static_power_w": _STATIC_W_PER_GPU if kind == "cuda" else _STATIC_W_PER_CPU_CORE * threads,
    }


def bytes_moved(memory_access_elements: int, parameters: int, batch_size: int, bytes_per_element: int) -> int:
    """Bytes that a batch moves: each image's activations, and the weights once for all of them."""
    weights = min(parameters, memory_access_elements)
    return ((memory_access_elements - weights) * batch_size + weights) * bytes_per_element


class EstimateMeter(EnergyMeter):
    """The formula as a meter; it runs nothing.

    Args:
        kind: ``cpu`` or ``cuda``, of the device that computes.
        threads: CPU threads that compute, unless the protocol sets another number.
        notes: Why nothing is measured.
    """

    source: ClassVar[EnergySource] = "estimated"
    method = "analytic"
    needs_costs: ClassVar[bool] = True

    def __init__(self, kind: str, threads: int, notes: tuple[str, ...] = ()) -> None:
        self._kind = kind
        self._threads = threads
        self.notes = notes

    def describe(self) -> dict[str, Any]:
        """Source, method and what the coefficients depend on besides the protocol."""
        published = coefficients(self._kind, "fp32", self._threads)
        return {"source": self.source, "method": self.method, "kind": self._kind, "coefficients": published}

    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        """The formula's value; none without the network's costs."""
        used = coefficients(self._kind, protocol.precision, protocol.threads or self._threads)
        details = {"coefficients": used}
        if load.costs is None:
            why = "energy cannot be estimated: multiply-adds and memory access are not known"
            return EnergyReading(self.source, self.method, None, None, None, notes=(*self.notes, why), details=details)
        costs = load.costs
        moved = bytes_moved(
            costs.memory_access_elements, costs.parameters, protocol.batch_size, protocol.bytes_per_element
        )
        multiply_adds = costs.multiply_adds * protocol.batch_size
        dynamic_j = (multiply_adds * used["multiply_add_pj"] + moved * used["byte_pj"]) * 1e-12
        joules = dynamic_j + used["static_power_w"] * load.iteration_seconds
        return EnergyReading(
            source=self.source,
            method=self.method,
            joules_per_iteration=joules,
            power_w=joules / load.iteration_seconds,
            idle_power_w=used["static_power_w"],
            net_joules_per_iteration=dynamic_j,
            notes=self.notes,
            details=details,
        )
