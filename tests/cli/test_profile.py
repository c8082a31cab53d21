from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from osanas.cli.render import profile as reports
from osanas.cli.render.figures import remarks
from osanas.genotype.variants import VARIANTS
from osanas.measure.measurement import Measurement
from osanas.measure.protocol import MeasurementProtocol
from osanas.profiling import networks
from osanas.profiling.networks import SENET
from osanas.study.flags import FLAGS
from tests.cli.conftest import Command, assert_explained
from tests.fakes import TableEvaluator

CONTRACT = [
    "model", "digest", "parameters", "multiply_adds", "memory_access_elements", "memory_access_bound",
    "peak_memory_bytes", "latency_ms", "latency_interval_ms", "images_per_second", "multiply_adds_per_second",
    "energy_mj", "energy_source", "energy_method", "power_w", "idle_power_w", "flags", "notes",
]  # fmt: skip
ADDED = [
    "memory_access_bytes", "memory_access_excess", "batch_size", "throughput_batch_size", "gpu_time_ms",
    "gpu_time_interval_ms", "percentiles_ms", "energy_net_mj", "energy_iteration_ms", "exclusive", "runtime_details",
    "measured_at", "is_stored", "uncounted",
]  # fmt: skip
HERE = ("--device", "cpu", "--threads", "1", "--resolution", "32", "--classes", "10")
PAIR = ("squeezenet1_1", "vovnet19_slim_dw_v2")
MEASURED = Measurement(
    latency_ms=12.345,
    latency_interval_ms=(12.3, 12.4),
    blocks_ms=(*(12.3,) * 4, *(12.345,) * 3, *(12.4,) * 4),
    disturbed_blocks_ms=(),
    iterations=30,
    stopped_by="interval",
    energy_mj=123.4,
    energy_source="nvml",
    energy_method="counter",
    power_w=98.7,
    idle_power_w=45.0,
    converged=True,
    gpu_time_ms=11.2,
    gpu_time_interval_ms=(11.1, 11.3),
    flags=("noisy", "power_capped"),
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real measurements of a tenth of a second; what they show is not tested here."""

    class Quick(MeasurementProtocol):
        warmup_min_seconds: float = 0.02
        warmup_max_seconds: float = 0.05
        min_seconds: float = 0.03
        max_seconds: float = 0.06

    monkeypatch.setattr("osanas.measure.protocol.MeasurementProtocol", Quick)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[MeasurementProtocol]:
    """The same figures for every network, in place of measuring; the protocols that were asked for."""
    asked: list[MeasurementProtocol] = []

    def measure(*arguments: Any, **_: Any) -> Measurement:
        asked.append(arguments[3])
        return MEASURED

    monkeypatch.setattr("osanas.profiling.profiler.measure", measure)
    return asked


# JSON and CSV -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_every_kind_of_network(osanas: Command, folder: Path, table: TableEvaluator) -> None:
    assert osanas("search", "--space", "few.yaml", "--trials", "1").code == 0
    trial = osanas("show", "few-cluttered_digits", "0", "--json")
    (folder / "whole.json").write_text(trial.out, encoding="utf-8")
    (folder / "net.json").write_text(json.dumps(trial.document["architecture"]), encoding="utf-8")
    models = ("few-cluttered_digits:0", "net.json", "whole.json", "vovnet27_slim_bottleneck", "squeezenet1_1")
    result = osanas("profile", *models, *HERE, "--energy", "estimated", "--rounds", "2", "--json")
    assert result.code == 0
    document = result.document
    assert list(document) == ["device", "measurement_key", "baseline", "seed", "order", "models", "notes"]
    names = [name for order in document["order"] for name in order]
    assert sorted(names) == sorted(models * 2)
    assert result.err.splitlines() == [f"measuring {number} of 10: {name}" for number, name in enumerate(names, 1)]
    assert [row["model"] for row in document["models"]] == list(models)
    for row in document["models"]:
        assert set(row) == {*CONTRACT, *ADDED}
        low, high = row["latency_interval_ms"]
        assert low <= row["latency_ms"] <= high
        assert row["images_per_second"] == pytest.approx(1e3 / row["latency_ms"])
        assert row["multiply_adds_per_second"] == pytest.approx(row["multiply_adds"] * 1e3 / row["latency_ms"])
        assert row["memory_access_bytes"] == 4 * row["memory_access_elements"]
        assert row["energy_source"] == "estimated"
        assert row["energy_mj"] > 0
    digests = [row["digest"] for row in document["models"]]
    assert digests == [*[trial.document["digest"]] * 3, None, None]
    assert len({row["parameters"] for row in document["models"][:3]}) == 1
    # the candidate's are in its study's database now, and the peers' nowhere
    again = osanas("profile", models[0], models[-1], *HERE, "--energy", "estimated", "--rounds", "2", "--json")
    assert [row["is_stored"] for row in again.document["models"]] == [True, False]
    assert "few-cluttered_digits:0" not in again.err


@pytest.mark.usefixtures("measured")
def test_csv(osanas: Command) -> None:
    result = osanas("profile", *PAIR, *HERE, "--energy", "none", "--baseline", PAIR[0], "--csv")
    assert result.code == 0
    lines = list(csv.DictReader(io.StringIO(result.out)))
    assert [line["model"] for line in lines] == list(PAIR)
    first = lines[0]
    assert (first["latency_ms"], first["latency_low_ms"], first["latency_high_ms"]) == ("12.345", "12.3", "12.4")
    assert (first["gpu_time_low_ms"], first["p90_ms"]) == ("11.1", "")
    assert first["flags"] == "noisy; power_capped"
    assert (first["runtime"], first["precision"], first["resolution"], first["batch_size"]) == (
        "eager",
        "fp32",
        "32",
        "1",
    )
    assert (lines[1]["latency_ratio"], first["parameters_ratio"]) == ("1.0", "1.0")
    assert not any(value.startswith(("[", "{")) for line in lines for value in line.values())
    assert None not in first


@pytest.mark.usefixtures("measured")
def test_settings_reach_the_measurement(osanas: Command, measured: list[MeasurementProtocol]) -> None:
    options = ("--batch-size", "2", "--throughput-batch-size", "8", "--runtime", "eager", "--energy", "none")
    result = osanas("profile", PAIR[0], *HERE, *options, "--json")
    assert sorted(protocol.batch_size for protocol in measured) == [2, 8]
    assert {(protocol.rounds, protocol.threads, protocol.runtime) for protocol in measured} == {(1, 1, "eager")}
    assert (
        sorted(result.err.splitlines())
        == [
            "measuring 1 of 2: squeezenet1_1 at batch 8",
            "measuring 2 of 2: squeezenet1_1 at batch 2",
        ]
        or len(result.err.splitlines()) == 2
    )
    key = result.document["measurement_key"]
    assert (key["protocol"]["rounds"], key["protocol"]["batch_size"], key["input_shape"]) == (1, 2, [3, 32, 32])
    row = result.document["models"][0]
    assert (row["batch_size"], row["throughput_batch_size"]) == (2, 8)
    assert row["images_per_second"] == pytest.approx(8e3 / 12.345)


def test_rounds(osanas: Command, measured: list[MeasurementProtocol]) -> None:
    def key(*arguments: str) -> dict[str, Any]:
        measured.clear()
        result = osanas("profile", *arguments, *HERE, "--energy", "none", "--json")
        protocol: dict[str, Any] = result.document["measurement_key"]["protocol"]
        return protocol

    assert key(PAIR[0])["rounds"] == 1
    assert len(measured) == 1
    assert key(*PAIR)["rounds"] == 3
    assert len(measured) == 6
    assert key(*PAIR, *PAIR, "--rounds", "2")["rounds"] == 2
    assert len(measured) == 4


@pytest.mark.usefixtures("measured")
def test_the_paper_s_networks(osanas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    few = partial(networks.paper_models, (*PAIR, SENET))  # building all takes long
    monkeypatch.setattr(networks, "paper_models", few)
    here = ("--device", "cpu", "--threads", "1", "--resolution", "32", "--energy", "none", "--rounds", "1", "--json")
    names = osanas("profile", "--paper", PAIR[1], "shufflenet_v2_x0_5", *here[:-1]).out
    assert re.findall(r"^(\S+) +[\d.]+ +[\d.]+ .*$", names, re.M)[:4] == [*PAIR, SENET, "shufflenet_v2_x0_5"]
    monkeypatch.setitem(sys.modules, "timm", None)
    document = osanas("profile", "--paper", *here).document
    assert [row["model"] for row in document["models"]] == list(PAIR)
    assert "timm is not installed" in document["notes"][0]


# the store --------------------------------------------------------------------------------------------------------


def test_storage(osanas: Command, folder: Path, measured: list[MeasurementProtocol]) -> None:
    here = (*PAIR, *HERE, "--energy", "none", "--storage", "sqlite:///profiles.db")
    first = osanas("profile", *here)
    assert first.code == 0
    assert (folder / "profiles.db").is_file()
    assert "from the database" not in first.out
    assert len(measured) == 6
    again = osanas("profile", *here)
    assert len(measured) == 6
    assert again.err == ""
    assert re.search(
        r"^from the database, measured \d{4}-\d\d-\d\d \d\d:\d\d \(--fresh measures again\)$", again.out, re.M
    )
    rows = osanas("profile", *here, "--json").document["models"]
    assert all(row["is_stored"] and row["measured_at"] > 1.6e9 for row in rows)
    osanas("profile", *here, "--fresh")
    assert len(measured) == 12


def test_storage_of_a_study_that_is_not_there(osanas: Command, folder: Path) -> None:
    result = osanas("profile", "gone:3", *HERE, "--storage", "sqlite:///gone.db")
    assert_explained(result, 2, "There is no database gone.db.", "--storage")
    assert not (folder / "gone.db").exists()


# the table --------------------------------------------------------------------------------------------------------


def document(**changes: Any) -> dict[str, Any]:
    """A profile of the longest names and widest figures that the paper's networks have."""
    row: dict[str, Any] = {
        "model": "vovnet27_slim_bottleneck", "digest": None, "parameters": 115_088_984, "multiply_adds": 20_742_400_000,
        "memory_access_elements": 140_300_616, "memory_access_bytes": 561_202_464, "memory_access_bound": 1e8,
        "memory_access_excess": 1.0432, "peak_memory_bytes": 498_000_000, "batch_size": 1, "latency_ms": 1234.5,
        "latency_interval_ms": [1222.2, 1246.8], "gpu_time_ms": 1233.4, "throughput_batch_size": 64,
        "images_per_second": 12345.6, "multiply_adds_per_second": 1.2345e13, "energy_mj": 123456.7,
        "energy_source": "nvml", "energy_method": "counter", "power_w": 412.3, "idle_power_w": 60.0,
        "flags": ["noisy", "new_flag"], "notes": ["a note"], "is_stored": False, "measured_at": 1.7e9,
        "latency_ratio": 12.345, "energy_ratio": 0.8, "parameters_ratio": 1.0, "multiply_adds_ratio": None,
    }  # fmt: skip
    protocol = MeasurementProtocol(rounds=3, runtime="eager").to_dict()
    return {
        "device": {"name": "NVIDIA H100", "kind": "cuda"},
        "measurement_key": {"protocol": protocol, "input_shape": [3, 224, 224], "device": {"threads": 4}},
        "baseline": "vovnet39",
        "models": [row, row | {"model": "vovnet39", "flags": [], "notes": []}],
        "notes": ["a network is left out"],
    } | changes


@pytest.mark.parametrize("width", [80, 120])
def test_table_fits(capsys: pytest.CaptureFixture[str], terminal: Callable[[int], None], width: int) -> None:
    terminal(width)
    reports.print_profile(document())
    out = capsys.readouterr().out
    assert max(map(cell_len, out.splitlines())) <= width
    for figure in ("115", "20,742", "1.04", "1234", "1.0", "1233", "12,346", "123,457", "412", "12.35", "0.80", "1.00"):
        assert figure in out, figure
    heads = [line for line in out.splitlines() if line.startswith("model")]
    assert len(heads) == 2 if width == 120 else len(heads) > 2


def test_table_names_its_conditions_flags_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    reports.print_profile(document())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "NVIDIA H100, fp32, eager, batch 1, images/s at batch 64, 224 pixels, 3 rounds, energy nvml (counter), "
        "ratios to vovnet39"
    )
    assert [line.split()[-1] for line in lines if line.startswith("vovnet27_slim_b")][1] == "ab"
    assert lines[-4:] == [
        "a  new flag: see the notes",
        f"b  noisy: {FLAGS['noisy']}",
        "vovnet27_slim_bottleneck: a note",
        "a network is left out",
    ]


