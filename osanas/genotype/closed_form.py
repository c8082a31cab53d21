"""What an OSA network costs, in closed form from its genotype, and the sizes of its maps. Free of torch.

The same counts come from tracing the built network (``osanas.costs``); here they take microseconds, so whole search
spaces can be priced. Units: parameters, multiply-adds and elements for one image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from osanas.genotype.architecture import Architecture
from osanas.genotype.blocks import ATTENTIONS, CONVS, Layer, dense, module_attentions, pointwise
from osanas.genotype.geometry import (
    check_resolution,
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
    """What a network is built for: it decides what an architecture costs."""

    resolution: int
    """Height and width of the image in pixels."""
    in_channels: int
    """Channels of the image."""
    num_classes: int | None
    """Outputs of the linear head; None is the backbone alone."""
    stem_reduction: int
    """By how much the stem reduces the image: 1, 2 or 4."""

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
            layers.append(Layer(width, self.num_classes, 1, 1, 1, extra=self.num_classes))
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

    def _blocks(self, architecture: Architecture) -> Iterator[list[Layer]]:
        """The layers of the stem and of each stage, in forward order."""
        check_resolution(self.resolution, self.stem_reduction, downsample=architecture.stem.downsample)
        stem, conv = architecture.stem, CONVS[architecture.conv]
        size, width = self.resolution, self.in_channels
        layers: list[Layer] = []
        for index, (out, stride) in enumerate(
            zip(stem.channels, stem_strides(self.stem_reduction, stem.downsample), strict=True)
        ):
            unit = conv.layers if index > 0 else dense
            layers += unit(width, out, size, strided(size, stride))
            size, width = strided(size, stride), out
        yield layers
        if stem_pools(self.stem_reduction, stem.downsample):
            size = pooled(size)
        for index, stage in enumerate(architecture.stages):
            size = pooled(size) if index > 0 else size
            layers = []
            for attention in module_attentions(architecture.attention, stage.modules):
                chain = width
                if conv.reduces_input and width != stage.conv_channels:
                    layers.append(pointwise(width, stage.conv_channels, size))
                    chain = stage.conv_channels
                for _ in range(stage.layers):
                    layers += conv.layers(chain, stage.conv_channels, size, size)
                    chain = stage.conv_channels
                layers.append(pointwise(width + stage.layers * stage.conv_channels, stage.out_channels, size))
                width = stage.out_channels
                layers += ATTENTIONS[attention].layers(width)
            yield layers
