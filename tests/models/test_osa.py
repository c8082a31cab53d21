from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from osanas.genotype.architecture import Attention, Conv
from osanas.models.osa import EfficientChannelAttention, OSAModule, max_pool
from tests.models.architectures import randomised


def _reference(
    x: Tensor, tensors: Iterator[Tensor], *, layers: int, conv: Conv, reduce: bool, gate: str, add: bool
) -> Tensor:
    """An OSA module in plain functions, taking its weights in the order the text of the paper names them."""

    def norm_relu(y: Tensor) -> Tensor:
        weight, bias, mean, variance, _count = (next(tensors) for _ in range(5))
        return F.relu(F.batch_norm(y, mean, variance, weight, bias))

    features, y = [x], x
    if reduce:
        y = norm_relu(F.conv2d(y, next(tensors)))
    for _ in range(layers):
        if conv == "depthwise":
            y = F.conv2d(y, next(tensors), padding=1, groups=y.shape[1])
            y = norm_relu(F.conv2d(y, next(tensors)))
        else:
            y = norm_relu(F.conv2d(y, next(tensors), padding=1))
        features.append(y)
    y = norm_relu(F.conv2d(torch.cat(features, 1), next(tensors)))
    if gate == "ese":
        averages = F.conv2d(F.adaptive_avg_pool2d(y, 1), next(tensors), next(tensors))
        y = y * (F.relu6(averages + 3) / 6)
    return y + x if add else y


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("gate", ["none", "ese"])
@pytest.mark.parametrize("conv", ["dense", "depthwise"])
@pytest.mark.parametrize("width", [6, 10], ids=["narrower", "equal"])
def test_module_equals_plain_functions(conv: Conv, gate: Attention, add: bool, width: int) -> None:
    module = OSAModule(10, width, 10, layers=3, conv=conv, attention=gate, identity=add)
    randomised(module)
    x = torch.randn(2, 10, 9, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    tensors = iter(module.state_dict().values())

    expected = _reference(
        x, tensors, layers=3, conv=conv, reduce=conv == "depthwise" and width != 10, gate=gate, add=add
    )

    assert next(tensors, None) is None
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


def test_aggregation_takes_the_unreduced_input() -> None:
    module = OSAModule(10, 4, 8, layers=2, conv="depthwise")

    assert module.aggregation.conv.in_channels == 10 + 2 * 4


def test_identity_between_unequal_widths_is_refused() -> None:
    with pytest.raises(ValueError, match="an identity needs equal widths, got 8 in and 16 out"):
        OSAModule(8, 8, 16, layers=1, identity=True)


@pytest.mark.parametrize(("size", "pooled"), [(112, 56), (56, 28), (28, 14), (14, 7), (7, 3), (5, 2), (3, 1), (2, 1)])
def test_pool_sizes(size: int, pooled: int) -> None:
    assert max_pool()(torch.zeros(1, 1, size, size)).shape[-1] == pooled


def test_eca_gates_by_neighbouring_channels_only() -> None:
    attention = EfficientChannelAttention(16)
    x = torch.ones(1, 16, 4, 4)
    changed = x.clone()
    changed[:, 0] = 5.0

    differing = ((attention(x) - attention(changed)).abs().amax((2, 3)) > 0).squeeze(0)

    assert attention.conv.kernel_size == (3,)
    assert differing[:2].all()
    assert not differing[2:].any()