@pytest.mark.usefixtures("quick")
def test_table_without_energy(osanas: Command) -> None:
    result = osanas("profile", "vovnet19_slim_v2", *HERE, "--energy", "none", "--batch-size", "2")
    assert result.code == 0
    lines = result.out.splitlines()
    assert re.search(r", fp32, eager, batch 2, 1 thread, 32 pixels, 1 round$", lines[0])
    counted, timed = (line.split() for line in lines if line.startswith("vovnet19_slim_v2"))
    assert len(counted) == 7
    assert timed[5:7] == ["-", "-"]
    assert "energy is not measured (--energy none)" in lines
    assert "not counted" not in result.out
    assert "GPU" not in result.out


def test_remarks_are_said_once() -> None:
    rows = [
        {"model": "a", "notes": ["for all", "for a"], "is_stored": False},
        {"model": "b", "notes": ["for all"], "is_stored": False},
    ]
    assert remarks(rows) == ["for all", "a: for a"]


# mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem", "fix"),
    [
        ((), "No network was named.", "Name one or more MODELs, or use --paper."),
        (("vovnet39", "--json", "--csv"), "Both --json and --csv were given.", "choose one"),
        (
            ("vovnet39", "resnet50", "--baseline", "resnet5"),
            "The baseline 'resnet5' is none of the networks.",
            "Did you mean 'resnet50'? Name it among the MODELs too.",
        ),
        (("vovnet39", "--paper", "--baseline", "resnet18"), "The baseline 'resnet18' is none of the networks.", ""),
        (("vovnet39", "--runtime", "tensorrt"), "Unknown runtime 'tensorrt'.", "Known: auto"),
        (("vovnet39", "vovnet27_slim_bottleneck", "--resolution", "6"), "Resolution 6 is too small", "at least 8"),
        (("squeezenet1_1", "alexnet", "--resolution", "32"), "alexnet: The network cannot take an input of", ""),
    ],
)
def test_refused_before_anything_is_measured(
    osanas: Command, measured: list[MeasurementProtocol], arguments: tuple[str, ...], problem: str, fix: str
) -> None:
    assert_explained(osanas("profile", *arguments, "--device", "cpu", "--energy", "none"), 2, problem, fix)
    assert measured == []


@pytest.mark.usefixtures("measured")
def test_no_rounds(osanas: Command) -> None:
    result = osanas("profile", "vovnet39", *HERE, "--rounds", "0")
    assert result.code == 2
    assert "  rounds: " in result.err


def test_variants_are_profiled_by_name(osanas: Command, measured: list[MeasurementProtocol]) -> None:
    rows = osanas("profile", "vovnet39", *HERE, "--energy", "none", "--json").document["models"]
    assert rows[0]["digest"] == VARIANTS["vovnet39"].digest
    assert len(measured) == 1
