from __future__ import annotations

import pytest
import torch
from torch import nn

from osanas.costs import count_costs
from osanas.genotype.geometry import stem_reduction_for
from osanas.models.bottleneck import build_bottleneck
from osanas.models.build import build
from osanas.models.osa import OSAModule

STAGES = ((128, 64, 56), (128, 80, 28), (256, 96, 14), (384, 112, 7))
"""Input channels, convolution channels and side of the map at 224 pixels; arXiv 1904.09730, Table 1."""
LAYERS = 5


def _saved(channels: int, width: int) -> int:
    """Weights that the bottlenecks of a module save: half of each 3x3's, less those of the 1x1 before it."""
    first = 9 * channels * width - (channels * channels // 2 + 9 * channels // 2 * width)
    others = 9 * width * width - (width * width // 2 + 9 * width // 2 * width)
    return first + (LAYERS - 1) * others


def test_counts_are_those_of_27_slim_less_what_the_bottlenecks_save() -> None:
    with torch.device("meta"):
        slim = count_costs(build("vovnet27_slim"), (3, 224, 224))
        control = count_costs(build_bottleneck(), (3, 224, 224))
    saved = [_saved(channels, width) for channels, width, _ in STAGES]
    norms = sum(2 * (channels // 2 + (LAYERS - 1) * (width // 2)) for channels, width, _ in STAGES)

    assert control.parameters == slim.parameters - sum(saved) + norms == 2_747_752
    multiply_adds = sum(weights * side * side for weights, (_, _, side) in zip(saved, STAGES, strict=True))
    assert control.multiply_adds == slim.multiply_adds - multiply_adds == 2_405_046_272
    # The paper's 18 % (Table 3) are those of a detector. Half of the 3x3s' work goes, and memory access grows.
    assert control.multiply_adds / slim.multiply_adds == pytest.approx(0.838, abs=5e-4)
    assert control.parameters / slim.parameters == pytest.approx(0.779, abs=5e-4)
    assert control.memory_access_elements > slim.memory_access_elements


def test_a_1x1_with_half_the_input_channels_precedes_every_3x3() -> None:
    model = build_bottleneck(7)
    modules = [module for module in model.backbone.modules() if isinstance(module, OSAModule)]

    assert len(modules) == 4
    for module, (channels, width, _) in zip(modules, STAGES, strict=True):
        convs = [conv for conv in module.layers.modules() if isinstance(conv, nn.Conv2d)]
        expected = []
        for wide in (channels, *[width] * (LAYERS - 1)):
            expected += [(wide, wide // 2, (1, 1)), (wide // 2, width, (3, 3))]
        assert [(conv.in_channels, conv.out_channels, conv.kernel_size) for conv in convs] == expected
        norms = [norm for norm in module.layers.modules() if isinstance(norm, nn.BatchNorm2d)]
        assert len(norms) == len([unit for unit in module.layers.modules() if isinstance(unit, nn.ReLU)]) == len(convs)
    # stem, aggregations and classifier are left as they are
    plain = build("vovnet27_slim", num_classes=7)
    kept = {name: tensor.shape for name, tensor in plain.state_dict().items() if ".layers." not in name}
    assert {name: t.shape for name, t in model.state_dict().items() if ".layers." not in name} == kept


@pytest.mark.parametrize("resolution", [16, 32, 64, 224])
def test_runs_on_small_and_large_images(resolution: int) -> None:
    with torch.device("meta"):
        model = build_bottleneck(9, stem_reduction=stem_reduction_for(resolution)).eval()

        assert model(torch.empty(2, 3, resolution, resolution)).shape == (2, 9)


def test_is_initialised_as_every_network_and_trains() -> None:
    torch.manual_seed(0)
    model = build_bottleneck(5, stem_reduction=1)
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    loss = nn.functional.cross_entropy(model(x), torch.arange(4))
    loss.backward()  # type: ignore[no-untyped-call]

    assert loss.item() == pytest.approx(1.609, abs=0.3)  # log 5: nearly equal probabilities
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    for conv in (conv for conv in model.modules() if isinstance(conv, nn.Conv2d)):
        fan_in = conv.in_channels * conv.kernel_size[0] ** 2
        assert conv.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.15)
