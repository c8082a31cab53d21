from __future__ import annotations

import copy
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from osanas.errors import UsageError
from osanas.measure.deploy import check_precision, deployed
from osanas.measure.protocol import MeasurementProtocol

CPU = torch.device("cpu")
PROTOCOL = MeasurementProtocol()


def _trained(model: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms with statistics and weights of their own."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            for tensor, low, high in (
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.5, 2.0),
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
            ):
                if tensor is not None:
                    tensor.data.uniform_(low, high, generator=generator)
    return model


def _conv(channels_in: int, channels_out: int, *, bias: bool = False, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias, groups=groups)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out), nn.ReLU())


class Aggregation(nn.Module):
    """One-shot aggregation, with a layer that is read twice."""

    def __init__(self, layers: int, *, bias: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_conv(8, 8, bias=bias, groups=1 + index % 2) for index in range(layers))
        self.last = _conv(8 * (layers + 1), 16)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        outputs = [x]
        for layer in self.layers:
            outputs.append(layer(outputs[-1]))
        return {"out": self.last(torch.cat(outputs, dim=1))}


class Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = _conv(8, 8)
        self.loose = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.loose(self.body(x))
        return y if y.sum() > 0 else -y


class Functional(nn.Module):
    """A norm of its own making, as timm's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        torch._assert(y.ndim == 4, "images")
        norm = self.norm
        return torch.nn.functional.batch_norm(
            y, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, norm.momentum or 0.1, norm.eps
        )


def _same(model: nn.Module, changed: nn.Module, shape: tuple[int, ...]) -> bool:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = model.eval()(x), changed(x)
    if isinstance(expected, dict):
        expected, found = expected["out"], found["out"]
    return torch.allclose(expected, found, rtol=1e-4, atol=1e-5)


@settings(max_examples=15)
@given(st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_folding_changes_no_output_and_not_the_original(layers: int, bias: bool, seed: int) -> None:
    model = _trained(Aggregation(layers, bias=bias), seed).train()
    before = copy.deepcopy(model.state_dict())
    form, notes = deployed(model, CPU, PROTOCOL)
    assert notes == ()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in form.modules())
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in form.parameters())
    assert _same(model, form, (2, 8, 9, 9))


def test_weights_are_channels_last() -> None:
    form, _ = deployed(_conv(8, 8), CPU, PROTOCOL)
    weight = next(p for p in form.parameters() if p.ndim == 4)
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_a_norm_written_as_a_function_is_folded() -> None:
    model = _trained(Functional())
    form, notes = deployed(model, CPU, PROTOCOL)
    assert notes == ()
    assert _same(model, form, (1, 8, 9, 9))


def test_a_linear_layer_takes_its_norm() -> None:
    model = _trained(nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)))
    form, notes = deployed(model, CPU, PROTOCOL)
    assert notes == ()
    assert _same(model, form, (3, 8))


def test_what_cannot_be_traced_is_folded_in_parts_and_noted() -> None:
    model = _trained(Untraceable())
    form, notes = deployed(model, CPU, PROTOCOL)
    (note,) = notes
    assert note.startswith("1 batch norm is not folded: the network's forward pass cannot be traced")
    assert _same(model, form, (1, 8, 9, 9))


def test_a_norm_before_its_convolution_stays_and_is_noted() -> None:
    model = _trained(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3)))
    form, notes = deployed(model, CPU, PROTOCOL)
    assert notes == (
        "1 batch norm is not folded: folding needs a convolution or linear layer right before that feeds nothing else",
    )
    assert _same(model, form, (1, 8, 9, 9))


def test_shared_layers_and_norms_without_statistics_stay() -> None:
    shared = nn.Conv2d(8, 8, 3, padding=1)
    model = _trained(nn.Sequential(shared, nn.BatchNorm2d(8), shared, nn.BatchNorm2d(8)))
    form, notes = deployed(model, CPU, PROTOCOL)
    assert notes[0].startswith("2 batch norms are not folded: ")
    assert _same(model, form, (1, 8, 9, 9))
    form, notes = deployed(
        nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8, track_running_stats=False)), CPU, PROTOCOL
    )
    assert notes[0].startswith("1 batch norm is not folded: ")


def test_precision_is_the_protocols() -> None:
    form, _ = deployed(_conv(8, 8), CPU, MeasurementProtocol(precision="bf16"))
    assert {parameter.dtype for parameter in form.parameters()} == {torch.bfloat16}
    with pytest.raises(UsageError, match="fp16") as failure:
        deployed(_conv(8, 8), CPU, MeasurementProtocol(precision="fp16"))
    assert "bf16" in failure.value.fix


def test_peers_are_folded_whole() -> None:
    torchvision = pytest.importorskip("torchvision")
    assert deployed(torchvision.models.shufflenet_v2_x0_5(), CPU, PROTOCOL)[1] == ()
    timm = pytest.importorskip("timm")
    assert deployed(timm.create_model("ese_vovnet19b_slim_dw"), CPU, PROTOCOL)[1] == ()


def test_a_precision_that_would_be_emulated_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: including_emulation)
    with pytest.raises(UsageError, match=r"The GPU cuda:0 has no bfloat16 units.*--precision fp16"):
        check_precision(torch.device("cuda", 0), "bf16")
    check_precision(torch.device("cuda", 0), "fp16")
