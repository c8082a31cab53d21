"""The evaluator that builds, measures and trains real networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from osanas.costs import Costs, count_costs
from osanas.errors import CandidateError, EnvironmentFailure, Unavailable
from osanas.evaluation.drift import REFERENCE, ReferenceWatch
from osanas.evaluation.evaluator import CandidateCosts, MeasurementKeys, Trained
from osanas.evaluation.keys import network_key
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.geometry import check_resolution, stem_reduction_for
from osanas.machine.device import DeviceIdentity, identify, resolve_device
from osanas.measure.energy.choose import open_meter
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.measurement import Measurement, key_digest, measure
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.runtimes import check_runtime, resolve_runtime
from osanas.models.build import build
from osanas.models.heads import Classifier
from osanas.store.store import Store
from osanas.study.config import StudyConfig
from osanas.study.recipe import Recipe
from osanas.study.records import CurvePoint, EpochRecord
from osanas.tasks.classification.augment import Augmentation
from osanas.tasks.classification.data import ClassificationData, load
from osanas.training.trainer import train


@dataclass(frozen=True)
class NetworkEvaluator:
    """Measures on the user's device and trains on the user's data.

    Attributes:
        protocol: For every candidate; ``final_protocol`` is that for the front.
        meter: None where energy is not measurable or not wanted.
        store: Where measurements are kept and found again; None keeps none.
        stem_reduction: By how much every stem reduces the image: 1, 2 or 4.
        watch: Checks the device against drift while a study is searched.
    """

    data: ClassificationData
    recipe: Recipe
    protocol: MeasurementProtocol
    torch_device: torch.device
    device_identity: DeviceIdentity
    meter: EnergyMeter | None
    store: Store | None
    seed: int
    stem_reduction: int
    watch: ReferenceWatch | None = None

    def identity(self) -> dict[str, Any]:
        """Task, data, recipe, device model, protocol and energy source."""
        augmentation = Augmentation.for_data(self.data) if self.recipe.augment else None
        return {
            "task": "classification",
            "data": self.data.describe(),
            "recipe": self.recipe.model_dump(mode="json"),
            "augmentation": None if augmentation is None else asdict(augmentation),
            "device": self.device_identity.model_key
            | {"threads": self.device_identity.threads, "omp_wait_policy": self.device_identity.omp_wait_policy},
            "seed": self.seed,
            "protocol": self.protocol.to_dict(),
            "energy_source": None if self.meter is None else self.meter.source,
            "stem_reduction": self.stem_reduction,
        }

    def shape(self) -> NetworkShape:
        """Image size, channels, classes and stem reduction."""
        return NetworkShape(self.data.resolution, self.data.in_channels, self.data.num_classes, self.stem_reduction)

    def device(self) -> dict[str, Any]:
        """The device, as JSON."""
        return self.device_identity.to_dict()

    def keys(self) -> MeasurementKeys:
        """The measurement keys of both protocols."""
        return MeasurementKeys(key_digest(self._key(self.protocol)), key_digest(self._key(self.final_protocol)))

    @property
    def final_protocol(self) -> MeasurementProtocol:
        """The full protocol under the same conditions."""
        same = ("batch_size", "precision", "runtime", "threads")
        return MeasurementProtocol(**{name: getattr(self.protocol, name) for name in same})

    def in_study(self, store: Store, study_id: int, say: Callable[[str], None]) -> NetworkEvaluator:
        """The same evaluator, with measurements kept in a store and the device watched."""
        if self.meter is not None:
            for note in self.meter.notes:
                say(f"{note[:1].upper()}{note[1:]}".rstrip(".") + ".")
        watch = ReferenceWatch(self._reference_latency, self.keys().search, store, study_id, say)
        return replace(self, store=store, watch=watch)

    def measure(self, architecture: Architecture) -> CandidateCosts:
        """Costs of the network by the search's protocol: stored ones if it was measured under the same key before."""
        return self._costs(architecture, self.protocol)

    def measure_final(self, architecture: Architecture) -> CandidateCosts:
        """Costs of the network by the full protocol, stored ones if there are."""
        return self._costs(architecture, self.final_protocol)

    def train(
        self,
        architecture: Architecture,
        *,
        epochs: int,
        checkpoint: Path | None,
        on_epoch: Callable[[CurvePoint], None],
        should_stop: Callable[[], bool],
    ) -> Trained:
        """Trains the network to ``epochs``, from its checkpoint if there is one."""
        result = train(
            self._build(architecture),
            self.data,
            self.recipe,
            epochs=epochs,
            seed=self.seed,
            device=self.torch_device,
            checkpoint=checkpoint,
            on_epoch=lambda record: on_epoch(_point(record)),
            should_stop=should_stop,
        )
        return Trained(result.accuracy, result.seconds, result.notes)

    @property
    def _input_shape(self) -> tuple[int, int, int]:
        return self.data.in_channels, self.data.resolution, self.data.resolution

    def _build(self, architecture: Architecture) -> Classifier:
        """The network with the initial weights of the study's seed."""
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                return build(
                    architecture,
                    num_classes=self.data.num_classes,
                    in_channels=self.data.in_channels,
                    stem_reduction=self.stem_reduction,
                )
        except (MemoryError, RuntimeError) as error:
            raise CandidateError(
                "build", f"The network cannot be built: {' '.join(str(error).split())[:300]}"
            ) from error

    def _key(self, protocol: MeasurementProtocol) -> dict[str, Any]:
        return network_key(
            self.device_identity,
            protocol,
            self._input_shape,
            self.meter,
            num_classes=self.data.num_classes,
            stem_reduction=self.stem_reduction,
        )

    def _costs(self, architecture: Architecture, protocol: MeasurementProtocol) -> CandidateCosts:
        model = self._build(architecture)
        costs = count_costs(model, self._input_shape)
        key = self._key(protocol)
        result = self._stored_or_measured(architecture, model, costs, protocol, key)
        return CandidateCosts(
            parameters=costs.parameters,
            multiply_adds=costs.multiply_adds,
            memory_access_elements=costs.memory_access_elements,
            latency_ms=result.latency_ms,
            energy_mj=result.energy_mj,
            energy_source=result.energy_source,
            notes=tuple(f"measured {flag.replace('_', ' ')}" for flag in result.flags),
            measurement_key=key_digest(key),
        )

    def _stored_or_measured(
        self,
        architecture: Architecture,
        model: Classifier,
        costs: Costs,
        protocol: MeasurementProtocol,
        key: Mapping[str, Any],
    ) -> Measurement:
        """The measurement under a key; one that lacks its energy is not kept, so that the next run tries again."""
        digest = key_digest(key)
        if self.store is not None:
            stored = self.store.measurement_record(digest, architecture.digest)
            if stored is not None:
                return Measurement.from_dict(stored.result)
        if self.watch is not None:
            self.watch.before_measuring()
        result = measure(model, self._input_shape, self.torch_device, protocol, self.meter, costs=costs)
        if self.meter is not None and result.energy_mj is None:
            reason = "; ".join(result.notes) or "no reason given"
            raise EnvironmentFailure(
                f"The energy meter ({self.meter.source}) gave no reading: {reason}.",
                "See 'osanas doctor'; run the same command again once the meter works.",
            )
        if self.store is not None:
            self.store.save_measurement(digest, key, architecture.digest, result.to_dict())
        if self.watch is not None:
            self.watch.measured(digest, architecture.digest)
        return result

    def _reference_latency(self) -> float:
        """Milliseconds of the reference network, built and measured as a candidate is."""
        model = self._build(self.shape().canonical(REFERENCE))
        return measure(model, self._input_shape, self.torch_device, self.protocol, None).latency_ms


