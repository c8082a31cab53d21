"""The kinds of 3x3 convolution and of attention: what is particular to one stands in its entry. Free of torch.

A new kind is an entry here and the class that it names in ``osanas.models.osa``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One 2-D convolution or linear layer, for one image."""

    in_channels: int
    out_channels: int
    kernel_size: int
    in_size: int
    """Height and width of the input map."""
    out_size: int
    """Height and width of the output map."""
    extra: int = 0
    """Parameters of its bias and of the batch norm after it; without channels, those of a layer of another kind."""
    groups: int = 1

    @property
    def weights(self) -> int:
        """Elements of its weight."""
        return self.kernel_size**2 * self.in_channels * self.out_channels // self.groups

    @property
    def multiply_adds(self) -> int:
        """Multiply-accumulates."""
        return self.weights * self.out_size**2

    @property
    def memory_access(self) -> int:
        """Elements of its input, its output and its weight."""
        return self.in_channels * self.in_size**2 + self.out_channels * self.out_size**2 + self.weights


@dataclass(frozen=True)
class ConvKind:
    """A kind of 3x3 convolution. At stride s its map is ``ceil(size / s)``."""

    unit: str
    """Its class in ``osanas.models.osa``, made from ``(in_channels, out_channels, stride=)``."""
    layers: Callable[[int, int, int, int], tuple[Layer, ...]]
    """Its layers, from ``(in_channels, out_channels, in_size, out_size)``."""
    cost_rank: int
    """Its place among the kinds of a space, the cheapest first."""
    reduces_input: bool = False
    """Whether a 1x1 convolution comes first in a module whose input and convolutions differ in width."""


@dataclass(frozen=True)
class AttentionKind:
    """A kind of attention: a gate on a module's output, and which modules of a stage have it."""

    gate: str | None
    """Its class in ``osanas.models.osa``, made from ``(channels)``; None is no gate."""
    layers: Callable[[int], tuple[Layer, ...]]
    """The gate's layers, from ``(channels)``."""
    cost_rank: int
    """Its place among the kinds of a space, the cheapest first."""
    last_only: bool = False
    """Whether only the last module of a stage has the gate."""
    in_single_modules: str | None = None
    """The kind that builds the same network where every stage has one module, and stands for both there. Digests
    depend on it: of two such kinds, let the one that was there first stand for both."""


def dense(in_channels: int, out_channels: int, in_size: int, out_size: int) -> tuple[Layer, ...]:
    """A 3x3 convolution and its batch norm."""
    return (Layer(in_channels, out_channels, 3, in_size, out_size, extra=2 * out_channels),)


def pointwise(in_channels: int, out_channels: int, size: int) -> Layer:
    """A 1x1 convolution and its batch norm."""
    return Layer(in_channels, out_channels, 1, size, size, extra=2 * out_channels)


def _depthwise(in_channels: int, out_channels: int, in_size: int, out_size: int) -> tuple[Layer, ...]:
    depthwise = Layer(in_channels, in_channels, 3, in_size, out_size, groups=in_channels)
    return depthwise, pointwise(in_channels, out_channels, out_size)


def _ese(channels: int) -> tuple[Layer, ...]:
    return (Layer(channels, channels, 1, 1, 1, extra=channels),)


def _eca(channels: int) -> tuple[Layer, ...]:
    return (Layer(0, 0, 1, 1, 1, extra=eca_kernel_size(channels)),)


def eca_kernel_size(channels: int) -> int:
    """Kernel of ECA's 1-D convolution: ``|log2(channels) + 1| / 2`` cut to an integer, the next odd number, at least 3.

    Source: arXiv 1910.03151, equation 12 with gamma 2 and b 1; rounding as in timm.
    """
    size = int(abs(math.log2(channels) + 1) / 2)
    return max(size if size % 2 else size + 1, 3)


CONVS: dict[str, ConvKind] = {
    "dense": ConvKind("ConvUnit", dense, cost_rank=1),
    # separable convolutions in VoVNetV2's form: in the stem's second and third too
    "depthwise": ConvKind("DepthwiseUnit", _depthwise, cost_rank=0, reduces_input=True),
}
"""Kinds of 3x3 convolution by name."""

ATTENTIONS: dict[str, AttentionKind] = {
    "none": AttentionKind(None, lambda _: (), cost_rank=0),
    # VoVNetV2's authors
    "ese": AttentionKind("EffectiveSqueezeExcitation", _ese, cost_rank=3),
    # timm
    "ese_last": AttentionKind("EffectiveSqueezeExcitation", _ese, cost_rank=2, last_only=True, in_single_modules="ese"),
    "eca_last": AttentionKind("EfficientChannelAttention", _eca, cost_rank=1, last_only=True),
}
"""Kinds of attention by name."""


def by_cost(kinds: Mapping[str, ConvKind] | Mapping[str, AttentionKind]) -> tuple[str, ...]:
    """Names of kinds, the cheapest first, so that the ordinal of a choice means something to a sampler."""
    return tuple(sorted(kinds, key=lambda name: kinds[name].cost_rank))


def module_attentions(attention: str, modules: int) -> tuple[str, ...]:
    """The attention of each module of a stage with ``modules`` modules."""
    others = "none" if ATTENTIONS[attention].last_only else attention
    return (*[others] * (modules - 1), attention)


def in_single_modules(attention: str) -> str:
    """The attention that stands for this one where every stage has one module."""
    return ATTENTIONS[attention].in_single_modules or attention
