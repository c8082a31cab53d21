"""OSA-bench as measurer and trainer of a search: ``osanas.search(space, 50, measurer=bench, trainer=bench)``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.osa_bench.bench import EPOCHS, SHAPE, OsaBench
from osanas.errors import TrainingStopped, UsageError
from osanas.evaluation.evaluator import CandidateCosts, MeasurementKeys, seed_of
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.study.objectives import ACCURACY, Score
from osanas.study.records import CurvePoint, Trained


@dataclass(frozen=True)
class BenchEvaluator:
    """Measurer and trainer in one: answers from the bench; no time passes. There is no energy.

    Attributes:
        seed: Of the trainings.
    """

    bench: OsaBench
    seed: int = 0
    score: ClassVar[Score] = ACCURACY
    reference_ms: ClassVar[None] = None

    def identity(self) -> dict[str, Any]:
        """The table and the seed."""
        return {"osa_bench": self.bench.table.fingerprint, "seed": self.seed, "energy_source": None}

    def device(self) -> dict[str, Any]:
        """The table stands for the processor that it was measured on."""
        return {"kind": "cpu", "name": "OSA-bench"}

    def shape(self) -> NetworkShape:
        """That of the table."""
        return SHAPE

    def keys(self) -> MeasurementKeys:
        """One for both: the table has one latency a member."""
        return MeasurementKeys.of(self.bench.table.fingerprint)

    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def measure(
        self,
        architecture: Architecture,
        *,
        in_full: bool = False,  # noqa: ARG002 - there is nothing more exact
        stored: Mapping[str, Any] | None = None,  # noqa: ARG002 - it would be the same
    ) -> CandidateCosts:
        """Counts, and the bench's latency."""
        found = SHAPE.costs(architecture)
        return CandidateCosts(
            parameters=found.parameters,
            multiply_adds=found.multiply_adds,
            memory_access_elements=found.memory_access_elements,
            latency_ms=float(self.bench.latencies_ms([architecture])[0]),
            energy_mj=None,
            energy_source=None,
        )

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
        """The bench's curve up to ``epochs``, from the epoch that the checkpoint names.

        The bench knows no losses: its curve points carry the negative logarithm of the accuracy in their place.

        Raises:
            UsageError: The bench's trainings end earlier.
        """
        if epochs > EPOCHS:
            raise UsageError(
                f"The trainings of OSA-bench end after {EPOCHS} epochs; {epochs} were asked for.",
                f"Search with at most {EPOCHS} epochs.",
            )
        curve = self.bench.curves([architecture], seed_of(self.seed, repeat))[0]
        done = int(checkpoint.read_text()) if checkpoint is not None and checkpoint.exists() else 0
        for epoch in range(done + 1, epochs + 1):
            if should_stop():
                raise TrainingStopped("The search was told to stop.")
            accuracy = float(curve[epoch - 1])
            on_epoch(CurvePoint(epoch, -math.log(accuracy), -math.log(accuracy), accuracy, 0.0))
            if checkpoint is not None:
                checkpoint.parent.mkdir(parents=True, exist_ok=True)
                checkpoint.write_text(str(epoch))
        return Trained(float(curve[epochs - 1]), 0.0)
