from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from osanas.costs import Costs, LayerCost, count_costs, memory_access_bound
from osanas.errors import UsageError
from osanas.genotype.architecture import Attention, Conv
from osanas.models.build import build
from osanas.models.zoo import build_peer
from tests.models.architectures import tiny

# Counted from torchvision's networks by an independent tracer; multiply-adds in thousandths of 1e9, elements in tenths
# of 1e6, 1000 classes at 224x224.
PEERS = {
    "resnet50": (25_557_032, 4089, 473),
    "resnet101": (44_549_160, 7801, 765),
    "densenet121": (7_978_856, 2834, 298),
    "densenet161": (28_681_000, 7728, 678),
    "densenet201": (20_013_928, 4291, 516),
    "mobilenet_v2": (3_504_872, 301, 169),
    "shufflenet_v2_x1_0": (2_278_604, 145, 63),
    "squeezenet1_0": (1_248_424, 819, 85),
    "alexnet": (61_100_840, 714, 619),
}


def _costs(module: nn.Module, *shape: int) -> Costs:
    channels, height, width = shape
    return count_costs(module, (channels, height, width))


def _only_layer(module: nn.Module, *shape: int) -> LayerCost:
    (layer,) = _costs(module, *shape).layers
    return layer


@pytest.mark.parametrize("name", PEERS)
def test_peers(name: str) -> None:
    with torch.device("meta"):
        costs = count_costs(build_peer(name), (3, 224, 224))

    assert (costs.parameters, round(costs.multiply_adds / 1e6), round(costs.memory_access_elements / 1e5)) == PEERS[
        name
    ]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{
        f"{conv}, {attention}": partial(build, tiny(conv=conv, attention=attention, identity=True), num_classes=7)
        for conv, attention in product(get_args(Conv), get_args(Attention))
    },
    **{name: partial(build_peer, name) for name in ("mobilenet_v2", "shufflenet_v2_x1_0", "resnet50", "alexnet")},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_has_half_the_flops_that_torch_counts(name: str) -> None:
    with torch.device("meta"):
        model, images = NETWORKS[name]().eval(), torch.empty(1, 3, 64, 64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images)
    counts = counter.get_flop_counts()
    layers = [
        sum(counts[f"{type(model).__name__}.{path}"].values())
        for path, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]

    costs = count_costs(model, (3, 64, 64))

    assert sorted(2 * layer.multiply_adds for layer in costs.layers) == sorted(layers)


class TestBound:
    def test_of_an_unequal_layer(self) -> None:
        layer = _only_layer(nn.Conv2d(64, 256, 3, padding=1), 64, 56, 56)

        assert layer.multiply_adds == 462_422_016
        assert layer.memory_access_elements == 1_150_976
        assert layer.memory_access_bound == 950_272

    def test_is_reached_by_equal_widths(self) -> None:
        layer = _only_layer(nn.Conv2d(128, 128, 3, padding=1), 128, 56, 56)

        assert layer.multiply_adds == 462_422_016
        assert layer.memory_access_elements == layer.memory_access_bound == 950_272

    @settings(deadline=None)
    @given(
        st.integers(1, 300), st.integers(1, 300), st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 3, 5, 7])
    )
    def test_is_never_above_the_cost(self, wide: int, narrow: int, height: int, width: int, kernel: int) -> None:
        area = kernel**2
        cost = height * width * (wide + narrow) + area * wide * narrow
        bound = memory_access_bound(area * height * width * wide * narrow, height * width, area)

        assert bound <= cost * (1 + 1e-12)
        assert (wide == narrow) == (bound == pytest.approx(cost, rel=1e-13))

    @pytest.mark.parametrize(
        "layer",
        [
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.Conv2d(8, 8, 3, padding=1, groups=2),
            nn.Conv2d(8, 8, 3),
            nn.ConvTranspose2d(8, 8, 3, padding=1),
        ],
        ids=["stride", "groups", "shrinking map", "transposed"],
    )
    def test_is_none_where_it_does_not_hold(self, layer: nn.Module) -> None:
        costs = _costs(layer, 8, 12, 12)

        assert costs.layers[0].memory_access_bound is None
        assert costs.memory_access_bound is None
        assert costs.memory_access_excess is None

    def test_total_and_excess_are_over_the_same_layers(self) -> None:
        model = nn.Sequential(nn.Conv2d(64, 256, 3, padding=1), nn.Conv2d(256, 256, 3, stride=2, padding=1))
        costs = _costs(model, 64, 56, 56)

        assert costs.memory_access_bound == 950_272
        assert costs.memory_access_excess == pytest.approx(1_150_976 / 950_272)
        assert costs.memory_access_elements > 1_150_976


