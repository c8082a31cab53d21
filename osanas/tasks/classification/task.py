"""The classification task: its loss and its metric."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy


def loss(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy of ``logits[N, classes]`` against ``labels[N]``."""
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)


def accuracy_metric(num_classes: int) -> MulticlassAccuracy:
    """Top-1 accuracy over all images, 0..1."""
    return MulticlassAccuracy(num_classes, average="micro")
