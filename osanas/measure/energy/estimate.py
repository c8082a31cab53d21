"""Energy from a formula, where no meter can be read. Everything that comes from here is labelled ``estimated``.

    energy = multiply-adds x e_mac + bytes moved x e_byte + static power x time

The coefficients are published figures of other hardware than the user's: an estimate orders networks by arithmetic,
memory traffic and time together, and says nothing about the watts of this machine.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from osanas.measure.energy.meter import EnergyMeter, EnergyReading, EnergySource, Load
from osanas.measure.protocol import MeasurementProtocol, Precision

_MULTIPLY_ADD_PJ: dict[Precision, float] = {"fp32": 3.7 + 0.9, "fp16": 1.1 + 0.4, "bf16": 1.1 + 0.4}
_DRAM_PJ_PER_BYTE = 1300 / 8
_STATIC_W_PER_CPU_CORE = 41 / 18
_STATIC_W_PER_GPU = 25.0


@dataclass(frozen=True)
class EstimateCoefficients:
    """Coefficients of the estimate; they are stored with every figure made from them.

    Attributes:
        multiply_add_pj: Picojoules of one multiplication and one addition: 3.7 + 0.9 in fp32, 1.1 + 0.4 in fp16, 45 nm
            at 0.9 V. M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, figure
            1.1.9. It has no bf16, which takes fp16's value.
        byte_pj: Picojoules of a byte from DRAM: 1.3 nJ for 64 bits, the low end of the same figure's 1.3 to 2.6 nJ.
            Every input, output and weight element counts as moved once; caches, which small networks fit into, are
            not modelled.
        static_power_w: Watts drawn whatever is computed. CPU: 41 W measured at idle on an 18-core Haswell E5-2699 v3,
            so 2.3 W for each thread used. GPU: 25 W measured at idle on a K80 die. N. Jouppi et al., "In-Datacenter
            Performance Analysis of a Tensor Processing Unit", ISCA 2017, table 2.
    """

    multiply_add_pj: float
    byte_pj: float
    static_power_w: float

    @classmethod
    def published(cls, kind: Literal["cpu", "cuda"], precision: Precision, threads: int) -> EstimateCoefficients:
        """The cited values for a kind of device.

        Args:
            kind: Of the device that computes.
            precision: Of the arithmetic.
            threads: CPU threads that compute; of no matter on a GPU.
        """
        static_power_w = _STATIC_W_PER_GPU if kind == "cuda" else _STATIC_W_PER_CPU_CORE * threads
        return cls(_MULTIPLY_ADD_PJ[precision], _DRAM_PJ_PER_BYTE, static_power_w)


def bytes_moved(memory_access_elements: int, parameters: int, batch_size: int, bytes_per_element: int) -> int:
    """Bytes that a batch moves: each image's activations, and the weights once for all of them."""
    weights = min(parameters, memory_access_elements)
    return ((memory_access_elements - weights) * batch_size + weights) * bytes_per_element


class EstimateMeter(EnergyMeter):
    """The formula as a meter; it runs nothing.

    Args:
        kind: Of the device that computes.
        threads: CPU threads that compute, unless the protocol sets another number.
        notes: Why nothing is measured.
    """

    source: ClassVar[EnergySource] = "estimated"
    needs_costs: ClassVar[bool] = True

    def __init__(self, kind: Literal["cpu", "cuda"], threads: int, notes: tuple[str, ...] = ()) -> None:
        self._kind = kind
        self._threads = threads
        self.notes = notes

    @property
    def method(self) -> str:
        """``analytic``."""
        return "analytic"

    def describe(self) -> dict[str, Any]:
        """Source, method and what the coefficients depend on besides the protocol."""
        published = EstimateCoefficients.published(self._kind, "fp32", self._threads)
        return {"source": self.source, "method": self.method, "kind": self._kind, "coefficients": asdict(published)}

    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        """The formula's value; none without the network's costs."""
        threads = protocol.threads or self._threads
        coefficients = EstimateCoefficients.published(self._kind, protocol.precision, threads)
        details = {"coefficients": asdict(coefficients)}
        if load.costs is None:
            why = "energy cannot be estimated: multiply-adds and memory access are not known"
            return EnergyReading(self.source, self.method, None, None, None, notes=(*self.notes, why), details=details)
        costs = load.costs
        moved = bytes_moved(
            costs.memory_access_elements, costs.parameters, protocol.batch_size, protocol.bytes_per_element
        )
        dynamic_j = (
            costs.multiply_adds * protocol.batch_size * coefficients.multiply_add_pj + moved * coefficients.byte_pj
        ) * 1e-12
        joules = dynamic_j + coefficients.static_power_w * load.iteration_seconds
        return EnergyReading(
            source=self.source,
            method=self.method,
            joules_per_iteration=joules,
            power_w=joules / load.iteration_seconds,
            idle_power_w=coefficients.static_power_w,
            net_joules_per_iteration=dynamic_j,
            notes=self.notes,
            details=details,
        )