class TestLayers:
    def test_grouped_convolution(self) -> None:
        layer = _only_layer(nn.Conv2d(8, 12, (3, 5), padding=(1, 2), groups=4, stride=(2, 1)), 8, 10, 10)
        weights = 15 * 8 * 12 // 4

        assert layer.multiply_adds == 5 * 10 * weights
        assert layer.memory_access_elements == 8 * 100 + 12 * 50 + weights

    def test_transposed_convolution(self) -> None:
        layer = _only_layer(nn.ConvTranspose2d(6, 4, 2, stride=2), 6, 5, 5)

        assert layer.multiply_adds == 25 * 6 * 4 * 4
        assert layer.memory_access_elements == 6 * 25 + 4 * 100 + 96

    @pytest.mark.parametrize("bias", [True, False])
    def test_linear(self, bias: bool) -> None:
        layer = _only_layer(nn.Sequential(nn.Flatten(), nn.Linear(48, 10, bias=bias)), 3, 4, 4)

        assert layer.multiply_adds == 480
        assert layer.memory_access_elements == 48 + 10 + 480

    @pytest.mark.parametrize("bias", [True, False])
    def test_linear_over_many_rows(self, bias: bool) -> None:
        layer = _only_layer(nn.Linear(6, 10, bias=bias), 3, 4, 6)

        assert layer.multiply_adds == 12 * 60
        assert layer.memory_access_elements == 12 * 16 + 60
        assert layer.memory_access_bound is not None
        assert layer.memory_access_bound <= layer.memory_access_elements

    def test_a_layer_that_runs_twice_counts_twice(self) -> None:
        class Twice(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.second = nn.Conv2d(4, 4, 1)
                self.first = nn.Conv2d(3, 4, 1)

            def forward(self, x: Tensor) -> Tensor:
                out: Tensor = self.second(self.second(self.first(x)))
                return out

        costs = _costs(Twice(), 3, 2, 2)

        assert [layer.multiply_adds for layer in costs.layers] == [4 * 12, 4 * 16, 4 * 16]
        assert costs.parameters == 3 * 4 + 4 + 4 * 4 + 4

    def test_weights_used_without_a_module_call(self) -> None:
        class Functional(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.conv = nn.Conv2d(3, 4, 3, padding=1)
                self.projection = nn.Parameter(torch.zeros(5, 4))

            def forward(self, x: Tensor) -> Tensor:
                x = nn.functional.conv2d(x, self.conv.weight, padding=1)
                return nn.functional.linear(x.mean((2, 3)), self.projection)

        costs = _costs(Functional(), 3, 6, 6)

        assert [layer.multiply_adds for layer in costs.layers] == [36 * 108, 20]

    def test_attention_s_linear_layers_count_and_its_matrix_products_are_named(self) -> None:
        class Tokens(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

            def forward(self, x: Tensor) -> Tensor:
                tokens = x.flatten(2).transpose(1, 2)
                out: Tensor = self.attention(tokens, tokens, tokens, need_weights=False)[0]
                return out

        costs = _costs(Tokens(), 8, 3, 3)

        assert costs.multiply_adds == 9 * (8 * 24 + 8 * 8)
        assert "bmm" in costs.uncounted

    def test_shared_parameters_count_once(self) -> None:
        first, second = nn.Conv2d(4, 4, 1, bias=False), nn.Conv2d(4, 4, 1, bias=False)
        second.weight = first.weight

        costs = _costs(nn.Sequential(first, second), 4, 2, 2)

        assert costs.parameters == 16
        assert costs.multiply_adds == 2 * 4 * 16


class TestUncounted:
    def test_names_what_is_not_in_the_totals(self) -> None:
        model = nn.Sequential(
            nn.Conv2d(3, 4, 1),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(2),
            nn.Conv1d(4, 4, 1),
        )

        assert _costs(model, 3, 4, 4).uncounted == (
            "native_batch_norm",
            "relu",
            "max_pool2d_with_indices",
            "conv1d",
        )

    def test_views_and_copies_are_none(self) -> None:
        class Moves(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x.transpose(1, 2).contiguous().flatten(1)[:, None].expand(2, -1, -1).clone()

        assert _costs(Moves(), 3, 4, 4).uncounted == ()

    def test_empty_where_all_is_counted(self) -> None:
        assert _costs(nn.Conv2d(3, 4, 1), 3, 4, 4).uncounted == ()


class TestPeakActivations:
    """Maps of 4 channels and 5x5 pixels: 400 bytes each in float32."""

    def _peak(self, module: nn.Module) -> int:
        return _costs(module, 4, 5, 5).peak_activation_bytes // 400

    def test_a_chain_holds_input_and_output(self) -> None:
        assert self._peak(nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(5)))) == 2

    def test_in_place_takes_nothing(self) -> None:
        assert self._peak(nn.Sequential(nn.ReLU(inplace=True))) == 1
        assert self._peak(nn.Sequential(nn.ReLU())) == 2

    def test_results_needed_later_stay(self) -> None:
        class Aggregation(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.convs = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(3))

            def forward(self, x: Tensor) -> Tensor:
                features = [x]
                for conv in self.convs:
                    features.append(conv(features[-1]))
                return torch.cat(features, 1)

        assert self._peak(Aggregation()) == 4 + 4

    def test_every_output_is_kept_for_the_caller(self) -> None:
        class Two(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.conv = nn.Conv2d(4, 4, 1)

            def forward(self, x: Tensor) -> dict[str, Tensor]:
                first = self.conv(x)
                second = self.conv(self.conv(first))
                return {"first": first, "second": second}

        assert self._peak(Two()) == 3

    def test_views_share_memory_and_half_precision_halves(self) -> None:
        model = nn.Sequential(nn.Flatten(2), nn.Unflatten(2, (5, 5)), nn.Conv2d(4, 4, 1))

        assert _costs(model, 4, 5, 5).peak_activation_bytes == 800
        assert _costs(model.half(), 4, 5, 5).peak_activation_bytes == 400

    def test_results_nothing_reads_take_nothing(self) -> None:
        costs = _costs(nn.MaxPool2d(1), 4, 5, 5)

        assert costs.peak_activation_bytes == 800


class _NeedsValues(nn.Module):
    """Cannot run on shapes alone: holds a tensor that is no buffer, and looks at values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.scale = [torch.ones(1)]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) * self.scale[0]
        return y if y.sum().item() > 1e9 else y + 1


def test_networks_that_need_values_are_run_for_real() -> None:
    costs = _costs(_NeedsValues(), 3, 8, 8)

    assert costs.multiply_adds == 64 * 9 * 12
    assert costs.uncounted == ("mul", "sum", "add")


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "squeezenet1_1"])
def test_device_of_the_network_does_not_matter(name: str) -> None:
    def counted(make: Callable[[], nn.Module]) -> Costs:
        return count_costs(make(), (3, 64, 64))

    with torch.device("meta"):
        shapes_only = counted(lambda: build_peer(name))

    assert counted(lambda: build_peer(name)) == shapes_only


def test_the_network_comes_back_as_it_was() -> None:
    model = build(tiny(), num_classes=3)
    model.backbone.stem.eval()
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    count_costs(model, (3, 64, 64))

    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.is_grad_enabled()


def test_an_input_the_network_cannot_take() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 9)).train()

    with pytest.raises(UsageError) as caught:
        count_costs(model, (3, 6, 6))

    assert caught.value.problem.startswith("The network cannot take an input of 3x6x6: ")
    assert "Kernel size can't be greater than actual input size" in caught.value.problem
    assert caught.value.fix == "Give the channels and the resolution it expects."
    assert model[0].training


def test_bytes() -> None:
    costs = _costs(nn.Conv2d(3, 4, 1), 3, 2, 2)

    assert costs.memory_access_elements == 12 + 16 + 12
    assert costs.memory_access_bytes() == 160
    assert costs.memory_access_bytes(2) == 80
