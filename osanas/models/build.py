"""From a published variant's name, an architecture or its JSON form to a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osanas.errors import UsageError
from osanas.genotype.architecture import Architecture
from osanas.genotype.variants import VARIANTS
from osanas.models.backbone import OSABackbone
from osanas.models.heads import Classifier
from osanas.validation import did_you_mean

ArchitectureLike = str | Architecture | Mapping[str, Any]
"""A published variant's name, an architecture, or its JSON form."""


def build(
    name_or_architecture: ArchitectureLike,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem_reduction: int = 4,
) -> Classifier:
    """Builds a classification network with random weights from torch's global generator.

    Args:
        name_or_architecture: A published variant's name, an architecture, or its JSON form.
        num_classes: Number of classes.
        in_channels: Channels of the image.
        stem_reduction: By how much the stem reduces the image: 1, 2 or 4; ``stem_reduction_for`` suits one to a size.

    Raises:
        UsageError: If the name is unknown or a number is out of range.
        ConfigError: If the JSON form is wrong, naming everything wrong in it.
    """
    _require_positive("num_classes", num_classes)
    backbone = build_backbone(name_or_architecture, in_channels=in_channels, stem_reduction=stem_reduction)
    return Classifier(backbone, num_classes)


def build_backbone(
    name_or_architecture: ArchitectureLike, *, in_channels: int = 3, stem_reduction: int = 4
) -> OSABackbone:
    """Builds the features alone: ``forward(x[N, C, H, W]) -> {"stage2": ..., ..., "stage5": ...}``.

    Args:
        name_or_architecture: A published variant's name, an architecture, or its JSON form.
        in_channels: Channels of the image.
        stem_reduction: By how much the stem reduces the image: 1, 2 or 4.

    Raises:
        UsageError: If the name is unknown or a number is out of range.
        ConfigError: If the JSON form is wrong, naming everything wrong in it.
    """
    _require_positive("in_channels", in_channels)
    architecture = architecture_of(name_or_architecture)
    return OSABackbone(architecture, in_channels=in_channels, stem_reduction=stem_reduction)


def architecture_of(name_or_architecture: ArchitectureLike) -> Architecture:
    """The architecture meant by a published variant's name, an architecture, or its JSON form.

    Raises:
        UsageError: If the name is unknown.
        ConfigError: If the JSON form is wrong, naming everything wrong in it.
    """
    if isinstance(name_or_architecture, Architecture):
        return name_or_architecture
    if not isinstance(name_or_architecture, str):
        return Architecture.from_dict(dict(name_or_architecture))
    if name_or_architecture not in VARIANTS:
        raise UsageError(
            f"There is no published variant '{name_or_architecture}'.", did_you_mean(name_or_architecture, VARIANTS)
        )
    return VARIANTS[name_or_architecture]


def _require_positive(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"{name} is {value}.", "Give at least 1.")
