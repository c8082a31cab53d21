from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.fx import symbolic_trace
from torch.fx.experimental.optimization import fuse

from osanas.errors import UsageError
from osanas.genotype.architecture import STAGE_NAMES, Architecture
from osanas.genotype.geometry import stem_reduction_for
from osanas.genotype.variants import VARIANTS
from osanas.models.backbone import OSABackbone
from osanas.models.build import build, build_backbone
from tests.models.architectures import ARCHITECTURES, randomised, tiny

FORMS = {
    "dense": tiny(),
    "ese": tiny(attention="ese", identity=True),
    "eca_last": tiny(attention="eca_last"),
    "depthwise": tiny(conv="depthwise", attention="ese_last", identity=True),
}


def _assert_registered_as_reached(architecture: Architecture, resolution: int, device: str) -> None:
    with torch.device(device):
        model = build(architecture, num_classes=2, stem_reduction=stem_reduction_for(resolution))
        leaves = [m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
        reached: list[nn.Module] = []
        for leaf in leaves:
            leaf.register_forward_hook(lambda module, _inputs, _output: reached.append(module))
        model(torch.zeros(2, 3, resolution, resolution))

    assert [id(m) for m in reached] == [id(m) for m in leaves]


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_published_variants_register_layers_as_reached(name: str) -> None:
    _assert_registered_as_reached(VARIANTS[name], 65, "meta")


@given(ARCHITECTURES)
@settings(max_examples=25, deadline=None)
def test_any_architecture_registers_layers_as_reached(architecture: Architecture) -> None:
    _assert_registered_as_reached(architecture, 8, "cpu")


@pytest.mark.parametrize("stem_reduction", [1, 2, 4])
@pytest.mark.parametrize("downsample", ["pool", "stride"])
def test_strides_and_channels_describe_the_features(stem_reduction: int, downsample: str) -> None:
    architecture = tiny(stem={"channels": [4, 4, 8], "downsample": downsample})
    backbone = build_backbone(architecture, in_channels=1, stem_reduction=stem_reduction)

    features = backbone(torch.zeros(1, 1, 64, 64))

    assert list(features) == list(STAGE_NAMES)
    assert backbone.strides == {name: stem_reduction * 2**i for i, name in enumerate(STAGE_NAMES)}
    for name, feature in features.items():
        side = 64 // backbone.strides[name]
        assert feature.shape == (1, backbone.channels[name], side, side)


def test_smallest_input_of_the_design() -> None:
    backbone = build_backbone(tiny(), in_channels=1, stem_reduction=1)

    sizes = [f.shape[-1] for f in backbone(torch.zeros(2, 1, 8, 8)).values()]

    assert sizes == [8, 4, 2, 1]


def test_unknown_stem_reduction_is_refused() -> None:
    with pytest.raises(UsageError, match=r"A stem reduction of 3 does not exist\. Use 1, 2 or 4\."):
        OSABackbone(tiny(), stem_reduction=3)


@pytest.mark.parametrize("form", FORMS)
def test_traced_and_folded_networks_agree(form: str) -> None:
    model = randomised(build(FORMS[form], num_classes=5))
    x = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    traced = symbolic_trace(model)
    folded = fuse(model)

    torch.testing.assert_close(traced(x), model(x), rtol=0, atol=0)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    torch.testing.assert_close(folded(x), model(x), rtol=1e-9, atol=1e-9)


def test_backbone_alone_is_traceable() -> None:
    backbone = build_backbone(FORMS["ese"]).eval()
    x = torch.randn(1, 3, 64, 64)

    features, traced = backbone(x), symbolic_trace(backbone)(x)

    assert all(torch.equal(features[name], traced[name]) for name in STAGE_NAMES)


def test_exportable() -> None:
    model = build(FORMS["depthwise"], num_classes=5).eval()
    x = torch.randn(1, 3, 32, 32)

    exported = torch.export.export(model, (x,)).module()

    torch.testing.assert_close(exported(x), model(x))


@pytest.mark.parametrize("form", FORMS)
def test_channels_last_survives_to_the_features(form: str) -> None:
    backbone = build_backbone(FORMS[form]).eval().to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 64, 64).to(memory_format=torch.channels_last)

    features = backbone(x)

    assert all(f.is_contiguous(memory_format=torch.channels_last) for f in features.values())


@pytest.mark.parametrize("form", FORMS)
def test_every_parameter_gets_a_gradient(form: str) -> None:
    model = build(FORMS[form], num_classes=5, stem_reduction=1)

    model(torch.randn(4, 3, 16, 16)).square().sum().backward()

    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_initial_weights() -> None:
    torch.manual_seed(0)
    model = build("vovnet19_slim_dw_v2", num_classes=10)
    depthwise = model.backbone.get_parameter("stages.stage5.module1.layers.0.depthwise.weight").detach()

    assert depthwise.std() == pytest.approx((2 / 9) ** 0.5, rel=0.1)
    assert model.fc.weight.detach().std() == pytest.approx(0.01, rel=0.1)
    assert not model.fc.bias.any()
