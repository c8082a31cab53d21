"""What an OSA network costs, in closed form from its genotype, and the sizes of its maps. Free of torch.

The same counts come from tracing the built network (``osanas.costs``); here they take microseconds, so whole search
spaces can be priced. Units: parameters, multiply-adds and elements for one image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from osanas.genotype.architecture import Architecture
from osanas.genotype.geometry import (
    StemReduction,
    check_resolution,
    checked_stem_reduction,
    eca_kernel_size,
    module_attentions,
    pooled,
    stem_pools,
    stem_reduction_for,
    stem_strides,
    strided,
)


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
class BlockCosts:
    """Costs of the stem or of a stage for one image."""

    layers: int
    """Convolutions, one after the other."""
    multiply_adds: int
    memory_access_elements: int


@dataclass(frozen=True)
class NetworkShape:
    """What a network is built for: it decides what an architecture costs.

    Attributes:
        resolution: Height and width of the image in pixels.
        in_channels: Channels of the image.
        num_classes: Outputs of the linear head; None is the backbone alone.
        stem_reduction: By how much the stem reduces the image: 1, 2 or 4.
    """

    resolution: int
    in_channels: int
    num_classes: int | None
    stem_reduction: int

    @classmethod
    def of(cls, resolution: int, in_channels: int = 3, num_classes: int | None = 1000) -> NetworkShape:
        """The shape whose stem suits the size of the image.

        Raises:
            UsageError: The image is too small for any OSA network.
        """
        reduction = stem_reduction_for(resolution)
        check_resolution(resolution, reduction)
        return cls(resolution, in_channels, num_classes, reduction)

    @property
    def has_inert_stem(self) -> bool:
        """Whether the stem has no second downsampling here, so that its form does not matter."""
        return self.stem_reduction < 4

    def canonical(self, architecture: Architecture) -> Architecture:
        """The same network with choices that are inert at this input set to one value."""
        network = architecture.canonical()
        if not self.has_inert_stem:
            return network
        return network.model_copy(update={"stem": network.stem.model_copy(update={"downsample": "pool"})})

    def costs(self, architecture: Architecture) -> GenotypeCosts:
        """Costs of the network that ``build`` makes from an architecture, for one square image.

        ECA's 1-D convolution adds its parameters and nothing else; bias, norms, activations, pools and gates are
        no multiply-adds.

        Raises:
            UsageError: The resolution is too small or the stem reduction unknown.
        """
        layers = [layer for block in self._blocks(architecture) for layer in block]
        if self.num_classes is not None:
            width = architecture.stages[-1].out_channels
            layers.append(_Layer(width, self.num_classes, 1, 1, 1, extra=self.num_classes))
        return GenotypeCosts(
            parameters=sum(layer.weights + layer.extra for layer in layers),
            multiply_adds=sum(layer.multiply_adds for layer in layers),
            memory_access_elements=sum(layer.memory_access for layer in layers),
        )

    def block_costs(self, architecture: Architecture) -> tuple[BlockCosts, ...]:
        """Costs of the stem and of the four stages: what latency and energy can be predicted from.

        Raises:
            UsageError: The resolution is too small or the stem reduction unknown.
        """
        return tuple(
            BlockCosts(
                layers=len(block),
                multiply_adds=sum(layer.multiply_adds for layer in block),
                memory_access_elements=sum(layer.memory_access for layer in block),
            )
            for block in self._blocks(architecture)
        )

    def _blocks(self, architecture: Architecture) -> Iterator[list[_Layer]]:
        check_resolution(self.resolution, self.stem_reduction, downsample=architecture.stem.downsample)
        reduction = checked_stem_reduction(self.stem_reduction)
        return _blocks(architecture, self.resolution, self.in_channels, reduction)


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
    def multiply_adds(self) -> int:
        return self.weights * self.out_size**2

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
        size, width = strided(size, stride), out
    yield layers
    if stem_pools(stem_reduction, stem.downsample):
        size = pooled(size)
    for index, stage in enumerate(architecture.stages):
        size = pooled(size) if index > 0 else size
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
    out_size = strided(size, stride)
    if depthwise:
        yield _Layer(in_channels, in_channels, 3, size, out_size, extra=0, groups=in_channels)
        yield _pointwise(in_channels, out_channels, out_size)
    else:
        yield _Layer(in_channels, out_channels, 3, size, out_size, extra=2 * out_channels)


def _pointwise(in_channels: int, out_channels: int, size: int) -> _Layer:
    return _Layer(in_channels, out_channels, 1, size, size, extra=2 * out_channels)
