"""The batches of a training, a function of seed and epoch alone: resuming after any epoch sees what it would have."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from osanas.study.recipe import Recipe
from osanas.tasks.classification.augment import Augmentation
from osanas.tasks.classification.data import ClassificationData
from osanas.tasks.images import Images, normalise
from osanas.tasks.task import epoch_seed


class TrainingBatches:
    """Shuffled, augmented, normalised batches.

    They are equal in size but for one image, since batch norm cannot take a last batch of one. Where a data set has
    more images than an epoch takes (``ClassificationData.images_per_epoch``), epochs share out an order of all of them,
    and a new order is drawn when each image had its turn.

    Args:
        data: The data set; its training part is read.
        recipe: Batch size and augmentation.
        seed: Seed of the training.
        device: Where the batches are made.
    """

    def __init__(self, data: ClassificationData, recipe: Recipe, *, seed: int, device: torch.device) -> None:
        self._split = data.train.on(device)
        self._statistics = data.statistics(device)
        self._augmentation = Augmentation.for_data(data) if recipe.augment else None
        self._seed = seed
        self._device = device
        self._parts = max(1, round(len(self._split) / (data.images_per_epoch or len(self._split))))
        self._batch_count = math.ceil(math.ceil(len(self._split) / self._parts) / recipe.batch_size)

    def __len__(self) -> int:
        return self._batch_count

    def epoch(self, index: int) -> Iterator[Images]:
        """The epoch's images once, in an order of its own."""
        number, part = divmod(index, self._parts)
        generator = torch.Generator().manual_seed(epoch_seed(self._seed, number))
        members = self._batched(torch.randperm(len(self._split), generator=generator), part)
        if self._augmentation is None:
            for images, labels in self._split.batches(members):
                yield normalise(images, *self._statistics), labels
            return
        drawn = self._batched(self._augmentation.draw(len(self._split), generator).to(self._device), part)
        for (images, labels), rows in zip(self._split.batches(members), drawn, strict=True):
            yield normalise(self._augmentation.apply(images, rows), *self._statistics), labels

    def _batched(self, of_all: Tensor, part: int) -> tuple[Tensor, ...]:
        """One part's share of a row for each image, cut into batches."""
        return of_all.tensor_split(self._parts)[part].tensor_split(self._batch_count)


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

    def epoch(self, index: int) -> Iterator[Images]:  # noqa: ARG002 - the same every epoch
        """All validation images once."""
        for images, labels in self._split.batches(self._members):
            yield normalise(images, *self._statistics), labels
