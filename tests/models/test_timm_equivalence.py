"""Equal weights give equal outputs in timm's implementation, weights copied in registration order."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from osanas.genotype.architecture import Architecture, Attention, Conv, Stage, Stem
from osanas.genotype.variants import VARIANTS
from osanas.models.build import build
from tests.models.architectures import randomised

timm = pytest.importorskip("timm", reason="timm, the reference implementation, is not installed")

NAMES = sorted(set(VARIANTS) & set(timm.list_models()))


def _ours_and_timms(architecture: Architecture, timm_name: str, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of both for a random image, odd in size so that padding and rounding matter."""
    reference = randomised(timm.create_model(timm_name, num_classes=7, **options))
    ours = build(architecture, num_classes=7).double().eval()
    weights = list(reference.state_dict().values())
    mine = ours.state_dict()
    assert [w.shape for w in weights] == [m.shape for m in mine.values()]
    for target, weight in zip(mine.values(), weights, strict=True):
        target.copy_(weight)
    image = torch.randn(2, 3, 75, 91, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        return ours(image), reference(image)


def _narrow(attention: Attention, *, conv: Conv = "dense", identity: bool = False, pool: bool) -> Architecture:
    """The 39-layer layout in widths of a few channels."""
    first, second, third, fourth = (
        Stage(conv_channels=width, out_channels=2 * width + 4, layers=5, modules=modules)
        for width, modules in zip((6, 8, 10, 12), (1, 1, 2, 2), strict=True)
    )
    return Architecture(
        stem=Stem(channels=(6, 6, 8), downsample="pool" if pool else "stride"),
        stages=(first, second, third, fourth),
        conv=conv,
        attention=attention,
        identity=identity,
    )


def test_timm_knows_most_of_its_own_forms() -> None:
    assert len(NAMES) >= 7


@pytest.mark.parametrize("name", NAMES)
def test_state_of_every_variant_matches_in_order(name: str) -> None:
    with torch.device("meta"):
        reference, ours = timm.create_model(name), build(name)

    assert [t.shape for t in ours.state_dict().values()] == [t.shape for t in reference.state_dict().values()]


@pytest.mark.parametrize("name", ["ese_vovnet19b_slim_dw", "ese_vovnet19b_slim"])
def test_published_variants(name: str) -> None:
    ours, reference = _ours_and_timms(VARIANTS[name], name)

    torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("pool", [True, False], ids=["paper stem", "port stem"])
@pytest.mark.parametrize(
    ("timm_name", "attention", "identity"),
    [("vovnet39a", "none", False), ("ese_vovnet39b", "ese_last", True), ("eca_vovnet39b", "eca_last", True)],
)
def test_dense_forms(timm_name: str, attention: Attention, identity: bool, pool: bool) -> None:
    ours, reference = _ours_and_timms(
        _narrow(attention, identity=identity, pool=pool),
        timm_name,
        stem_chs=[6, 6, 8],
        stage_conv_chs=[6, 8, 10, 12],
        stage_out_chs=[16, 20, 24, 28],
        stem_stride=2 if pool else 4,
    )

    torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("pool", [True, False], ids=["paper stem", "port stem"])
def test_depthwise_form_with_several_modules(pool: bool) -> None:
    ours, reference = _ours_and_timms(
        _narrow("ese_last", conv="depthwise", pool=pool),
        "ese_vovnet19b_dw",
        stem_chs=[6, 6, 8],
        stage_conv_chs=[6, 8, 10, 12],
        stage_out_chs=[16, 20, 24, 28],
        layer_per_block=5,
        block_per_stage=[1, 1, 2, 2],
        residual=False,
        stem_stride=2 if pool else 4,
    )

    torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-9)
