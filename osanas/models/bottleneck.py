"""The negative control of the paper: VoVNet-27-slim with a 1x1 bottleneck before every 3x3 convolution.

VoVNet, arXiv 1904.09730, Table 3: 18 % fewer multiply-adds within the paper's detector, and yet 29 % slower on its GPU,
because a bottleneck splits the work into smaller operations one after the other. As a classifier at 224 pixels it has
16 % fewer multiply-adds, 22 % fewer parameters, and 7 % more memory access. A peer to compare with, not a choice of
spaces.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from osanas.models.backbone import initialise
from osanas.models.build import build
from osanas.models.heads import Classifier
from osanas.models.osa import ConvUnit, OSAModule

BOTTLENECK_NAME = "vovnet27_slim_bottleneck"


def build_bottleneck(num_classes: int = 1000, *, in_channels: int = 3, stem_reduction: int = 4) -> Classifier:
    """Builds VoVNet-27-slim with bottlenecks and random weights.

    Its ``backbone.architecture`` is VoVNet-27-slim's, which the bottlenecks were put into: they are outside of what a
    genotype can say.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the image.
        stem_reduction: By how much the stem reduces the image: 1, 2 or 4.

    Raises:
        UsageError: If a number is out of range.
    """
    model = build("vovnet27_slim", num_classes=num_classes, in_channels=in_channels, stem_reduction=stem_reduction)
    for module in model.backbone.modules():
        if isinstance(module, OSAModule):
            units = (layer.conv for layer in module.layers if isinstance(layer, ConvUnit))
            module.layers = nn.ModuleList(_bottleneck(conv.in_channels, conv.out_channels) for conv in units)
    initialise(model.backbone)
    return model


def _bottleneck(in_channels: int, out_channels: int) -> nn.Sequential:
    narrow = in_channels // 2
    return nn.Sequential(
        OrderedDict(
            reduction=ConvUnit(in_channels, narrow, kernel_size=1),
            conv=ConvUnit(narrow, out_channels),
        )
    )
