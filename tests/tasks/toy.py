"""A second task, complete in this file: how dark an image is, a number, judged by the share of variance explained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MetricCollection, R2Score

from osanas.genotype.architecture import STAGE_NAMES
from osanas.genotype.closed_form import NetworkShape
from osanas.models.backbone import OSABackbone
from osanas.study.objectives import Score
from osanas.study.recipe import Recipe
from osanas.tasks.task import Batch, epoch_seed


@dataclass(frozen=True)
class Part:
    """Images ``[N, 1, 8, 8]`` and numbers ``[N]``; shuffled by epoch where there is a seed."""

    images: Tensor
    numbers: Tensor
    batch_size: int
    seed: int | None = None

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def epoch(self, index: int) -> Iterator[Batch]:
        order = torch.arange(len(self.images))
        if self.seed is not None:
            generator = torch.Generator().manual_seed(epoch_seed(self.seed, index))
            order = torch.randperm(len(self.images), generator=generator)
        for members in order.tensor_split(len(self)):
            yield self.images[members], self.numbers[members]


class Head(nn.Module):
    """A number a backbone's last features."""

    def __init__(self, backbone: OSABackbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.fc = nn.Linear(backbone.channels[STAGE_NAMES[-1]], 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.backbone(x)[STAGE_NAMES[-1]].mean((2, 3))).squeeze(1)
        return out


@dataclass(frozen=True)
class Darkness:
    """The task."""

    images: int = 600
    name: ClassVar[str] = "darkness"
    score: ClassVar[Score] = Score("r2", "share of variance")
    shape: ClassVar[NetworkShape] = NetworkShape.of(8, 1, 1)

    @property
    def guessing_loss(self) -> float:
        return 1.0

    def describe(self, recipe: Recipe) -> dict[str, Any]:
        return {"data": {"name": "darkness", "train_size": self.images, "val_size": 100}}

    def head(self, backbone: OSABackbone) -> nn.Module:
        return Head(backbone)

    def training_batches(self, recipe: Recipe, *, seed: int, device: torch.device) -> Part:
        return self._part(0, self.images, recipe.batch_size, seed, device)

    def validation_batches(self, batch_size: int, *, device: torch.device) -> Part:
        return self._part(self.images, self.images + 100, batch_size, None, device)

    def loss(self, model: nn.Module, batch: Batch, recipe: Recipe) -> Tensor:
        images, numbers = batch
        return F.mse_loss(model(images), numbers)

    def scores(self) -> MetricCollection:
        return MetricCollection({"r2": R2Score(), "mae": MeanAbsoluteError()}, compute_groups=False)

    def judge(self, model: nn.Module, batch: Batch, scores: MetricCollection) -> Tensor:
        images, numbers = batch
        found = model(images)
        scores.update(found, numbers)
        return F.mse_loss(found, numbers)

    def _part(self, first: int, last: int, batch_size: int, seed: int | None, device: torch.device) -> Part:
        pixels = torch.from_numpy(load_digits().images[first:last]).float()[:, None] / 16
        darkness = pixels.mean((1, 2, 3))
        numbers = (darkness - 0.3) / 0.04
        return Part(pixels.to(device), numbers.to(device), batch_size, seed)
