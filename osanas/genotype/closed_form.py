"""What an OSA network costs, in closed form from its genotype, and the sizes of its maps. Free of torch.

The same counts come from tracing the built network (``osanas.costs``); here they take microseconds, so whole search
spaces can be priced. Units: parameters, multiply-adds and elements for one image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from osanas.errors import UsageError
from osanas.genotype.architecture import STAGE_NAMES, Architecture, Attention, Downsample

StemReduction = Literal[1, 2, 4]
"""By how much the stem reduces height and width."""
ModuleAttention = Literal["none", "ese", "eca"]
"""The gate of one OSA module."""

STEM_REDUCTIONS: tuple[StemReduction, ...] = (1, 2, 4)


@dataclass(frozen=True)
class GenotypeCosts:
    """Costs of a network for one image."""

    parameters: int
    """Trainable parameters, batch norm's weights and biases included."""
    multiply_adds: int
    """Multiply-accumulates of 2-D convolutions and the linear layer."""
    memory_access_elements: int
    """Input, output and weight elements of each of these layers, summed."""


@dataclass(frozen=True)
class NetworkShape:
    """What a network is built for: it decides what an architecture costs.

    Attributes:
        resolution: Height and width of the image in pixels.
        stem_reduction: By how much the stem reduces it: 1, 2 or 4.
    """

    resolution: int
    in_channels: int
    num_classes: int
    stem_reduction: int

    def costs(self, architecture: Architecture) -> GenotypeCosts:
        """Costs of an architecture's network, as ``genotype_costs``."""
        return genotype_costs(
            architecture,
            self.resolution,
            num_classes=self.num_classes,
            in_channels=self.in_channels,
            stem_reduction=self.stem_reduction,
        )


def stem_reduction_for(resolution: int) -> StemReduction:
    """The stem reduction that suits an image size: 1 up to 16 pixels, 2 up to 64, 4 above."""
    if resolution <= 16:
        return 1
    return 2 if resolution <= 64 else 4


def check_resolution(resolution: int, stem_reduction: int, *, downsample: Downsample = "pool") -> None:
    """Refuses image sizes whose maps reach 1x1 before the last max pool.

    Args:
        resolution: Height and width of the image in pixels.
        stem_reduction: By how much the stem reduces it: 1, 2 or 4.
        downsample: The stem's second downsampling; matters at a reduction of 4 only.

    Raises:
        UsageError: With the smallest size that works.
    """
    reduction = checked_stem_reduction(stem_reduction)
    if _fits(resolution, reduction, downsample):
        return
    smallest = next(size for size in range(1, 64) if _fits(size, reduction, downsample))
    raise UsageError(
        f"Resolution {resolution} is too small at a stem reduction of {reduction}: a map would be 1x1 or less before "
        "the last max pool.",
        f"Use a resolution of at least {smallest}" + (", or a smaller stem reduction." if reduction > 1 else "."),
    )


def checked_stem_reduction(stem_reduction: int) -> StemReduction:
    """Returns a stem reduction that exists.

    Raises:
        UsageError: For anything but 1, 2 and 4.
    """
    for known in STEM_REDUCTIONS:
        if stem_reduction == known:
            return known
    raise UsageError(f"A stem reduction of {stem_reduction!r} does not exist.", "Use 1, 2 or 4.")


def module_attentions(attention: Attention, modules: int) -> tuple[ModuleAttention, ...]:
    """The gate of each module of a stage with ``modules`` modules."""
    gate: ModuleAttention = "none" if attention == "none" else "eca" if attention == "eca_last" else "ese"
    others: ModuleAttention = "ese" if attention == "ese" else "none"
    return (*[others] * (modules - 1), gate)


def eca_kernel_size(channels: int) -> int:
    """Kernel of ECA's 1-D convolution: ``|log2(channels) + 1| / 2`` cut to an integer, the next odd number, at least 3.

    Source: arXiv 1910.03151, equation 12 with gamma 2 and b 1; rounding as in timm.
    """
    size = int(abs(math.log2(channels) + 1) / 2)
    return max(size if size % 2 else size + 1, 3)


def stem_strides(stem_reduction: StemReduction, downsample: Downsample) -> tuple[int, int, int]:
    """Strides of the stem's three convolutions."""
    first = 1 if stem_reduction == 1 else 2
    return first, 1, 2 if stem_reduction == 4 and downsample == "stride" else 1


def stem_pools(stem_reduction: StemReduction, downsample: Downsample) -> bool:
    """Whether a max pool follows the stem's convolutions."""
    return stem_reduction == 4 and downsample == "pool"


def stage_strides(stem_reduction: StemReduction) -> dict[str, int]:
    """Stride of each stage's output against the image, by stage name."""
    return {name: stem_reduction << index for index, name in enumerate(STAGE_NAMES)}


