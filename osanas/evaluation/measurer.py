"""The measurer of OSA networks on a device. It loads neither Lightning, SQLAlchemy nor Optuna."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from osanas.costs import count_costs
from osanas.errors import EnvironmentFailure
from osanas.evaluation.drift import REFERENCE
from osanas.evaluation.evaluator import CandidateCosts, MeasurementKey, MeasurementKeys
from osanas.evaluation.keys import network_key
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.measurement import Measurement, key_digest
from osanas.measure.network import measure
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.setup import Setup
from osanas.study.flags import meaning


@dataclass(frozen=True)
class NetworkMeasurer:
    """Measures networks in their deployed form.

    Attributes:
        setup: Device, meter and the protocol for every candidate.
        network_shape: What networks are built for.
        build: Makes the network of an architecture, with its head.
    """

    setup: Setup
    network_shape: NetworkShape
    build: Callable[[Architecture], nn.Module]

    def identity(self) -> dict[str, Any]:
        """Device model, protocol, energy source and stem."""
        device = self.setup.identity
        return {
            "device": device.model_key | {"threads": device.threads, "omp_wait_policy": device.omp_wait_policy},
            "protocol": self.setup.protocol.to_dict(),
            "energy_source": self.setup.energy_source,
            "stem_reduction": self.network_shape.stem_reduction,
        }

    def shape(self) -> NetworkShape:
        """What networks are built for."""
        return self.network_shape

    def device(self) -> dict[str, Any]:
        """The device, as JSON."""
        return self.setup.identity.to_dict()

    def keys(self) -> MeasurementKeys:
        """The measurement keys of both protocols."""
        documents = [
            network_key(self.setup.identity, protocol, self.network_shape, self.setup.meter)
            for protocol in (self.setup.protocol, self.final_protocol)
        ]
        search, final = (MeasurementKey(key_digest(document), document) for document in documents)
        return MeasurementKeys(search, final)

    def notes(self) -> tuple[str, ...]:
        """Those of the meter."""
        return self.setup.meter.notes if isinstance(self.setup.meter, EnergyMeter) else ()

    @property
    def final_protocol(self) -> MeasurementProtocol:
        """The full protocol under the same conditions."""
        same = ("batch_size", "precision", "runtime", "threads")
        return MeasurementProtocol(**{name: getattr(self.setup.protocol, name) for name in same})

    def measure(
        self, architecture: Architecture, *, in_full: bool = False, stored: Mapping[str, Any] | None = None
    ) -> CandidateCosts:
        """Costs of a network by the search's protocol, or by the full one."""
        model = self.build(architecture)
        counted = count_costs(model, self.input_shape)
        if stored is not None:
            result = Measurement.from_dict(stored)
        else:
            protocol = self.final_protocol if in_full else self.setup.protocol
            meter = self.setup.meter if isinstance(self.setup.meter, EnergyMeter) else None
            result = measure(model, self.input_shape, self.setup.device, protocol, meter, costs=counted)
            self._require_energy(result)
        return CandidateCosts(
            parameters=counted.parameters,
            multiply_adds=counted.multiply_adds,
            memory_access_elements=counted.memory_access_elements,
            latency_ms=result.latency_ms,
            energy_mj=result.energy_mj,
            energy_source=result.energy_source,
            notes=tuple(f"its measurement is flagged {meaning(flag)}" for flag in result.flags),
            result=result.to_dict(),
        )

    @property
    def reference_ms(self) -> Callable[[], float]:
        """Measures the reference network, built and measured as a candidate is; without energy."""
        return self._reference_ms

    def _reference_ms(self) -> float:
        model = self.build(self.network_shape.canonical(REFERENCE))
        return measure(model, self.input_shape, self.setup.device, self.setup.protocol, None).latency_ms

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        shape = self.network_shape
        return shape.in_channels, shape.resolution, shape.resolution

    def _require_energy(self, result: Measurement) -> None:
        """Refuses a measurement that lacks its energy: it is not kept, so that the next run tries again."""
        meter = self.setup.meter
        if isinstance(meter, EnergyMeter) and result.energy_mj is None:
            reason = "; ".join(result.notes) or "no reason given"
            raise EnvironmentFailure(
                f"The energy meter ({meter.source}) gave no reading: {reason}.",
                "See 'osanas doctor'; run the same command again once the meter works.",
            )
