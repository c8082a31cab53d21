"""The trainer of OSA networks on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from osanas.evaluation.evaluator import seed_of
from osanas.genotype.architecture import Architecture
from osanas.study.objectives import Score
from osanas.study.recipe import Recipe
from osanas.study.records import CurvePoint, Trained
from osanas.tasks.task import Task
from osanas.training.trainer import train


@dataclass(frozen=True)
class NetworkTrainer:
    """Trains networks for a task.

    Attributes:
        task: What for.
        recipe: How.
        device: Where.
        seed: Of weights, order and augmentation.
        build: Makes the network of an architecture with a seed's initial weights, under the task's head.
        threads: Torch's threads during a training; None leaves them as they are.
    """

    task: Task
    recipe: Recipe
    device: torch.device
    seed: int
    build: Callable[[Architecture, int], nn.Module]
    threads: int | None = None

    @property
    def score(self) -> Score:
        """The task's."""
        return self.task.score

    def identity(self) -> dict[str, Any]:
        """Task, data, recipe and seed."""
        return {
            "task": self.task.name,
            **self.task.describe(self.recipe),
            "recipe": self.recipe.model_dump(mode="json"),
            "seed": self.seed,
        }

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
        """Trains the network to ``epochs``, from its checkpoint if there is one; a repeat has another seed."""
        seed = seed_of(self.seed, repeat)
        with _torch_threads(self.threads):
            return train(
                self.build(architecture, seed),
                self.task,
                self.recipe,
                epochs=epochs,
                seed=seed,
                device=self.device,
                checkpoint=checkpoint,
                on_epoch=on_epoch,
                should_stop=should_stop,
            )


@contextmanager
def _torch_threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
