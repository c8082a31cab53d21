"""What the search asks of whoever evaluates networks: what one costs, and what it reaches.

Two protocols, since a pool of networks is priced untrained, and another machine may do the pricing. Neither knows of a
database: what was measured before is handed in. ``osanas.testing.contracts`` tells whether an implementation keeps
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.study.objectives import Score
from osanas.study.records import CurvePoint, Trained


@dataclass(frozen=True)
class CandidateCosts:
    """What an architecture costs, known before any training. None is "not measurable".

    Attributes:
        parameters: Trainable ones.
        multiply_adds: Of one image.
        memory_access_elements: Of one image.
        latency_ms: Median milliseconds of one inference at the protocol's batch size.
        energy_mj: Gross millijoules per image.
        energy_source: ``nvml``, ``rapl`` or ``estimated``.
        notes: What a reader of the figures should know, such as that the processor was contended.
        result: The whole measurement as JSON, to be stored and handed in again; at least ``latency_ms`` and
            ``energy_mj``. Left out, it is these and ``energy_source``.
    """

    parameters: int | None
    multiply_adds: int | None
    memory_access_elements: int | None
    latency_ms: float | None
    energy_mj: float | None
    energy_source: str | None
    notes: tuple[str, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)

    def stored_form(self) -> dict[str, Any]:
        """What is stored of the measurement."""
        figures = {name: getattr(self, name) for name in ("latency_ms", "energy_mj", "energy_source")}
        return figures | dict(self.result)


@dataclass(frozen=True)
class MeasurementKey:
    """Everything that latency and energy depend on besides the network; figures of unequal ones never meet.

    Attributes:
        digest: Its name, at most 80 characters.
        document: What stands behind it, as JSON; empty where whoever measures knows it by its name alone.
    """

    digest: str
    document: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MeasurementKeys:
    """The keys of a run. They may change when a study is resumed, for instance with the driver; it then says so."""

    search: MeasurementKey
    final: MeasurementKey

    @classmethod
    def of(cls, search: str, final: str | None = None) -> MeasurementKeys:
        """Keys that are names alone; one for both unless a second is given."""
        return cls(MeasurementKey(search), MeasurementKey(search if final is None else final))


SEED_STEP = 1_000_003
"""Between the seeds of a candidate's trainings: more than anybody counts seeds of studies."""


def seed_of(seed: int, repeat: int) -> int:
    """The seed of a training.

    Args:
        seed: Of the study.
        repeat: Which training of a candidate it is, from 0.
    """
    return seed + SEED_STEP * repeat


class Measurer(Protocol):
    """Says what networks cost.

    A failure of the network raises ``CandidateError``, one of the device or the meter ``EnvironmentFailure``.
    """

    def identity(self) -> dict[str, Any]:
        """What makes its figures comparable, as JSON: part of the study's identity. ``energy_source`` is a key."""
        ...

    def shape(self) -> NetworkShape:
        """What it builds networks for: it decides what they cost."""
        ...

    def device(self) -> dict[str, Any]:
        """The device it measures on, as JSON."""
        ...

    def keys(self) -> MeasurementKeys:
        """The measurement keys of this run."""
        ...

    def notes(self) -> tuple[str, ...]:
        """What a reader of all its figures should know, as clauses: why a better meter is not used, for instance."""
        ...

    def measure(
        self, architecture: Architecture, *, in_full: bool = False, stored: Mapping[str, Any] | None = None
    ) -> CandidateCosts:
        """What a network costs, without training.

        Args:
            architecture: The network.
            in_full: As exactly as it can be had, for the members of a final front; otherwise cheaply enough for every
                candidate.
            stored: A ``result`` of before under the same key: then nothing is measured again.
        """
        ...

    @property
    def reference_ms(self) -> Callable[[], float] | None:
        """Measures one small network that is always the same, in milliseconds: whether the device is what it was.

        None where that cannot change.
        """
        ...


class Trainer(Protocol):
    """Says what networks reach.

    A failure of the network raises ``CandidateError``, one of the device ``EnvironmentFailure``.
    """

    @property
    def score(self) -> Score:
        """What it judges networks by."""
        ...

    def identity(self) -> dict[str, Any]:
        """What makes its scores comparable, as JSON: part of the study's identity."""
        ...

    def train(
        self,
        architecture: Architecture,
        *,
        epochs: int,
        checkpoint: Path | None,
        on_epoch: Callable[[CurvePoint], None],
        should_stop: Callable[[], bool],
        repeat: int = 0,
    ) -> Trained:
        """Trains to ``epochs`` in all, from the checkpoint if that file exists.

        Args:
            architecture: The network.
            epochs: Of the rung.
            checkpoint: Where to keep the state: when training is done, since the candidate may be trained on, and on
                the way as often as what a crash would cost asks for.
            on_epoch: Called after each epoch, before a checkpoint is written: a crash repeats epochs, it loses none.
            should_stop: Asked often; when true, ``train`` raises ``TrainingStopped``.
            repeat: 0 for a candidate's own training. Each other number stands for another seed of all that is random
                (weights, order, augmentation), as ``seed_of`` gives it, and comes with a checkpoint of its own.
        """
        ...
