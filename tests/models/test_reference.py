"""Every row of the reference table: published variants against counts from reference implementations."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from osanas.costs import count_costs
from osanas.genotype.architecture import STAGE_NAMES
from osanas.genotype.closed_form import GenotypeCosts, NetworkShape
from osanas.genotype.variants import VARIANTS
from osanas.models.build import build

_TABLE = Path(__file__).parent.parent / "data" / "vovnet_reference.csv"
with _TABLE.open(newline="") as _file:
    ROWS = list(csv.DictReader(_file))
_V2 = {
    "V-19-slim-dw-eSE": "vovnet19_slim_dw_v2",
    "V-19-dw-eSE": "vovnet19_dw_v2",
    "V-19-slim-eSE": "vovnet19_slim_v2",
    "V-19-eSE": "vovnet19_v2",
    "V-39-eSE": "vovnet39_v2",
    "V-57-eSE": "vovnet57_v2",
    "V-99-eSE": "vovnet99_v2",
    "V-75-FPN": "vovnet75",
    "V-93-FPN": "vovnet93",
}


BUILT = [pytest.param(row, marks=() if int(row["conv2d_count"]) < 50 else pytest.mark.slow) for row in ROWS]


def _name(row: dict[str, str]) -> str:
    if row["source"].startswith("stigma0617"):
        return row["variant"] + "_port"
    return _V2.get(row["variant"], row["variant"])


def _numbers(row: dict[str, str]) -> tuple[GenotypeCosts, int, int]:
    classifier = GenotypeCosts(
        int(row["params_cls1000"]), int(row["macs_cls1000_224"]), int(row["memory_access_elems_cls1000_224"])
    )
    return classifier, int(row["params_backbone"]), int(row["macs_backbone_224"])


def test_every_published_variant_has_a_row() -> None:
    assert len(ROWS) == 25
    assert sorted(map(_name, ROWS)) == sorted(VARIANTS)


@pytest.mark.parametrize("row", BUILT, ids=_name)
def test_traced_counts(row: dict[str, str]) -> None:
    with torch.device("meta"):
        model = build(_name(row))
    whole, backbone = count_costs(model, (3, 224, 224)), count_costs(model.backbone, (3, 224, 224))

    assert (
        GenotypeCosts(whole.parameters, whole.multiply_adds, whole.memory_access_elements),
        backbone.parameters,
        backbone.multiply_adds,
    ) == _numbers(row)
    assert len(whole.layers) == int(row["conv2d_count"]) + 1  # the classifier


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_closed_form(row: dict[str, str]) -> None:
    architecture = VARIANTS[_name(row)]
    backbone = NetworkShape.of(224, num_classes=None).costs(architecture)

    assert (NetworkShape.of(224).costs(architecture), backbone.parameters, backbone.multiply_adds) == _numbers(row)


@pytest.mark.parametrize("row", BUILT, ids=_name)
def test_shapes(row: dict[str, str]) -> None:
    with torch.device("meta"):
        backbone = build(_name(row)).backbone
        stem = backbone.stem(torch.empty(1, 3, 224, 224))
        features = backbone(torch.empty(1, 3, 224, 224))
    sizes = [int(size) for size in row["spatial_224_stage2_5"].split("/")]

    assert list(features) == list(STAGE_NAMES)
    assert list(backbone.channels.values()) == [int(row[f"out_ch_{name}"]) for name in STAGE_NAMES]
    assert list(backbone.strides.values()) == [int(stride) for stride in row["strides_stage2_5"].split("/")]
    assert [tuple(f.shape) for f in features.values()] == [
        (1, channels, size, size) for channels, size in zip(backbone.channels.values(), sizes, strict=True)
    ]
    assert (stem.shape[1], 224 // stem.shape[2]) == (int(row["stem_out_ch"]), int(row["stem_out_stride"]))


@pytest.mark.parametrize(
    ("resolution", "name", "multiply_adds"),
    [
        (300, "vovnet27_slim", 5_098_359_552),
        (300, "vovnet39", 13_579_383_552),
        (300, "vovnet57", 16_650_633_984),
        (320, "vovnet27_slim", 5_856_768_000),
        (320, "vovnet39", 15_846_604_800),
        (320, "vovnet57", 19_638_272_000),
    ],
)
def test_multiply_adds_at_detection_sizes(resolution: int, name: str, multiply_adds: int) -> None:
    assert NetworkShape.of(resolution, num_classes=None).costs(VARIANTS[name]).multiply_adds == multiply_adds
