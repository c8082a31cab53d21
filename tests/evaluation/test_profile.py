from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from osanas.arch import VARIANTS
from osanas.errors import CandidateError, ConfigError, UsageError
from osanas.evaluation import profile
from osanas.evaluation.profile import Profiler, Subject, read_architecture, study_of, subject
from osanas.measure.device import identify
from osanas.measure.meter import Unavailable
from osanas.measure.protocol import MeasurementProtocol


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


def test_subjects_by_name() -> None:
    assert subject("vovnet39") == Subject("vovnet39", VARIANTS["vovnet39"])
    assert subject("resnet50") == Subject("resnet50", None)
    assert subject("timm:whatever") == Subject("timm:whatever", None)
    with pytest.raises(UsageError, match=r"no network 'vovnet_39'\. Did you mean 'vovnet39'\?"):
        subject("vovnet_39")


def test_architecture_files(tmp_path: Path) -> None:
    document = VARIANTS["vovnet39"].to_dict()
    (tmp_path / "plain.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "trial.json").write_text(json.dumps({"trial": 3, "architecture": document}), encoding="utf-8")
    for name in ("plain.json", "trial.json"):
        assert read_architecture(tmp_path / name) == VARIANTS["vovnet39"]
        assert subject(str(tmp_path / name)).architecture == VARIANTS["vovnet39"]


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


def test_check_is_told_before_anything_is_measured() -> None:
    with pytest.raises(UsageError, match="Resolution 4 is too small"):
        subject("vovnet39").check(4)
    subject("vovnet39").check(224)
    subject("resnet50").check(4)


@pytest.mark.parametrize("resolution", [16, 64, 224])
def test_build(resolution: int) -> None:
    with torch.device("meta"):
        model = subject("vovnet27_slim").build(resolution, 7)
        assert model(torch.empty(1, 3, resolution, resolution)).shape == (1, 7)


def test_what_cannot_be_measured_is_none_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object, **__: object) -> None:
        raise CandidateError("out_of_memory", "It does not fit.")

    monkeypatch.setattr(profile, "measure", measure)
    device = torch.device("cpu")
    profiler = Profiler(device, identify(device), MeasurementProtocol(), Unavailable("no meter"), 32, 10)
    row = profiler.profile(subject("squeezenet1_1"))
    assert row["parameters"] == sum(p.numel() for p in subject("squeezenet1_1").build(32, 10).parameters())
    assert row["latency_ms"] is None
    assert row["energy_mj"] is None
    assert row["notes"][-1] == "It does not fit."
    assert profiler.key()["input_shape"] == [3, 32, 32]
    assert json.loads(json.dumps(profiler.key())) == profiler.key()
