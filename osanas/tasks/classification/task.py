"""The classification task."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from osanas.genotype.closed_form import NetworkShape
from osanas.models.backbone import OSABackbone
from osanas.models.heads import Classifier
from osanas.study.objectives import ACCURACY, Score
from osanas.study.recipe import Recipe
from osanas.tasks.classification.augment import Augmentation
from osanas.tasks.classification.batches import TrainingBatches, ValidationBatches
from osanas.tasks.classification.data import ClassificationData
from osanas.tasks.task import Batch


class TopOne(MulticlassAccuracy):
    """Top-1 accuracy over all images, 0..1, as a float64: counts of images divide exactly there."""

    def compute(self) -> Tensor:
        """Correct images over all."""
        correct, _, _, missed = self._final_state()
        return correct.double() / (correct + missed)


@dataclass(frozen=True)
class Classification:
    """One class an image, judged by top-1 accuracy."""

    data: ClassificationData
    name: ClassVar[str] = "classification"

    @property
    def score(self) -> Score:
        """Top-1 accuracy; guessing gives one over the number of classes."""
        return replace(ACCURACY, chance=1 / self.data.num_classes)

    @property
    def shape(self) -> NetworkShape:
        """Image size, channels, classes, and the stem that suits them.

        Raises:
            UsageError: The images are too small for any OSA network.
        """
        return NetworkShape.of(self.data.resolution, self.data.in_channels, self.data.num_classes)

    @property
    def guessing_loss(self) -> float:
        """That of equal probabilities."""
        return math.log(max(2, self.data.num_classes))

    def describe(self, recipe: Recipe) -> dict[str, Any]:
        """The images and what is done to them."""
        augmentation = Augmentation.for_data(self.data) if recipe.augment else None
        return {
            "data": self.data.describe(),
            "augmentation": None if augmentation is None else asdict(augmentation),
        }

    def head(self, backbone: OSABackbone) -> nn.Module:
        """Global average and one linear layer."""
        return Classifier(backbone, self.data.num_classes)

    def training_batches(self, recipe: Recipe, *, seed: int, device: torch.device) -> TrainingBatches:
        """Shuffled, augmented, normalised."""
        return TrainingBatches(self.data, recipe, seed=seed, device=device)

    def validation_batches(self, batch_size: int, *, device: torch.device) -> ValidationBatches:
        """In order, normalised."""
        return ValidationBatches(self.data, batch_size=batch_size, device=device)

    def loss(self, model: nn.Module, batch: Batch, recipe: Recipe) -> Tensor:
        """Cross-entropy with smoothed labels."""
        images, labels = batch
        return F.cross_entropy(model(images), labels, label_smoothing=recipe.label_smoothing)

    def scores(self) -> MetricCollection:
        """Top-1 accuracy; labels are not checked again at every batch, for which a GPU would be waited for."""
        return MetricCollection({ACCURACY.name: TopOne(self.data.num_classes, average="micro", validate_args=False)})

    def judge(self, model: nn.Module, batch: Batch, scores: MetricCollection) -> Tensor:
        """Adds a batch to the accuracy; its cross-entropy, with the labels as they are."""
        images, labels = batch
        logits = model(images).float()
        scores.update(logits, labels)
        return F.cross_entropy(logits, labels)
