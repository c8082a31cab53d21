"""Adds a kind of convolution and one of attention: their entries and their classes, and nothing else.

Runs in a process of its own (``test_blocks.py``), since the tables are read when the package is imported.
"""

from __future__ import annotations

from torch import Tensor, nn

from osanas.genotype import blocks
from osanas.genotype.blocks import AttentionKind, ConvKind, Layer


class PlainUnit(nn.Module):
    """A 3x3 convolution with bias and no norm."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x).relu()
        return out


class PointwiseGate(nn.Module):
    """Gates each pixel by a 1x1 convolution of its channels' averages."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x * self.fc(x.mean((2, 3), keepdim=True)).sigmoid()
        return out


def main() -> None:
    blocks.CONVS["plain"] = ConvKind(
        "PlainUnit", lambda i, o, size, out_size: (Layer(i, o, 3, size, out_size, extra=o),), cost_rank=2
    )
    blocks.ATTENTIONS["pointwise"] = AttentionKind("PointwiseGate", _gate_layers, cost_rank=4)
    blocks.ATTENTIONS["pointwise_last"] = AttentionKind(
        "PointwiseGate", _gate_layers, cost_rank=3, last_only=True, in_single_modules="pointwise"
    )

    from osanas.costs import count_costs
    from osanas.genotype.closed_form import GenotypeCosts, NetworkShape
    from osanas.genotype.members import SpaceAt
    from osanas.genotype.space import SearchSpace
    from osanas.models import osa
    from osanas.models.build import build
    from tests.genotype.spaces import space_document

    vars(osa).update(PlainUnit=PlainUnit, PointwiseGate=PointwiseGate)
    document = space_document(
        conv={"choices": ["plain", "dense"]}, attention={"choices": ["pointwise", "pointwise_last", "none"]}
    )
    document["stages"][2]["modules"] = {"choices": [1, 2]}
    shape = NetworkShape.of(32, num_classes=3)
    at = SpaceAt(SearchSpace.from_dict(document), shape)
    assert at.space.dimensions[1].values == ("dense", "plain")

    networks = set(at.enumerate())
    assert len(networks) == at.count == 10
    for network in (network for network in networks if network.conv == "plain"):
        assert at.decode(at.encode(network)) == network
        model = build(network.to_dict(), num_classes=3, stem_reduction=shape.stem_reduction)
        traced = count_costs(model, (3, 32, 32))
        counted = GenotypeCosts(traced.parameters, traced.multiply_adds, traced.memory_access_elements)
        assert shape.costs(network) == counted


def _gate_layers(channels: int) -> tuple[Layer, ...]:
    return (Layer(channels, channels, 1, 1, 1),)


if __name__ == "__main__":
    main()
