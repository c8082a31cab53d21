"""The batches of a training, a function of seed and epoch alone: resuming after any epoch sees what it would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from osanas.study.recipe import Recipe
from osanas.tasks.classification.augment import Augmentation
from osanas.tasks.classification.data import ClassificationData
from osanas.tasks.images import Batch, normalise


def epoch_seed(seed: int, epoch: int) -> int:
    """An independent 63-bit seed for each epoch (counted from 0) of each seed."""
    (value,) = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    return int(value >> np.uint64(1))


class TrainingBatches:
    """Shuffled, augmented, normalised batches; every iteration is the epoch that is current at its first batch.

    Batches are equal in size but for one image, since batch norm cannot take a last batch of one.

    Args:
        data: The data set; its training part is read.
        recipe: Batch size and augmentation.
        seed: Seed of the training.
        device: Where the batches are made.
        current_epoch: The epoch about to be trained, from 0.
    """

    def __init__(
        self,
        data: ClassificationData,
        recipe: Recipe,
        *,
        seed: int,
        device: torch.device,
        current_epoch: Callable[[], int],
    ) -> None:
        self._split = data.train.on(device)
        self._statistics = data.statistics(device)
        self._augmentation = Augmentation.for_data(data) if recipe.augment else None
        self._seed = seed
        self._device = device
        self._current_epoch = current_epoch
        self._batch_count = -(-len(self._split) // recipe.batch_size)

    def __len__(self) -> int:
        return self._batch_count

    def __iter__(self) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(epoch_seed(self._seed, self._current_epoch()))
        members = torch.randperm(len(self._split), generator=generator).tensor_split(self._batch_count)
        if self._augmentation is None:
            for images, labels in self._split.batches(members):
                yield normalise(images, *self._statistics), labels
            return
        drawn = self._augmentation.draw(len(self._split), generator).to(self._device).tensor_split(self._batch_count)
        for (images, labels), rows in zip(self._split.batches(members), drawn, strict=True):
            yield normalise(self._augmentation.apply(images, rows), *self._statistics), labels


class ValidationBatches:
    """The validation images in order, normalised.

    Args:
        data: The data set; its validation part is read.
        batch_size: Most images in a batch.
        device: Where the batches are made.
    """

    def __init__(self, data: ClassificationData, *, batch_size: int, device: torch.device) -> None:
        self._split = data.val.on(device)
        self._statistics = data.statistics(device)
        self._members: tuple[Tensor, ...] = torch.split(torch.arange(len(self._split)), batch_size)

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Batch]:
        for images, labels in self._split.batches(self._members):
            yield normalise(images, *self._statistics), labels
