from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest
import torch

from osanas.errors import ConfigError, UsageError
from osanas.genotype.architecture import Downsample
from osanas.genotype.geometry import check_resolution, stem_pools, stem_reduction_for, stem_strides
from osanas.genotype.variants import VARIANTS
from osanas.models.build import build, build_backbone
from tests.models.architectures import tiny


def test_name_architecture_and_json_build_the_same() -> None:
    with torch.device("meta"):
        models = [build(form) for form in ("vovnet39", VARIANTS["vovnet39"], VARIANTS["vovnet39"].to_dict())]

    assert {str(model) for model in models} == {str(models[0])}
    assert models[0].backbone.architecture == VARIANTS["vovnet39"]


def test_classes_and_channels() -> None:
    model = build(tiny(), num_classes=10, in_channels=1, stem_reduction=1)

    assert model(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_equal_seeds_give_equal_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(build(tiny(), num_classes=3).state_dict())

    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))


def test_unknown_name_suggests_one() -> None:
    with pytest.raises(UsageError) as caught:
        build("vovnet27slim")

    assert str(caught.value) == "There is no published variant 'vovnet27slim'. Did you mean 'vovnet27_slim'?"


def test_wrong_json_names_every_key() -> None:
    document = tiny().to_dict() | {"atention": "ese", "conv": "sparse"}

    with pytest.raises(ConfigError) as caught:
        build(document)

    assert {problem.key for problem in caught.value.problems} == {"atention", "conv"}
    assert "Did you mean 'attention'?" in str(caught.value)


@pytest.mark.parametrize(("option", "value"), [("num_classes", 0), ("in_channels", -1)])
def test_counts_below_one_are_refused(option: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"{option} is {value}. Give at least 1."):
        build(tiny(), **{option: value})


@pytest.mark.parametrize(("resolution", "reduction"), [(8, 1), (16, 1), (17, 2), (64, 2), (65, 4), (224, 4)])
def test_stem_reduction_by_resolution(resolution: int, reduction: int) -> None:
    assert stem_reduction_for(resolution) == reduction


@pytest.mark.parametrize("stem_reduction", [1, 2, 4])
@pytest.mark.parametrize("downsample", ["pool", "stride"])
def test_a_resolution_is_accepted_if_and_only_if_the_network_takes_it(
    stem_reduction: int, downsample: Downsample
) -> None:
    backbone = build_backbone(
        tiny(stem={"channels": [1, 1, 1], "downsample": downsample}), stem_reduction=stem_reduction
    ).eval()

    for resolution in range(70):
        images = torch.zeros(1, 3, resolution, resolution)
        works = _runs(partial(backbone, images), RuntimeError)
        accepted = _runs(partial(check_resolution, resolution, stem_reduction, downsample=downsample), UsageError)

        assert accepted == works, resolution


def _runs(call: Callable[[], object], error: type[Exception]) -> bool:
    try:
        call()
    except error:
        return False
    return True


@pytest.mark.parametrize(
    ("resolution", "stem_reduction", "fix"),
    [
        (7, 1, "Use a resolution of at least 8."),
        (14, 2, "Use a resolution of at least 15, or a smaller stem reduction."),
        (30, 4, "Use a resolution of at least 31, or a smaller stem reduction."),
    ],
)
def test_small_resolutions_are_refused_with_the_smallest_that_works(
    resolution: int, stem_reduction: int, fix: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_resolution(resolution, stem_reduction)

    assert f"Resolution {resolution} is too small at a stem reduction of {stem_reduction}" in caught.value.problem
    assert caught.value.fix == fix
    check_resolution(resolution + 1, stem_reduction)


def test_recommended_reductions_fit_from_eight_pixels_up() -> None:
    for resolution in range(8, 300):
        check_resolution(resolution, stem_reduction_for(resolution))


def test_strides_and_pool_of_the_stem() -> None:
    assert {
        (reduction, form): (stem_strides(reduction, form), stem_pools(reduction, form))
        for reduction in (1, 2, 4)
        for form in ("pool", "stride")
    } == {
        (1, "pool"): ((1, 1, 1), False),
        (1, "stride"): ((1, 1, 1), False),
        (2, "pool"): ((2, 1, 1), False),
        (2, "stride"): ((2, 1, 1), False),
        (4, "pool"): ((2, 1, 1), True),
        (4, "stride"): ((2, 1, 2), False),
    }


def test_the_closed_form_needs_no_torch() -> None:
    code = "import sys, osanas.genotype.closed_form; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
