from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from osanas.errors import ConfigError, UsageError
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.variants import VARIANTS
from osanas.models.zoo import peer_names
from osanas.profiling.networks import PAPER, SENET, Network, network, paper_models, read_architecture, study_of


@pytest.mark.parametrize(
    ("text", "study"),
    [
        ("tiny-digits:3", "tiny-digits"),
        ("a.yaml:0", "a.yaml"),
        ("timm:1", None),
        ("timm:resnet10t", None),
        ("resnet50", None),
        (":3", None),
        ("study:", None),
        ("study:-1", None),
        ("net.json", None),
    ],
)
def test_study_of(text: str, study: str | None) -> None:
    assert study_of(text) == study


def test_networks_by_name() -> None:
    assert network("vovnet39") == Network("vovnet39", VARIANTS["vovnet39"])
    assert network("resnet50") == Network("resnet50", None)
    assert network("timm:whatever") == Network("timm:whatever", None)
    with pytest.raises(UsageError, match=r"no network 'vovnet_39'\. Did you mean 'vovnet39'\?"):
        network("vovnet_39")


def test_architecture_files(tmp_path: Path) -> None:
    document = VARIANTS["vovnet39"].to_dict()
    (tmp_path / "plain.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "trial.json").write_text(json.dumps({"trial": 3, "architecture": document}), encoding="utf-8")
    for name in ("plain.json", "trial.json"):
        assert read_architecture(tmp_path / name) == VARIANTS["vovnet39"]
        assert network(str(tmp_path / name)).architecture == VARIANTS["vovnet39"]


@pytest.mark.parametrize("text", ["", "{", "3", "[]", "{}", '{"architecture": {}}', '{"architecture": 5}', "\ufeff{}"])
def test_no_architecture(tmp_path: Path, text: str) -> None:
    (tmp_path / "net.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"net\.json"):
        read_architecture(tmp_path / "net.json")


def test_unreadable_architecture_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_architecture(tmp_path)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not valid JSON"):
        read_architecture(tmp_path / "bytes.json")


def test_without_a_number_of_classes_it_is_image_net_s() -> None:
    with torch.device("meta"):
        for name in ("vovnet27_slim", "squeezenet1_1"):
            model = network(name).build(NetworkShape.of(64, 3, None))
            assert model(torch.empty(1, 3, 64, 64)).shape == (1, 1000)


@pytest.mark.parametrize("resolution", [16, 64, 224])
def test_build(resolution: int) -> None:
    with torch.device("meta"):
        model = network("vovnet27_slim").build(NetworkShape.of(resolution, 3, 7))
        assert model(torch.empty(1, 3, resolution, resolution)).shape == (1, 7)


def test_too_small_images_are_refused() -> None:
    for name in ("vovnet39", "vovnet27_slim_bottleneck"):
        with pytest.raises(UsageError, match="Resolution 4 is too small"):
            network(name).build(NetworkShape(4, 3, 10, 1))


def test_weights_are_the_same_each_time_and_leave_the_generator_alone() -> None:
    state = torch.random.get_rng_state()
    first, second = (network("squeezenet1_1").build(NetworkShape.of(64, 3, 3)).state_dict() for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_network_that_no_memory_holds(tmp_path: Path) -> None:
    document = VARIANTS["vovnet27_slim"].to_dict()
    document["stem"]["channels"] = [2**40, 2**40, 8]
    huge = Network("huge.json", Architecture.from_dict(document))
    with pytest.raises(UsageError, match=r"The network 'huge\.json' cannot be built: "):
        huge.build(NetworkShape.of(224, 3, 10))


def test_names_in_the_store() -> None:
    assert network("resnet50").identity(NetworkShape.of(32)) == "resnet50"
    assert network("resnet50").digest is None
    port, paper = VARIANTS["vovnet27_slim_port"], VARIANTS["vovnet27_slim"]
    assert Network("a", port).identity(NetworkShape.of(224)) == port.digest != paper.digest
    # below a stem reduction of 4 the stems are the same, and so are the networks
    assert Network("a", port).identity(NetworkShape.of(64)) == paper.digest


def test_paper_s_networks_are_known() -> None:
    names, notes = paper_models()
    assert names == list(PAPER)
    assert notes == []
    assert len(set(PAPER)) == len(PAPER) == 14
    assert {name for name in PAPER if name not in {*VARIANTS, *peer_names()}} == {SENET}


def test_paper_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    names, notes = paper_models()
    assert names == [name for name in PAPER if name != SENET]
    assert notes == ["SENet (timm:seresnet50) is left out: timm is not installed (pip install 'osanas[timm]')"]


def test_senet_is_se_resnet_50() -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    with torch.device("meta"):
        model = network(SENET).build(NetworkShape.of(224))
    assert sum(parameter.numel() for parameter in model.parameters()) == 28_088_024  # arXiv 1709.01507, table 2: 28.1 M


@pytest.mark.parametrize("name", PAPER)
def test_paper_s_networks_take_images_of_224_and_of_64(name: str) -> None:
    if name == SENET:
        pytest.importorskip("timm", reason="timm is not installed")
    for resolution in (224, 64):
        with torch.device("meta"):
            model = network(name).build(NetworkShape.of(resolution, 3, 5)).eval()
            assert model(torch.empty(1, 3, resolution, resolution)).shape == (1, 5)