def genotype_costs(
    architecture: Architecture,
    resolution: int,
    *,
    num_classes: int | None = 1000,
    in_channels: int = 3,
    stem_reduction: int = 4,
) -> GenotypeCosts:
    """Costs of the network that ``build`` makes from an architecture, for one square image.

    ECA's 1-D convolution adds its parameters and nothing else; bias, norms, activations, pools and gates are
    no multiply-adds.

    Args:
        architecture: The genotype.
        resolution: Height and width of the image in pixels.
        num_classes: Outputs of the classifier; None counts the backbone alone.
        in_channels: Channels of the image.
        stem_reduction: By how much the stem reduces the image: 1, 2 or 4.

    Raises:
        UsageError: If the resolution is too small or the reduction unknown.
    """
    check_resolution(resolution, stem_reduction, downsample=architecture.stem.downsample)
    blocks = _blocks(architecture, resolution, in_channels, checked_stem_reduction(stem_reduction))
    layers = [layer for block in blocks for layer in block]
    if num_classes is not None:
        layers.append(_Layer(architecture.stages[-1].out_channels, num_classes, 1, 1, 1, extra=num_classes))
    return GenotypeCosts(
        parameters=sum(layer.weights + layer.extra for layer in layers),
        multiply_adds=sum(layer.weights * layer.out_size**2 for layer in layers),
        memory_access_elements=sum(layer.memory_access for layer in layers),
    )


@dataclass(frozen=True)
class BlockCosts:
    """Costs of the stem or of a stage for one image."""

    layers: int
    """Convolutions, one after the other."""
    multiply_adds: int
    memory_access_elements: int


def block_costs(
    architecture: Architecture, resolution: int, *, in_channels: int = 3, stem_reduction: int = 4
) -> tuple[BlockCosts, ...]:
    """Costs of the stem and of the four stages: what latency and energy can be predicted from.

    Args:
        architecture: The genotype.
        resolution: Height and width of the image in pixels.
        in_channels: Channels of the image.
        stem_reduction: By how much the stem reduces the image: 1, 2 or 4.

    Raises:
        UsageError: If the resolution is too small or the reduction unknown.
    """
    check_resolution(resolution, stem_reduction, downsample=architecture.stem.downsample)
    blocks = _blocks(architecture, resolution, in_channels, checked_stem_reduction(stem_reduction))
    return tuple(
        BlockCosts(
            layers=len(block),
            multiply_adds=sum(layer.weights * layer.out_size**2 for layer in block),
            memory_access_elements=sum(layer.memory_access for layer in block),
        )
        for block in blocks
    )


@dataclass(frozen=True)
class _Layer:
    """One 2-D convolution or linear layer.

    ``extra`` parameters are its bias, the batch norm after it, or (without channels) those of a layer of another kind.
    """

    in_channels: int
    out_channels: int
    kernel_size: int
    in_size: int
    out_size: int
    extra: int
    groups: int = 1

    @property
    def weights(self) -> int:
        return self.kernel_size**2 * self.in_channels * self.out_channels // self.groups

    @property
    def memory_access(self) -> int:
        return self.in_channels * self.in_size**2 + self.out_channels * self.out_size**2 + self.weights


def _blocks(
    architecture: Architecture, resolution: int, in_channels: int, stem_reduction: StemReduction
) -> Iterator[list[_Layer]]:
    """The layers of the stem and of each stage, in forward order."""
    stem = architecture.stem
    depthwise = architecture.conv == "depthwise"
    size, width = resolution, in_channels
    layers: list[_Layer] = []
    for index, (out, stride) in enumerate(
        zip(stem.channels, stem_strides(stem_reduction, stem.downsample), strict=True)
    ):
        layers += _unit(width, out, size, stride=stride, depthwise=depthwise and index > 0)
        size, width = _strided(size, stride), out
    yield layers
    if stem_pools(stem_reduction, stem.downsample):
        size = _pooled(size)
    for index, stage in enumerate(architecture.stages):
        size = _pooled(size) if index > 0 else size
        layers = []
        for attention in module_attentions(architecture.attention, stage.modules):
            chain = width
            if depthwise and width != stage.conv_channels:
                layers.append(_pointwise(width, stage.conv_channels, size))
                chain = stage.conv_channels
            for _ in range(stage.layers):
                layers += _unit(chain, stage.conv_channels, size, stride=1, depthwise=depthwise)
                chain = stage.conv_channels
            layers.append(_pointwise(width + stage.layers * stage.conv_channels, stage.out_channels, size))
            width = stage.out_channels
            if attention == "ese":
                layers.append(_Layer(width, width, 1, 1, 1, extra=width))
            elif attention == "eca":
                layers.append(_Layer(0, 0, 1, 1, 1, extra=eca_kernel_size(width)))
        yield layers


def _unit(in_channels: int, out_channels: int, size: int, *, stride: int, depthwise: bool) -> Iterator[_Layer]:
    out_size = _strided(size, stride)
    if depthwise:
        yield _Layer(in_channels, in_channels, 3, size, out_size, extra=0, groups=in_channels)
        yield _pointwise(in_channels, out_channels, out_size)
    else:
        yield _Layer(in_channels, out_channels, 3, size, out_size, extra=2 * out_channels)


def _pointwise(in_channels: int, out_channels: int, size: int) -> _Layer:
    return _Layer(in_channels, out_channels, 1, size, size, extra=2 * out_channels)


def _strided(size: int, stride: int) -> int:
    """Map size after a 3x3 convolution with padding 1."""
    return -(-size // stride)


def _pooled(size: int) -> int:
    """Map size after a 3x3 stride 2 max pool without padding in ceil mode: ``ceil((size - 3) / 2) + 1``."""
    return size // 2


def _fits(resolution: int, stem_reduction: StemReduction, downsample: Downsample) -> bool:
    """Whether every max pool gets a map larger than 1x1."""
    size = resolution
    for stride in stem_strides(stem_reduction, downsample):
        size = _strided(size, stride)
    for _ in range(len(STAGE_NAMES) - 1 + stem_pools(stem_reduction, downsample)):
        if size < 2:
            return False
        size = _pooled(size)
    return True
