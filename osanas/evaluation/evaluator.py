"""What the search asks of an evaluation. Training is one way to answer, a table of results another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.store.store import Store
from osanas.study.records import CurvePoint


@dataclass(frozen=True)
class CandidateCosts:
    """What an architecture costs, known before any training. None is "not measurable".

    Attributes:
        latency_ms: Median milliseconds of one inference at the protocol's batch size.
        energy_mj: Gross millijoules per image.
        energy_source: ``nvml``, ``rapl`` or ``estimated``.
        notes: What a reader of the figures should know, such as that the processor was contended.
        measurement_key: Digest of the key that latency and energy were measured under; None is that of ``keys()``.
    """

    parameters: int | None
    multiply_adds: int | None
    memory_access_elements: int | None
    latency_ms: float | None
    energy_mj: float | None
    energy_source: str | None
    notes: tuple[str, ...] = ()
    measurement_key: str | None = None


@dataclass(frozen=True)
class MeasurementKeys:
    """Names of everything that latency and energy depend on besides the network; figures of unequal ones never meet.

    They may change when a study is resumed, for instance with the driver; the study then says so.

    Attributes:
        search: Of ``measure``, at most 80 characters.
        final: Of ``measure_final``; equal to ``search`` where both give the same figures.
    """

    search: str
    final: str


@dataclass(frozen=True)
class Trained:
    """What training gave.

    Attributes:
        accuracy: Top-1 on the validation split, 0 to 1, after the last epoch.
        seconds: Wall time, over all processes that worked on it.
        notes: What a reader of the result should know.
    """

    accuracy: float
    seconds: float
    notes: tuple[str, ...] = ()


class Evaluator(Protocol):
    """Evaluates architectures.

    A failure of the candidate raises ``CandidateError``, one of the device, the meter or the database
    ``EnvironmentFailure``.
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

    def in_study(self, store: Store, study_id: int, say: Callable[[str], None]) -> Evaluator:
        """The same evaluator at work in a study; itself if it keeps nothing.

        Args:
            store: For what it measures.
            study_id: Of the study's row.
            say: Tells the user something that concerns the whole run.
        """
        ...

    def measure(self, architecture: Architecture) -> CandidateCosts:
        """Costs, without training, under the search's protocol: cheap enough for every candidate."""
        ...

    def measure_final(self, architecture: Architecture) -> CandidateCosts:
        """Costs as exactly as they can be had: for the members of the final front."""
        ...

    def train(
        self,
        architecture: Architecture,
        *,
        epochs: int,
        checkpoint: Path | None,
        on_epoch: Callable[[CurvePoint], None],
        should_stop: Callable[[], bool],
    ) -> Trained:
        """Trains to ``epochs`` in all, from the checkpoint if that file exists.

        Args:
            checkpoint: Where to keep the state after each epoch. It stays when training is done, since the candidate
                may be trained on.
            on_epoch: Called after each epoch, before its checkpoint is written: a crash repeats one, it loses none.
            should_stop: Asked often; when true, ``train`` raises ``TrainingStopped``.
        """
        ...
