"""What a user may get wrong: one line says what it is, one what to do, and the exit code whose mistake it was."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from osanas.engine import api
from osanas.engine.next_step import Patience
from osanas.errors import EnvironmentFailure, Unavailable
from osanas.evaluation import network
from osanas.evaluation.evaluator import CandidateCosts
from osanas.genotype.architecture import Architecture
from tests.cli.conftest import REAL, Command, assert_explained
from tests.fakes import TableEvaluator

TINY = (
    *("search", "--space", "tiny", "--data", "digits", "--device", "cpu", "--energy", "estimated"),
    *("--threads", "1", "--trials", "1"),
)


@pytest.mark.parametrize(
    ("arguments", "problem", "fix"),
    [
        (("search", "--space", "vovnett"), "no search space called 'vovnett'", "Did you mean 'vovnet'?"),
        (("search", "--space", "missing.yaml"), "missing.yaml", ""),
        (("spaces", "vovnett"), "no search space called 'vovnett'", "Did you mean 'vovnet'?"),
        ((*TINY, "--data", "digit"), "There is no data set 'digit'.", "Did you mean 'digits'?"),
        ((*TINY, "--data", "imagefolder"), "names no folder", "imagefolder:DIR"),
        ((*TINY, "--data", "imagefolder:nowhere"), "The image folder nowhere does not exist.", "existing folder"),
        ((*TINY, "--device", "tpu"), "Unknown device 'tpu'.", "Use auto, cpu, cuda or cuda:N."),
        ((*TINY, "--energy", "solar"), "Unknown energy meter 'solar'.", "Known: auto, estimated"),
        ((*TINY, "--runtime", "cudagraph"), "CUDA graphs need a GPU.", "--runtime eager"),
        ((*TINY, "--resolution", "3"), "Resolution 3 is too small", "at least 8"),
        ((*TINY, "--train-samples", "5"), "5 training images were asked for, and there are 10 classes.", "at least 10"),
        ((*TINY, "--storage", "study.db"), "no database URL", "sqlite:///"),
        ((*TINY, "--storage", "sqlite://"), "in memory", "Name a file"),
        ((*TINY, "--storage", "postgresql://u:geheim@/d:x:y"), "", ""),
        ((*TINY, "--study", "missing.yaml"), "missing.yaml does not exist", "--study"),
        ((*TINY, "--energy", "none", "--objectives", "energy_mj"), "energy_mj cannot be searched", "--objectives"),
        (("profile", "resnet5"), "There is no network 'resnet5'.", "Did you mean 'resnet50'?"),
        (("profile", "vovnet40"), "There is no network 'vovnet40'.", "vovnet"),
        (("profile", "missing.json"), "missing.json cannot be read", "Name a readable JSON file."),
        (("profile", "nowhere:3"), "There is no study 'nowhere'", ""),
        (("profile", "vovnet39", "--device", "tpu"), "Unknown device 'tpu'.", "cuda:N"),
        (("profile", "vovnet39", "--resolution", "4", "--device", "cpu"), "Resolution 4 is too small", "at least 8"),
        (("show", "nowhere"), "There is no study 'nowhere' in ", "osanas search"),
        (("pareto", "nowhere", "--storage", "sqlite:///nowhere.db"), "There is no database nowhere.db.", "--storage"),
    ],
)
def test_named_wrongly(osanas: Command, arguments: tuple[str, ...], problem: str, fix: str) -> None:
    result = osanas(*arguments)
    if problem:
        assert_explained(result, 2, problem, fix)
    assert "geheim" not in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--trials", "0", "--trials: input should be greater than 0, got 0"),
        ("--trials", "-3", "--trials: input should be greater than 0, got -3"),
        ("--epochs", "0", "--epochs: input should be greater than 0, got 0"),
        ("--reduction", "1", "--reduction: input should be greater than or equal to 2, got 1"),
        ("--rungs", "1,3,3", "--rungs: epochs that rise from rung to rung were expected, got [1, 3, 3]"),
        ("--rungs", "9,3", "--rungs: epochs that rise from rung to rung were expected, got [9, 3]"),
        ("--rungs", "0,3", "--rungs[0]: input should be greater than 0, got '0'"),
        ("--rungs", "1,x", "--rungs[1]: input should be a valid integer"),
        ("--max-latency-ms", "nan", "--max-latency-ms: input should be a finite number, got nan"),
        ("--max-latency-ms", "-1", "--max-latency-ms: input should be greater than 0, got -1.0"),
        ("--max-energy-mj", "inf", "--max-energy-mj: input should be a finite number, got inf"),
        ("--max-energy-mj", "0", "--max-energy-mj: input should be greater than 0, got 0.0"),
        ("--max-parameters", "-5", "--max-parameters: input should be greater than 0, got -5"),
        ("--max-multiply-adds", "0", "--max-multiply-adds: input should be greater than 0, got 0"),
        ("--timeout", "inf", "--timeout: a finite number of seconds, got inf"),
        ("--seed", "-1", "--seed: input should be greater than or equal to 0, got -1"),
        ("--threads", "0", "--threads: input should be greater than 0, got 0"),
        ("--sampler", "tep", "got 'tep'. Did you mean 'tpe'?"),
        ("--precision", "fp8", "--precision: one of fp32, fp16, bf16 was expected, got 'fp8'"),
        ("--runtime", "tensorrt", "--runtime: one of auto, eager, compile, cudagraph, onnxruntime was expected"),
        ("--objectives", "accuracy,latency", "got 'latency'. Did you mean 'latency_ms'?"),
        ("--objectives", "accuracy,accuracy", "--objectives: each objective once"),
        ("--study", "a b", "--study: letters, digits, "),
    ],
)
def test_value_out_of_range(osanas: Command, folder: Path, option: str, value: str, problem: str) -> None:
    result = osanas("search", option, value)
    assert (result.code, result.out) == (2, "")
    first, second, fix = result.err.splitlines()
    assert first == "error: The command line has 1 problem:"
    assert second.startswith("  --")
    assert problem in second
    assert fix == "  Correct the keys named above."
    assert not (folder / "studies").exists()


def test_every_problem_at_once(osanas: Command) -> None:
    result = osanas("search", "--trials", "0", "--epochs", "-1", "--max-latency-ms", "nan", "--sampler", "x")
    assert result.code == 2
    assert result.err.startswith("error: The command line has 4 problems:\n")
    for option in ("--trials", "--epochs", "--max-latency-ms", "--sampler"):
        assert f"\n  {option}: " in result.err


@pytest.mark.parametrize(
    ("option", "value", "key"),
    [("--batch-size", "0", "batch_size"), ("--threads", "0", "threads"), ("--precision", "fp8", "precision")],
)
def test_value_out_of_range_in_profile(osanas: Command, option: str, value: str, key: str) -> None:
    result = osanas("profile", "vovnet39", option, value)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[-3] == "error: The measurement protocol has 1 problem:"
    assert f"  {key}: " in result.err


# device and meters ------------------------------------------------------------------------------------------------


def test_cuda_without_a_gpu(osanas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for command in (("search", "--space", "tiny", "--trials", "1"), ("profile", "vovnet39")):
        result = osanas(*command, "--device", "cuda")
        assert_explained(result, 2, "The device 'cuda' is not available: ", "Use --device cpu, or run 'osanas doctor'")


@pytest.mark.parametrize("choice", ["rapl", "measured"])
def test_named_meter_that_is_not_there(osanas: Command, monkeypatch: pytest.MonkeyPatch, choice: str) -> None:
    missing = Unavailable("there is no RAPL zone here", "Use --energy estimated.")
    monkeypatch.setattr("osanas.measure.energy.choose.open_rapl", lambda *_: missing)
    result = osanas("search", "--space", "tiny", "--device", "cpu", "--energy", choice)
    assert_explained(result, 2, f"The energy meter '{choice}' is not available: there is no RAPL zone here.", "estimat")


def test_timm_is_not_installed(osanas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    result = osanas("profile", "vovnet39", "timm:resnet10t", "--device", "cpu", "--energy", "none")
    problem = "The network 'timm:resnet10t' needs the package 'timm', which is not installed."
    assert_explained(result, 2, problem, "Install it with: pip install 'osanas[timm]'")


def test_unknown_network_of_timm(osanas: Command) -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    result = osanas("profile", "vovnet39", "timm:resnet10x", "--device", "cpu", "--energy", "none")
    assert_explained(result, 2, "timm has no network 'resnet10x'.", "Did you mean 'timm:resnet10")


# data -------------------------------------------------------------------------------------------------------------

FASHION = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def test_missing_data_file(osanas: Command, folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / FASHION[1]).write_bytes(b"")
    result = osanas(*TINY, "--data", "fashion_mnist", "--data-dir", "data")
    assert_explained(result, 2, f"The data file data/{FASHION[0]} does not exist.", "--data-dir")


def test_corrupt_data_file(osanas: Command, folder: Path) -> None:
    (folder / "data").mkdir()
    for name in FASHION:
        (folder / "data" / name).write_bytes(b"not gzip")
    result = osanas(*TINY, "--data", "fashion_mnist", "--data-dir", "data")
    assert_explained(result, 2, f"The data file data/{FASHION[0]} cannot be read", "intact copy")


def test_data_that_cannot_be_downloaded(osanas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", offline)
    result = osanas(*TINY, "--data", "fashion_mnist", "--data-dir", "data")
    assert_explained(result, 2, "could not be downloaded: Name or service not known", "--data-dir")


def test_image_folder_with_a_broken_image(osanas: Command, folder: Path) -> None:
    for name, grey in (("cats", 40), ("dogs", 200)):
        (folder / "images" / name).mkdir(parents=True)
        for index in range(8):
            Image.fromarray(np.full((16, 16, 3), grey, np.uint8)).save(folder / "images" / name / f"{index}.png")
    (folder / "images" / "dogs" / "3.png").write_bytes(b"\x89PNG and then nothing")
    result = osanas(*TINY, "--data", "imagefolder:images", "--resolution", "16")
    assert_explained(result, 2, "images/dogs/3.png", "")


# files of the user ------------------------------------------------------------------------------------------------


def test_space_file_with_many_problems(osanas: Command, folder: Path) -> None:
    (folder / "bad.yaml").write_text(
        """
