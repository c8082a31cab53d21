"""The classification head."""

from __future__ import annotations

from torch import Tensor, nn

from osanas.genotype.architecture import STAGE_NAMES
from osanas.models.backbone import OSABackbone, initialise


class Classifier(nn.Module):
    """Global average of the last stage's features, then one linear layer.

    Args:
        backbone: The features.
        num_classes: Number of classes.
    """

    def __init__(self, backbone: OSABackbone, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(backbone.channels[STAGE_NAMES[-1]], num_classes)
        initialise(self.fc)

    def forward(self, x: Tensor) -> Tensor:
        """Computes logits ``[N, num_classes]`` of images ``x[N, C, H, W]``."""
        features = self.backbone(x)[STAGE_NAMES[-1]]
        logits: Tensor = self.fc(self.pool(features).flatten(1))
        return logits