def network_evaluator(config: StudyConfig) -> NetworkEvaluator:
    """Loads the data and finds device and meter.

    Raises:
        UsageError: Data, device, meter, recipe or resolution is wrong.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = resolve_device(config.device)
    runtime = resolve_runtime(config.runtime, device)
    check_runtime(runtime, config.precision, device)
    recipe = Recipe(batch_size=config.train_batch_size, **config.recipe.model_dump())
    data = load(
        config.data,
        data_dir=config.data_dir,
        resolution=config.resolution,
        train_samples=config.train_samples,
        split_seed=config.split_seed,
    )
    reduction = stem_reduction_for(data.resolution)
    check_resolution(data.resolution, reduction)
    meter = open_meter(config.energy, device)
    return NetworkEvaluator(
        data=data,
        recipe=recipe,
        protocol=MeasurementProtocol.for_search(
            batch_size=config.batch_size,
            precision=config.precision,
            runtime=runtime,
            threads=config.threads,
        ),
        torch_device=device,
        device_identity=identify(device),
        meter=None if isinstance(meter, Unavailable) else meter,
        store=None,
        seed=config.seed,
        stem_reduction=reduction,
    )


def _point(record: EpochRecord) -> CurvePoint:
    return CurvePoint(record.epoch, record.train_loss, record.val_loss, record.val_accuracy, record.seconds)