name: bad
stem: {channels: [8, 8, {choices: []}], downsample: pool}
stages:
  - {conv_channels: wide, out_channels: 16, layers: 1, modules: 1}
  - {conv_channels: 8, out_channels: {low: 32, high: 16}, layers: 1, modules: 1}
  - {conv_channels: 8, out_channels: 16, layer: 2, modules: 1}
  - {conv_channels: 8, out_channels: {low: 16, high: 32, step: 0}, layers: 1, modules: 1}
conv: dense
attention: none
identity: false
""",
        encoding="utf-8",
    )
    for command in (("spaces", "bad.yaml"), ("search", "--space", "bad.yaml", "--trials", "1")):
        result = osanas(*command)
        assert (result.code, result.out) == (2, "")
        assert "problems" in result.err.splitlines()[0]
        assert "Did you mean 'layers'?" in result.err
        for key in ("stem.channels[2]", "stages[0].conv_channels", "stages[1].out_channels", "stages[3].out_channels"):
            assert f"\n  {key}" in result.err


@pytest.mark.parametrize("command", [("spaces", "broken.yaml"), ("search", "--study", "broken.yaml")])
def test_broken_yaml(osanas: Command, folder: Path, command: tuple[str, ...]) -> None:
    (folder / "broken.yaml").write_text("name: [unfinished\nother: 1\n", encoding="utf-8")
    result = osanas(*command)
    assert (result.code, result.out) == (2, "")
    assert "broken.yaml has 1 problem:\n  not valid YAML: line 2" in result.err


def test_study_file_with_many_problems(osanas: Command, folder: Path) -> None:
    (folder / "many.yaml").write_text(
        "spase: tiny\ntrials: many\nsampler: tep\nmax_latency_ms: -1\nepochs: 0\n", encoding="utf-8"
    )
    result = osanas("search", "--study", "many.yaml")
    assert (result.code, result.out) == (2, "")
    lines = result.err.splitlines()
    assert lines[0] == "error: The study file many.yaml has 5 problems:"
    assert {line.split(":")[0].strip() for line in lines[1:-1]} == {
        "spase", "trials", "sampler", "max_latency_ms", "epochs",
    }  # fmt: skip
    assert "Did you mean 'space'?" in result.err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not valid JSON"),
        ("[]", ""),
        ('{"stem": {"channels": [8, 8, 16]}}', "stages"),
    ],
)
def test_architecture_file(osanas: Command, folder: Path, text: str, problem: str) -> None:
    (folder / "net.json").write_text(text, encoding="utf-8")
    result = osanas("profile", "net.json", "--device", "cpu")
    assert (result.code, result.out) == (2, "")
    assert "net.json" in result.err
    assert problem in result.err
    assert "Traceback" not in result.err


# databases --------------------------------------------------------------------------------------------------------

READERS = (("studies",), ("show", "s"), ("pareto", "s"), ("search", "--space", "few.yaml", "--study", "s"))


@pytest.mark.parametrize("command", READERS)
def test_corrupt_database(osanas: Command, folder: Path, table: TableEvaluator, command: tuple[str, ...]) -> None:
    (folder / "bad.db").write_bytes(b"no database, but long enough to be read as one" * 100)
    result = osanas(*command, "--storage", "sqlite:///bad.db")
    assert_explained(result, 2, "The file bad.db is no intact SQLite database", "Restore it from a copy")


@pytest.mark.parametrize("command", READERS)
def test_foreign_database(osanas: Command, folder: Path, table: TableEvaluator, command: tuple[str, ...]) -> None:
    with sqlite3.connect(folder / "other.db") as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    connection.close()
    result = osanas(*command, "--storage", "sqlite:///other.db")
    assert_explained(result, 2, "sqlite:///other.db is not one of osanas: it holds other tables (customers)", "--stor")


def test_locked_database(osanas: Command, table: TableEvaluator) -> None:
    assert search(osanas).code == 0
    with closing(
        sqlite3.connect("studies/few-cluttered_digits/study.db")
    ) as original:  # which that search may hold open
        original.execute("VACUUM INTO 'held.db'")
    connection = sqlite3.connect("held.db", isolation_level=None)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    try:
        for command in (("search", "--space", "few.yaml"), ("show", "few-cluttered_digits")):
            result = osanas(*command, "--storage", "sqlite:///held.db?timeout=0.1")
            assert_explained(result, 3, "stayed locked by another program", "run the same command again")
    finally:
        connection.execute("ROLLBACK")
        connection.close()
    assert osanas("show", "few-cluttered_digits", "--storage", "sqlite:///held.db").code == 0


def test_folder_that_cannot_be_written(osanas: Command, folder: Path, table: TableEvaluator) -> None:
    (folder / "studies").write_text("a file where the folder should be", encoding="utf-8")
    result = osanas("search", "--space", "few.yaml", "--trials", "1")
    assert_explained(
        result, 2, "The folder studies/few-cluttered_digits cannot be written: Not a directory", "Make it writable"
    )


def test_one_bad_file_does_not_hide_the_other_studies(osanas: Command, folder: Path, table: TableEvaluator) -> None:
    assert osanas("search", "--space", "few.yaml", "--trials", "1").code == 0
    (folder / "studies" / "broken").mkdir()
    (folder / "studies" / "broken" / "study.db").write_bytes(b"garbage" * 100)
    result = osanas("studies", "--json")
    assert result.code == 0
    assert [study["study"] for study in result.document["studies"]] == ["few-cluttered_digits"]
    assert result.err.startswith("note: The file studies/broken/study.db is no intact SQLite database")


# studies ----------------------------------------------------------------------------------------------------------


def search(osanas: Command, *options: str) -> Any:
    return osanas(
        "search", "--space", "few.yaml", "--trials", "2", "--sampler", "tpe", "--rungs", "5", "--confirm", "0", *options
    )


def test_unknown_study_and_trial(osanas: Command, table: TableEvaluator) -> None:
    assert search(osanas).code == 0
    for reader in ("show", "pareto"):
        assert_explained(
            osanas(reader, "few-cluttered_digts"),
            2,
            "There is no study 'few-cluttered_digts'",
            "Did you mean 'few-cluttered_digits'?",
        )
    for command in (("show", "few-cluttered_digits", "9"), ("profile", "few-cluttered_digits:9", "--device", "cpu")):
        assert_explained(
            osanas(*command), 2, "The study 'few-cluttered_digits' has no trial 9.", "Its trials are 0 to 1."
        )
    stored = ("--storage", "sqlite:///studies/few-cluttered_digits/study.db")
    assert_explained(
        osanas("show", "few-cluttered_digts", *stored),
        2,
        "no study 'few-cluttered_digts'",
        "Did you mean 'few-cluttered_digits'?",
    )


def test_resume_with_other_settings(osanas: Command, table: TableEvaluator) -> None:
    assert search(osanas).code == 0
    result = search(osanas, "--rungs", "3", "--objectives", "accuracy,latency_ms")
    assert (result.code, result.out) == (2, "")
    lines = result.err.splitlines()
    assert lines[0].endswith("was made with other settings:")
    assert "  rungs[0]: stored 5, now 3" in lines
    assert any(line.startswith("  objectives") for line in lines)
    assert lines[-1].startswith("  Repeat the stored settings")
    assert all(line.strip() for line in lines)


@pytest.mark.parametrize("rungs", ["1,2,9", "1,3", "2,3,9"])
def test_a_changed_ladder_on_resume(osanas: Command, table: TableEvaluator, rungs: str) -> None:
    assert search(osanas, "--rungs", "1,3,9").code == 0
    result = search(osanas, "--rungs", rungs)
    assert (result.code, result.out) == (2, "")
    lines = result.err.splitlines()
    assert any(line.startswith("  rungs[") for line in lines)
    assert lines[-1] == (
        "  Repeat the stored settings to resume it, or give the new study a name of its own with --study. "
        "Of the rungs, only higher ones may be added at the end."
    )
    assert search(osanas, "--rungs", "1,3,9,27").code == 0
    assert osanas("show", "few-cluttered_digits", "--json").document["rungs"] == [1, 3, 9, 27]


def test_the_ladder_given_twice(osanas: Command) -> None:
    result = osanas("search", "--rungs", "1,3", "--epochs", "3")
    assert (result.code, result.out) == (2, "")
    assert "\n  --rungs: either the rungs, or epochs and reduction, not both\n" in result.err


def test_the_default_sampler_without_accuracy(osanas: Command, table: TableEvaluator) -> None:
    result = osanas("search", "--space", "few.yaml", "--objectives", "latency_ms,energy_mj")
    problem = "The sampler known-cost needs accuracy among the objectives, which are latency_ms, energy_mj."
    assert_explained(result, 2, problem, "Add accuracy to --objectives, or use --sampler tpe.")


def test_limits_that_the_closed_form_shows_to_leave_nothing(osanas: Command, table: TableEvaluator) -> None:
    result = search(osanas, "--sampler", "known-cost", "--max-multiply-adds", "10")
    assert (result.code, result.out) == (1, "")
    *_, problem, fix = result.err.splitlines()
    assert problem.startswith(
        "error: No network of the space 'few' is within the limits: the smallest has multiply_adds "
    )
    assert problem.endswith(" over the limit 10.")
    assert fix == "  Relax the limit, or choose a smaller --space."
    assert len(table.measured) == 1  # the yardstick of the hypervolume
    assert table.trained == []


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real trainings of networks that cost what a table says, in place of measuring them."""
    real = network.network_evaluators
    monkeypatch.setattr(network, "network_evaluators", lambda config: (TableEvaluator(), real(config)[1]))


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda file: file.unlink(), "there is no checkpoint of trial "),
        (lambda file: file.write_bytes(b"PK damaged"), "was corrupt, so training started over."),
    ],
)
def test_a_checkpoint_that_is_missing_or_corrupt(
    osanas: Command, folder: Path, damage: Callable[[Path], None], told: str
) -> None:
    """The candidate is trained again from its start, and a note says so."""
    assert osanas(*REAL, "--confirm", "0", "--trials", "3").code == 0
    for file in (folder / "studies" / "tiny-digits" / "checkpoints").iterdir():
        damage(file)
    result = osanas(*REAL, "--confirm", "0", "--rungs", "1,2", "--trials", "3")
    assert result.code == 0, result.err
    assert told in result.err
    (promoted,) = [
        trial for trial in osanas("show", "tiny-digits", "--json").document["trials"] if trial["epochs"] == 2
    ]
    assert promoted["status"] == "complete"
    shown = osanas("show", "tiny-digits", str(promoted["trial"]), "--json").document
    assert [point["epoch"] for point in shown["curve"]] == [1, 2]
    assert osanas("pareto", "tiny-digits", "--json").document["savings"]["epochs_trained"] == 3 + 2


