"""What a task is: what networks are trained for, and by what they are judged.

Training, measuring and searching know a task by this protocol alone, so a further task is a further package beside
``classification``. ``osanas.testing.contracts.TaskContract`` tells whether one keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from osanas.genotype.closed_form import NetworkShape
from osanas.models.backbone import OSABackbone
from osanas.study.objectives import Score
from osanas.study.recipe import Recipe

Batch = tuple[Any, Any]
"""Inputs and targets, on the device; ``len`` of the inputs is their number."""


class Batches(Protocol):
    """A part of a data set, in batches."""

    def __len__(self) -> int:
        """Batches of an epoch."""
        ...

    def epoch(self, index: int) -> Iterator[Batch]:
        """The batches of an epoch (counted from 0): a function of the index alone, so that a training can resume.

        Raises:
            DataError: Data cannot be read.
        """
        ...


class Task(Protocol):
    """Data, head, loss and scores.

    A loss or a score never depends on which batches came before: everything random is drawn from seed and epoch.
    """

    @property
    def name(self) -> str:
        """Such as ``classification``."""
        ...

    @property
    def score(self) -> Score:
        """The one among ``scores`` that networks are judged by; higher is better."""
        ...

    @property
    def shape(self) -> NetworkShape:
        """What networks are built for; it decides what they cost."""
        ...

    @property
    def guessing_loss(self) -> float:
        """The loss of a network that knows nothing; a training far above it has diverged."""
        ...

    def describe(self, recipe: Recipe) -> dict[str, Any]:
        """What makes scores comparable, as JSON: part of a study's identity.

        Args:
            recipe: How networks are trained.

        Returns:
            At least ``data``: what is trained and judged on, ``train_size`` in it, and ``images_per_epoch`` where an
            epoch takes fewer.
        """
        ...

    def head(self, backbone: OSABackbone) -> nn.Module:
        """The network: a backbone under this task's head, with random weights from torch's global generator."""
        ...

    def training_batches(self, recipe: Recipe, *, seed: int, device: torch.device) -> Batches:
        """What a network is trained on.

        Args:
            recipe: Batch size and augmentation.
            seed: Of order and augmentation.
            device: Where batches are needed.
        """
        ...

    def validation_batches(self, batch_size: int, *, device: torch.device) -> Batches:
        """What a network is judged by, the same every epoch.

        Args:
            batch_size: Most inputs in a batch.
            device: Where batches are needed.
        """
        ...

    def loss(self, model: nn.Module, batch: Batch, recipe: Recipe) -> Tensor:
        """Mean loss over a batch in training: a scalar to go backward from."""
        ...

    def scores(self) -> MetricCollection:
        """An empty collection of what networks are judged by; ``compute`` gives each figure by its name."""
        ...

    def judge(self, model: nn.Module, batch: Batch, scores: MetricCollection) -> Tensor:
        """Adds a batch of validation data to the scores, and gives its mean loss."""
        ...


def epoch_seed(seed: int, epoch: int) -> int:
    """An independent 63-bit seed for each epoch (counted from 0) of each seed."""
    (value,) = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    return int(value >> np.uint64(1))
