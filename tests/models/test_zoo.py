from __future__ import annotations

import sys

import pytest
import torch

from osanas.errors import MissingExtraError, UsageError
from osanas.genotype.variants import VARIANTS
from osanas.models.heads import Classifier
from osanas.models.zoo import build_peer, has_timm, peer_names


def test_names_hold_the_paper_s_peers_and_no_published_variant() -> None:
    names = peer_names()

    assert {"resnet50", "densenet201", "mobilenet_v2", "shufflenet_v2_x1_0", "squeezenet1_0", "alexnet"} <= set(names)
    assert not set(names) & set(VARIANTS)
    assert names == sorted(names)
    assert not [name for name in names if "rcnn" in name or "ssd" in name]


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "densenet121", "googlenet", "inception_v3"])
@pytest.mark.filterwarnings("error")
def test_peers_take_a_number_of_classes_and_warn_of_nothing(name: str) -> None:
    with torch.device("meta"):
        peer = build_peer(name, num_classes=12).eval()

        assert peer(torch.empty(1, 3, 299, 299)).shape == (1, 12)


def test_unknown_peer_suggests_one() -> None:
    with pytest.raises(UsageError) as caught:
        build_peer("resnet55")

    assert caught.value.problem == "There is no network 'resnet55'."
    assert "Did you mean 'resnet" in caught.value.fix


def test_no_classes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"num_classes is 0\. Give at least 1\."):
        build_peer("resnet18", num_classes=0)


def test_timm_peers() -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    assert has_timm()
    with torch.device("meta"):
        peer = build_peer("timm:seresnet18", num_classes=9).eval()

        assert peer(torch.empty(1, 3, 64, 64)).shape == (1, 9)


@pytest.mark.parametrize("name", ["timm:seresnet180", "timm:hf-hub:owner/model", "timm:"])
def test_what_timm_does_not_list_is_refused(name: str) -> None:
    pytest.importorskip("timm", reason="timm is not installed")

    with pytest.raises(UsageError, match="timm has no network"):
        build_peer(name)


def test_timm_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)

    assert not has_timm()
    with pytest.raises(MissingExtraError) as caught:
        build_peer("timm:senet154")

    assert "'timm:senet154' needs the package 'timm'" in caught.value.problem
    assert "pip install 'osanas[timm]'" in caught.value.fix


@pytest.mark.parametrize(("resolution", "stage2"), [(16, 16), (64, 32), (224, 56)])
def test_control_has_the_stem_that_suits_its_images(resolution: int, stage2: int) -> None:
    with torch.device("meta"):
        peer = build_peer("vovnet27_slim_bottleneck", 4, resolution=resolution).eval()

        assert isinstance(peer, Classifier)
        assert peer.backbone(torch.empty(1, 3, resolution, resolution))["stage2"].shape[-1] == stage2
    assert "vovnet27_slim_bottleneck" in peer_names()


def test_control_refuses_images_that_are_too_small() -> None:
    with pytest.raises(UsageError, match=r"Resolution 5 is too small .* at least 8"):
        build_peer("vovnet27_slim_bottleneck", resolution=5)