def test_limits_that_nothing_can_meet(osanas: Command, table: TableEvaluator) -> None:
    result = search(osanas, "--max-parameters", "3599")
    assert (result.code, result.out) == (1, "")
    *_, problem, fix = result.err.splitlines()
    assert problem.startswith("error: The search ended without a trained candidate. The closest was trial ")
    assert "parameters " in problem
    assert "over the limit" in problem
    assert fix.startswith("  ")
    assert table.trained == []
    assert osanas("pareto", "few-cluttered_digits").code == 1


def test_many_in_a_row_over_a_limit(osanas: Command, table: TableEvaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    run = partial(api.run_search, patience=Patience(infeasible_in_a_row=3))
    monkeypatch.setattr("osanas.engine.api.run_search", run)
    result = osanas("search", "--space", "small.yaml", "--trials", "5", "--max-latency-ms", "0.001")
    assert result.code == 1
    assert "\nerror: 3 candidates in a row broke a limit before training. The closest was trial " in result.err
    assert result.err.endswith("\n  Relax the limit, or choose a smaller --space.\n")
    assert table.trained == []


def test_limits_that_no_trained_candidate_meets_any_more(osanas: Command, table: TableEvaluator) -> None:
    assert search(osanas).code == 0
    result = search(osanas, "--max-parameters", "1", "--json")
    assert result.code == 1
    assert result.document["candidates"] == []
    assert "has no trained candidate within its limits" in result.err


def test_debug_shows_the_traceback_wherever_it_stands(osanas: Command) -> None:
    for arguments in (("--debug", "spaces", "nope"), ("spaces", "nope", "--debug")):
        result = osanas(*arguments)
        assert result.code == 2
        assert result.err.startswith("Traceback (most recent call last):\n")
        assert "error: There is no search space called 'nope'." in result.err
    assert "Traceback" not in osanas("spaces", "nope").err


def test_a_failed_start_leaves_no_study(osanas: Command, folder: Path) -> None:
    assert osanas("search", "--space", "vovnett").code == 2
    assert not (folder / "studies").exists()


@pytest.mark.parametrize("in_full", [False, True])
def test_a_device_lost_in_the_middle(
    osanas: Command, table: TableEvaluator, monkeypatch: pytest.MonkeyPatch, in_full: bool
) -> None:
    """Exit code 3; the candidate under way is neither complete nor failed, and the same command goes on."""
    table.final_key = "final"
    original = table.measure
    calls = []

    def lost(architecture: Architecture, **how: Any) -> CandidateCosts:
        calls.append(how["in_full"])
        # the first measurement is that of the hypervolume's yardstick
        if calls.count(in_full) == (1 if in_full else 3) and calls[-1] is in_full:
            raise EnvironmentFailure("The GPU was lost (GPU is lost).", "Look at nvidia-smi, then run it again.")
        return original(architecture, **how)

    monkeypatch.setattr(table, "measure", lost)
    command = ("search", "--space", "few.yaml", "--trials", "3", "--sampler", "random", "--seed", "1", "--rungs", "5")
    result = osanas(*command, "--confirm", "0")
    assert (result.code, result.out) == (3, "")
    assert result.err.splitlines()[-2:] == [
        "error: The GPU was lost (GPU is lost).",
        "  Look at nvidia-smi, then run it again.",
    ]
    trials = osanas("show", "few-cluttered_digits", "--json").document["trials"]
    statuses = [trial["status"] for trial in trials if trial["status"] != "duplicate"]
    assert statuses == (["complete"] * 3 if in_full else ["complete", "running"])
    again = osanas(*command, "--confirm", "0")
    assert again.code == 0
    assert "measured by the full protocol" in again.out
    shown = osanas("show", "few-cluttered_digits", "--json").document["trials"]
    assert [trial["status"] for trial in shown if trial["status"] != "duplicate"] == ["complete"] * 3
