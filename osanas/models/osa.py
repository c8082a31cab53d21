"""The one-shot-aggregation (OSA) module and the units it is made of.

Sources: VoVNet, arXiv 1904.09730, section 3; VoVNetV2 (CenterMask), arXiv 1911.06667, section 3.2 and its authors'
code for eSE, identity and the depthwise form; ECA, arXiv 1910.03151.

Modules are registered in the order the forward pass reaches them, so that weights of another implementation that does
the same can be copied one after the other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from osanas.genotype.architecture import Attention, Conv
from osanas.genotype.blocks import ATTENTIONS, CONVS, eca_kernel_size


class ConvUnit(nn.Module):
    """Dense convolution, batch norm, ReLU: ``x[N, in, H, W] -> [N, out, H / stride, W / stride]``."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Applies convolution, norm and activation."""
        out: Tensor = self.activation(self.norm(self.conv(x)))
        return out


class DepthwiseUnit(nn.Module):
    """Depthwise 3x3, then pointwise 1x1, then one batch norm and ReLU.

    VoVNetV2's authors put neither norm nor activation between the two convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Applies both convolutions, norm and activation."""
        out: Tensor = self.activation(self.norm(self.pointwise(self.depthwise(x))))
        return out


class EffectiveSqueezeExcitation(nn.Module):
    """eSE (arXiv 1911.06667): channels gated by one fully connected layer of their global averages.

    The layer keeps all channels, and is a 1x1 convolution with bias so that published weights fit.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Gates ``x[N, C, H, W]``."""
        out: Tensor = x * self.gate(self.fc(x.mean((2, 3), keepdim=True)))
        return out


class EfficientChannelAttention(nn.Module):
    """ECA (arXiv 1910.03151): channels gated by a 1-D convolution over neighbouring channels' global averages."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel_size = eca_kernel_size(channels)
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Gates ``x[N, C, H, W]``."""
        averages = x.mean((2, 3)).unsqueeze(1)
        gates = self.gate(self.conv(averages)).squeeze(1)
        out: Tensor = x * gates.unsqueeze(-1).unsqueeze(-1)
        return out


class OSAModule(nn.Module):
    """``layers`` 3x3 convolutions in a chain; one 1x1 convolution aggregates the module's input and all of them.

    ``x[N, in_channels, H, W] -> [N, out_channels, H, W]``. The depthwise form reduces its input to ``conv_channels``
    first where the widths differ; the aggregation still takes the unreduced input.

    Args:
        in_channels: Channels of the module's input.
        conv_channels: Output channels of every 3x3 convolution.
        out_channels: Output channels of the aggregation.
        layers: Number of 3x3 convolutions.
        conv: Kind of the 3x3 convolutions.
        attention: Kind of the gate after the aggregation.
        identity: Adds the module's input to its output, after the gate, with nothing after the addition; needs
            ``in_channels == out_channels``.
    """

    def __init__(
        self,
        in_channels: int,
        conv_channels: int,
        out_channels: int,
        *,
        layers: int,
        conv: Conv = "dense",
        attention: Attention = "none",
        identity: bool = False,
    ) -> None:
        super().__init__()
        if identity and in_channels != out_channels:
            raise ValueError(f"an identity needs equal widths, got {in_channels} in and {out_channels} out")
        self.identity = identity
        self.reduction: nn.Module | None = None
        width = in_channels
        if CONVS[conv].reduces_input and in_channels != conv_channels:
            self.reduction = ConvUnit(in_channels, conv_channels, kernel_size=1)
            width = conv_channels
        self.layers = nn.ModuleList()
        for _ in range(layers):
            self.layers.append(conv_unit(conv, width, conv_channels))
            width = conv_channels
        self.aggregation = ConvUnit(in_channels + layers * conv_channels, out_channels, kernel_size=1)
        self.attention = _attention(attention, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Runs the chain and aggregates it once."""
        features = [x]
        latest = x if self.reduction is None else self.reduction(x)
        for layer in self.layers:
            latest = layer(latest)
            features.append(latest)
        out: Tensor = self.aggregation(torch.cat(features, dim=1))
        if self.attention is not None:
            out = self.attention(out)
        return out + x if self.identity else out


def conv_unit(conv: Conv, in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Module:
    """A 3x3 unit of the kind asked for."""
    unit: nn.Module = globals()[CONVS[conv].unit](in_channels, out_channels, stride=stride)
    return unit


def max_pool() -> nn.MaxPool2d:
    """The 3x3 stride 2 max pool without padding, in ceil mode: the authors' Caffe default, and 112 -> 56 -> 28."""
    return nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)


def _attention(attention: Attention, channels: int) -> nn.Module | None:
    gate = ATTENTIONS[attention].gate
    return globals()[gate](channels) if gate is not None else None
