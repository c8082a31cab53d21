"""What the search asks of an evaluation. Training is one way to answer, a table of results another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from osanas.arch import Architecture
from osanas.store.records import CurvePoint
from osanas.store.store import Store


@dataclass(frozen=True)
class CandidateCosts:
    """What an architecture costs, known before any training. None is "not measurable".

    Attributes:
        latency_ms: Median milliseconds of one inference at the protocol's batch size.
        energy_mj: Gross millijoules per image.
        energy_source: ``nvml``, ``rapl`` or ``estimated``.
    """

    parameters: int | None
    multiply_adds: int | None
    memory_access_elements: int | None
    latency_ms: float | None
    energy_mj: float | None
    energy_source: str | None
    notes: tuple[str, ...] = ()
    """What a reader of the figures should know, such as that the processor was contended."""


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

    def device(self) -> dict[str, Any]:
        """The device it measures on, as JSON."""
        ...

    def keeping(self, store: Store) -> Evaluator:
        """The same evaluator with a store for what it measures; itself if it keeps nothing."""
        ...

    def canonical(self, architecture: Architecture) -> Architecture:
        """The architecture with choices set to one value that make no difference to its networks."""
        ...

    def measure(self, architecture: Architecture) -> CandidateCosts:
        """Costs, without training."""
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
        """Trains to ``epochs``, from the checkpoint if that file exists.

        Args:
            checkpoint: Where to keep the state after each epoch.
            on_epoch: Called after each epoch, before its checkpoint is written: a crash repeats one, it loses none.
            should_stop: Asked often; when true, ``train`` raises ``TrainingStopped``.
        """
        ...
