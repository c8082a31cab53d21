from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from osanas.costs import count_costs
from osanas.errors import UsageError
from osanas.genotype.architecture import Architecture
from osanas.genotype.blocks import ATTENTIONS, CONVS
from osanas.genotype.closed_form import GenotypeCosts, NetworkShape
from osanas.genotype.variants import VARIANTS
from osanas.models.build import build_backbone
from osanas.models.heads import Classifier
from tests.models.architectures import ARCHITECTURES, tiny


@given(
    architecture=ARCHITECTURES,
    resolution=st.integers(31, 70),
    num_classes=st.one_of(st.none(), st.integers(1, 12)),
    in_channels=st.sampled_from([1, 3]),
    stem_reduction=st.sampled_from([1, 2, 4]),
)
@settings(max_examples=30, deadline=None)
def test_closed_form_equals_traced_counts(
    architecture: Architecture, resolution: int, num_classes: int | None, in_channels: int, stem_reduction: int
) -> None:
    shape = NetworkShape(resolution, in_channels, num_classes, stem_reduction)
    assert shape.costs(architecture) == _traced(architecture, shape)


@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_closed_form_equals_traced_counts_for_every_kind(conv: str, attention: str) -> None:
    architecture, shape = tiny(conv=conv, attention=attention, identity=True), NetworkShape(37, 3, 5, 2)
    assert shape.costs(architecture) == _traced(architecture, shape)


def _traced(architecture: Architecture, shape: NetworkShape) -> GenotypeCosts:
    with torch.device("meta"):
        backbone = build_backbone(architecture, in_channels=shape.in_channels, stem_reduction=shape.stem_reduction)
        model = backbone if shape.num_classes is None else Classifier(backbone, shape.num_classes)
    traced = count_costs(model, (shape.in_channels, shape.resolution, shape.resolution))
    return GenotypeCosts(traced.parameters, traced.multiply_adds, traced.memory_access_elements)


def test_closed_form_of_a_dense_module() -> None:
    """Weights are ``9 c m + 9 (L - 1) m^2 + (c + L m) o``: a layer more adds ``9 m^2 + m o``, once per map element."""
    m, o, layers, size = 8, 16, 4, 7
    shorter, longer = (
        tiny(
            stages=[
                *tiny().to_dict()["stages"][:3],
                {"conv_channels": m, "out_channels": o, "layers": count, "modules": 1},
            ]
        )
        for count in (layers, layers + 1)
    )
    weights = 9 * m * m + m * o

    before, after = map(NetworkShape.of(224).costs, (shorter, longer))

    assert after.multiply_adds - before.multiply_adds == size * size * weights
    assert after.parameters - before.parameters == weights + 2 * m


def test_too_small_a_resolution_is_refused() -> None:
    with pytest.raises(UsageError, match="Resolution 28 is too small"):
        NetworkShape(28, 3, 1000, 4).costs(VARIANTS["vovnet39"])


def test_unknown_stem_reduction_is_refused() -> None:
    with pytest.raises(UsageError, match="A stem reduction of 8 does not exist"):
        NetworkShape(224, 3, 1000, 8).costs(VARIANTS["vovnet39"])
