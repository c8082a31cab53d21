"""The OSA backbone: stem and stages 2 to 5 of an architecture."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from osanas.genotype.architecture import STAGE_NAMES, Architecture
from osanas.genotype.blocks import module_attentions
from osanas.genotype.geometry import check_stem_reduction, stem_pools, stem_strides
from osanas.models.osa import ConvUnit, OSAModule, conv_unit, max_pool


class OSABackbone(nn.Module):
    """Features of an OSA network at four scales.

    Traceable by torch.fx and exportable; modules are registered in the order the forward pass reaches them.

    Args:
        architecture: The genotype.
        in_channels: Channels of the image.
        stem_reduction: By how much the stem reduces the image. 4: the first convolution at stride 2, then the stem's
            second downsampling. 2: the first convolution only. 1: not at all.

    Raises:
        UsageError: If the stem reduction is none of 1, 2 and 4.
    """

    def __init__(self, architecture: Architecture, *, in_channels: int = 3, stem_reduction: int = 4) -> None:
        super().__init__()
        check_stem_reduction(stem_reduction)
        self.architecture = architecture
        """The genotype it was built from."""
        self.channels = {name: stage.out_channels for name, stage in zip(STAGE_NAMES, architecture.stages, strict=True)}
        """Channels of each output, by stage name."""
        self.strides = {name: stem_reduction << index for index, name in enumerate(STAGE_NAMES)}
        """Stride of each output against the image, by stage name."""
        self.stem = _stem(architecture, in_channels, stem_reduction)
        self.stages = nn.ModuleDict()
        width = architecture.stem.channels[-1]
        for index, (name, stage) in enumerate(zip(STAGE_NAMES, architecture.stages, strict=True)):
            self.stages[name] = _stage(architecture, index, width)
            width = stage.out_channels
        initialise(self)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Computes the features.

        Args:
            x: Images ``[N, in_channels, H, W]``.

        Returns:
            ``{"stage2": [N, channels, H / stride, W / stride], ..., "stage5": ...}``.
        """
        features: dict[str, Tensor] = {}
        x = self.stem(x)
        for name, stage in self.stages.items():
            x = stage(x)
            features[name] = x
        return features


def initialise(module: nn.Module) -> None:
    """Draws the weights to train from scratch.

    Convolutions: Kaiming normal over the fan-in, as the authors' PyTorch ports. Batch norm follows every one of them,
    so the scale sets no signal, only the effective step size; the fan-out would make a depthwise filter's weights
    smaller by the square root of its width, and its steps larger. Linear layers: normal with deviation 0.01 and no
    bias, so that training starts from nearly equal class probabilities.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(child.weight, mode="fan_in", nonlinearity="relu")
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, nn.Linear):
            nn.init.normal_(child.weight, std=0.01)
            nn.init.zeros_(child.bias)


def _stem(architecture: Architecture, in_channels: int, stem_reduction: int) -> nn.Sequential:
    stem = architecture.stem
    first, second, third = stem_strides(stem_reduction, stem.downsample)
    narrow, middle, wide = stem.channels
    members: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=ConvUnit(in_channels, narrow, stride=first),
        conv2=conv_unit(architecture.conv, narrow, middle, stride=second),
        conv3=conv_unit(architecture.conv, middle, wide, stride=third),
    )
    if stem_pools(stem_reduction, stem.downsample):
        members["pool"] = max_pool()
    return nn.Sequential(members)


def _stage(architecture: Architecture, index: int, in_channels: int) -> nn.Sequential:
    """Stage ``index`` of 0 to 3: a max pool before all but the first, then OSA modules."""
    stage = architecture.stages[index]
    members: OrderedDict[str, nn.Module] = OrderedDict()
    if index > 0:
        members["pool"] = max_pool()
    for number, attention in enumerate(module_attentions(architecture.attention, stage.modules), start=1):
        members[f"module{number}"] = OSAModule(
            in_channels if number == 1 else stage.out_channels,
            stage.conv_channels,
            stage.out_channels,
            layers=stage.layers,
            conv=architecture.conv,
            attention=attention,
            identity=architecture.identity and number > 1,
        )
    return nn.Sequential(members)
