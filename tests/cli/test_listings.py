"""What the reading commands print, for people and as JSON, from studies whose figures are known."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osanas.cli.render.numbers import counted, fraction, members, millions, number
from osanas.errors import CandidateError
from osanas.genotype.architecture import Architecture
from osanas.store.references import References
from osanas.store.store import Store
from tests.cli.conftest import Command, Result
from tests.fakes import TableEvaluator

FRONT_KEYS = [
    "trial", "digest", "epochs", "accuracy", "latency_ms", "energy_mj", "parameters", "multiply_adds",
    "memory_access_elements", "architecture", "accuracy_interval", "accuracy_of_seeds", "seeds", "indistinct_from",
]  # fmt: skip
TRIAL_KEYS = [
    "trial", "digest", "status", "epochs", "promoted_from", "accuracy", "latency_ms", "energy_mj", "measurement_key",
    "reason", "parameters", "architecture", "repeat",
]  # fmt: skip
SEARCH = (
    *("search", "--space", "few.yaml", "--trials", "6", "--sampler", "random", "--rungs", "5"),
    *("--max-latency-ms", "0.45", "--confirm", "0"),
)
ARCHITECTURE_KEYS = ["stem", "stages", "conv", "attention", "identity"]


@pytest.fixture
def study(osanas: Command, table: TableEvaluator) -> Result:
    """A study with complete, infeasible and failed trials and duplicates."""

    def second_fails(_architecture: Architecture, nth: int) -> BaseException | None:
        return CandidateError("diverged", "The loss is not finite.") if nth == 1 else None

    table.failure = second_fails
    return osanas(*SEARCH)


def test_search_ends_with_the_front(study: Result, osanas: Command) -> None:
    assert study.code == 0
    assert study.out == osanas("pareto", "few-cluttered_digits").out
    assert "\x1b" not in study.out + study.err
    lines = study.err.splitlines()
    assert lines[0] == "study few-cluttered_digits in sqlite:///studies/few-cluttered_digits/study.db"
    assert lines[-1] == "Every network of the space 'few' has been evaluated."
    told = re.compile(r"\d/6  trial \d+  acc 0\.\d{3}  0\.\d+ ms  0\.\d+ mJ  5 epochs  front \d+")
    assert any(map(told.match, lines))
    assert any(re.match(r"\d/6  trial \d+  failed: The loss is not finite\.", line) for line in lines)
    assert any(re.match(r"\d/6  trial \d+  infeasible: latency_ms 0\.\d+ over the limit 0\.45", line) for line in lines)
    assert not any("duplicate: " in line for line in lines)


def test_show(study: Result, osanas: Command) -> None:
    document = osanas("show", "few-cluttered_digits", "--json").document
    assert list(document) == [
        "study", "score", "measurement_key", "energy_source", "other_key", "drifted", "rungs", "savings", "trials",
        "signals",
    ]  # fmt: skip
    assert (document["measurement_key"], document["drifted"]) == ("table", [])
    assert document["study"] == "few-cluttered_digits"
    statuses = [trial["status"] for trial in document["trials"]]
    assert statuses.count("failed") == 1
    assert statuses.count("complete") == study.err.count("  acc 0.")
    assert statuses.count("complete") + statuses.count("infeasible") == 5  # the space holds six networks
    for position, trial in enumerate(document["trials"]):
        assert list(trial) == TRIAL_KEYS
        assert trial["trial"] == position
        assert list(trial["architecture"]) == ARCHITECTURE_KEYS
        assert Architecture.from_dict(trial["architecture"]).digest == trial["digest"]
        if trial["status"] != "duplicate":
            assert (trial["accuracy"] is None) == (trial["status"] != "complete")
        assert (trial["reason"] is None) == (trial["status"] == "complete")
    lines = osanas("show", "few-cluttered_digits").out.splitlines()
    assert len(lines) == 3 + len(document["trials"])
    assert "The loss is not finite." in "".join(lines)
    assert all(line == line.rstrip() for line in lines)


def test_pareto(study: Result, osanas: Command) -> None:
    document = osanas("pareto", "few-cluttered_digits", "--json").document
    assert list(document) == [
        "study", "objectives", "score", "device", "energy_source", "hypervolume", "reference_point", "measured",
        "overtaken", "other_key", "drifted", "rungs", "savings", "seed_noise", "candidates",
    ]  # fmt: skip
    assert [document[key] for key in ("measured", "overtaken", "other_key", "drifted")] == ["full", 0, 0, []]
    assert document["objectives"] == [
        {"name": "accuracy", "direction": "maximize", "unit": "top1"},
        {"name": "latency_ms", "direction": "minimize", "unit": "ms"},
        {"name": "energy_mj", "direction": "minimize", "unit": "mJ/image", "source": "estimated"},
    ]
    assert document["hypervolume"] > 0
    assert len(document["reference_point"]) == 3
    for candidate in document["candidates"]:
        assert list(candidate) == FRONT_KEYS
        assert 0 < candidate["accuracy"] < 1
    costs = [candidate["latency_ms"] for candidate in document["candidates"]]
    assert costs == sorted(costs)
    out = osanas("pareto", "few-cluttered_digits").out
    assert "estimated" in out.splitlines()[1] + out.splitlines()[2]
    *_, volume, protocol, savings = out.splitlines()
    assert volume.startswith("hypervolume ")
    assert protocol == "latency and energy measured by the full protocol"
    spent = document["savings"]
    assert spent["epochs_trained"] == 5 * study.err.count("  acc 0.") + 1  # one failed after its first epoch
    assert spent["infeasible"] == study.err.count("infeasible: ") > 0
    assert spent["duplicates"] > 0
    assert savings == (
        f"trained for {spent['epochs_trained']} epochs in all; not trained: "
        f"{counted(spent['duplicates'], 'duplicate')}, {spent['infeasible']} over a limit"
    )


def test_pareto_over_two_objectives(osanas: Command, table: TableEvaluator) -> None:
    options = ("--trials", "3", "--objectives", "latency_ms,accuracy", "--json")
    document = osanas("search", "--space", "few.yaml", *options).document
    assert [objective["name"] for objective in document["objectives"]] == ["latency_ms", "accuracy"]
    assert document == osanas("pareto", "few-cluttered_digits", "--json").document


def test_the_front_of_a_search_is_confirmed(osanas: Command, table: TableEvaluator) -> None:
    result = osanas("search", "--space", "few.yaml", "--trials", "6", "--sampler", "random", "--rungs", "5")
    document = osanas("pareto", "few-cluttered_digits", "--json").document
    for candidate in document["candidates"]:
        low, high = candidate["accuracy_interval"]
        assert candidate["seeds"] == len(candidate["accuracy_of_seeds"]) == 2
        assert low < candidate["accuracy"] < high
    repeats = [
        trial for trial in osanas("show", "few-cluttered_digits", "--json").document["trials"] if trial["repeat"]
    ]
    assert len(repeats) >= len(document["candidates"])
    for trial in repeats:
        assert f"trial {trial['trial']}  acc {trial['accuracy']:.3f}" in result.err
        assert len(osanas("show", "few-cluttered_digits", str(trial["trial"]), "--json").document["curve"]) == 5
    noise = document["seed_noise"]["deviation"]
    assert f"trainings of one network with different seeds differ by {noise:.4f} in accuracy" in result.out
    assert "single training" not in result.out
    assert osanas("studies", "--json").document["studies"][0]["counts"]["complete"] == 6


def test_show_one_trial(study: Result, osanas: Command) -> None:
    trials = osanas("show", "few-cluttered_digits", "--json").document["trials"]
    for trial in trials:
        document = osanas("show", "few-cluttered_digits", str(trial["trial"]), "--json").document
        assert document["study"] == "few-cluttered_digits"
        assert {key: document[key] for key in TRIAL_KEYS} == trial
        assert set(document) == {
            "study", "score", "curve", "energy_source", "multiply_adds", "memory_access_elements", "training_seconds",
            *TRIAL_KEYS,
        }  # fmt: skip
        text = osanas("show", "few-cluttered_digits", str(trial["trial"])).out
        assert "None" not in text
        assert re.search(rf"^status +{trial['status']}$", text, re.MULTILINE)
    complete = next(trial["trial"] for trial in trials if trial["status"] == "complete")
    curve = osanas("show", "few-cluttered_digits", str(complete), "--json").document["curve"]
    assert [point["epoch"] for point in curve] == [1, 2, 3, 4, 5]
    assert list(curve[0]) == ["epoch", "train_loss", "val_loss", "val_accuracy", "seconds"]


def test_another_key_is_never_left_out_silently(study: Result, osanas: Command, table: TableEvaluator) -> None:
    members = len(osanas("pareto", "few-cluttered_digits", "--json").document["candidates"])
    table.search_key = table.final_key = "newer"
    table.failure = None
    result = osanas(*SEARCH)
    assert result.code == 1  # nothing is left to compare
    count = study.err.count("  acc 0.")
    assert f"{count} trained candidates were measured with another device, driver, version or setting" in result.err
    assert (
        f"{members} of them made the front. The same command with --remeasure measures the front again." in result.err
    )
    assert f"that was measured with the present device and software; {count} were measured before" in result.err
    assert result.err.splitlines()[-1] == "  Run its search again with --remeasure."
    shown = osanas("show", "few-cluttered_digits")
    assert (
        f"{count} trained candidates left out, measured with another device, driver, version or setting"
        in shown.out.splitlines()[-1]
    )

    again = osanas(*SEARCH, "--remeasure")
    assert again.code == 0
    assert f"measuring the front of an earlier key again: {members} candidate" in again.err
    document = osanas("pareto", "few-cluttered_digits", "--json").document
    assert (len(document["candidates"]), document["other_key"]) == (members, count - members)
    if count > members:
        assert (
            "left out, measured with another device, driver, version or setting"
            in osanas("pareto", "few-cluttered_digits").out.splitlines()[-1]
        )


def test_the_protocol_of_the_figures_is_told(osanas: Command, table: TableEvaluator) -> None:
    table.final_key, table.final_ms = "final", float("nan")
    options = ("search", "--space", "few.yaml", "--trials", "2")
    assert osanas(*options).out.splitlines()[-2] == "latency and energy measured by the search's short protocol"
    table.final_ms = 1.0
    result = osanas(*options)
    assert "measuring the front in full: " in result.err
    assert result.out.splitlines()[-2].startswith("latency and energy measured by the full protocol")
    document = osanas("pareto", "few-cluttered_digits", "--json").document
    assert document["measured"] == "full"
    assert all(candidate["latency_ms"] > 1 for candidate in document["candidates"])


def test_drift_is_told(study: Result, osanas: Command) -> None:
    document = osanas("pareto", "few-cluttered_digits", "--json").document
    drifted = [candidate["trial"] for candidate in document["candidates"]]
    store = Store.open("sqlite:///studies/few-cluttered_digits/study.db")
    references = References(store, store.study("few-cluttered_digits").id, "table")
    references.flag_drift(("table", candidate["digest"]) for candidate in document["candidates"])
    assert osanas("pareto", "few-cluttered_digits", "--json").document["drifted"] == sorted(drifted)
    for command in ("pareto", "show"):
        last = osanas(command, "few-cluttered_digits").out.splitlines()[-1]
        assert last.startswith("measured while the device was faster or slower than before: trial")
        assert str(drifted[0]) in last


def test_studies(study: Result, osanas: Command, table: TableEvaluator) -> None:
    table.failure = None
    assert osanas("search", "--space", "small.yaml", "--trials", "2", "--study", "other").code == 0
    document = osanas("studies", "--json").document
    assert list(document) == ["studies"]
    assert [row["study"] for row in document["studies"]] == ["few-cluttered_digits", "other"]
    assert [list(row) for row in document["studies"]] == [["study", "created_at", "counts"]] * 2
    assert document["studies"][1]["counts"] == {"complete": 2}
    lines = osanas("studies").out.splitlines()
    assert lines[0].split()[:3] == ["study", "complete", "running"]
    assert lines[2].split()[:3] == ["other", "2", "0"]
    one = osanas("studies", "--storage", "sqlite:///studies/other/study.db", "--json").document
    assert [row["study"] for row in one["studies"]] == ["other"]


def test_no_studies(osanas: Command) -> None:
    assert osanas("studies", "--json").document == {"studies": []}
    result = osanas("studies")
    assert (result.code, result.out, result.err) == (0, "", "No studies here. Start one with: osanas search\n")


def test_a_study_by_its_folder_and_by_its_file(study: Result, osanas: Command, folder: Path) -> None:
    expected = osanas("pareto", "few-cluttered_digits").out
    assert osanas("pareto", "studies/few-cluttered_digits/").out == expected
    (folder / "few-cluttered_digits.yaml").write_text("space: few.yaml\n", encoding="utf-8")
    assert osanas("pareto", "few-cluttered_digits.yaml").out == expected


def test_flags_override_the_study_file(osanas: Command, table: TableEvaluator, folder: Path) -> None:
    (folder / "mine.yaml").write_text(
        "space: few.yaml\ntrials: 5\nrungs: [1, 2]\nsampler: random\nobjectives: [accuracy, latency_ms]\n",
        encoding="utf-8",
    )
    result = osanas("search", "--study", "mine.yaml", "--trials", "1", "--rungs", "3")
    assert result.code == 0
    assert "sampler random, 3 epochs a candidate, 1 candidate\n" in result.err
    assert [row["study"] for row in osanas("studies", "--json").document["studies"]] == ["mine"]
    trial = osanas("show", "mine", "0", "--json").document
    assert len(trial["curve"]) == 3
    assert osanas("search", "--study", "mine.yaml", "--rungs", "3").code == 0
    counts = osanas("studies", "--json").document["studies"][0]["counts"]
    assert counts["complete"] == 5


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_no_figure_is_cut_off_in_a_terminal(
    study: Result, osanas: Command, terminal: Callable[[int], None], width: int
) -> None:
    piped = osanas("pareto", "few-cluttered_digits").out.split()
    terminal(width)
    shown = osanas("pareto", "few-cluttered_digits").out
    assert set(piped) <= set(shown.split())
    if width >= 80:
        assert max(map(len, shown.splitlines())) <= width


def test_spaces(osanas: Command) -> None:
    rows = osanas("spaces", "--json").document["spaces"]
    assert {"tiny", "vovnet", "vovnet_slim", "vovnet_v2"} <= {row["name"] for row in rows}
    assert all(list(row) == ["name", "size", "description"] for row in rows)
    text = osanas("spaces").out
    assert all(row["name"] in text for row in rows)


@pytest.mark.parametrize("name", ["tiny", "vovnet", "few.yaml"])
def test_one_space(osanas: Command, name: str) -> None:
    document = osanas("spaces", name, "--resolution", "32", "--json").document
    assert list(document) == ["name", "description", "size", "dimensions", "members", "start_from"]
    labels = [member["member"] for member in document["members"]]
    assert labels == ["smallest", *document["start_from"], "largest"]
    for member in document["members"]:
        assert set(member) == {"member", "resolution", "parameters", "multiply_adds", "memory_access_elements"}
        assert member["resolution"] == 32
    text = osanas("spaces", name, "--resolution", "32").out
    assert all(dimension in text for dimension in document["dimensions"])
    assert "Costs at 32 pixels, 1000 classes\n" in text
    assert "e+" not in text.partition("Costs")[2]


def test_published_costs(osanas: Command) -> None:
    row = next(line for line in osanas("spaces", "vovnet").out.splitlines() if line.startswith("vovnet57 "))
    assert row.split() == ["vovnet57", "36.6", "9,624", "56.1"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (1234567, "1,234,567"), (0.0012345, "0.00123"), (12.345, "12.3"), (12345.6, "12,346"),
     (1.0, "1")],
)  # fmt: skip
def test_number(value: Any, text: str) -> None:
    assert number(value) == text


def test_other_figures() -> None:
    assert (fraction(None), fraction(0.5)) == ("-", "0.5000")
    assert (millions(None), millions(22_600_000), millions(7_766_000_000)) == ("-", "22.6", "7,766")
    assert (counted(0, "epoch"), counted(1, "epoch"), counted(2000, "epoch")) == ("0 epochs", "1 epoch", "2,000 epochs")
    assert (members(192), members(3 * 10**11)) == ("192 members", "3.0e+11 members")


# a ladder -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def climbed(osanas: Command, table: TableEvaluator) -> Result:
    """A study of nine candidates on a ladder."""
    options = ("--trials", "9", "--sampler", "random", "--rungs", "1,3,9", "--confirm", "0")
    return osanas("search", "--space", "small.yaml", *options)


def test_a_ladder_in_the_listings(climbed: Result, osanas: Command) -> None:
    assert climbed.code == 0
    assert "sampler random, 1, 3 or 9 epochs a candidate, 9 candidates" in climbed.err
    document = osanas("show", "small-cluttered_digits", "--json").document
    assert document["rungs"] == [1, 3, 9]
    trials = {trial["trial"]: trial for trial in document["trials"]}
    promoted = [trial for trial in trials.values() if trial["promoted_from"] is not None]
    assert sorted(trial["epochs"] for trial in promoted) == [3, 3, 3, 3, 9, 9]
    for trial in promoted:
        lower = trials[trial["promoted_from"]]
        assert (lower["digest"], lower["latency_ms"]) == (trial["digest"], trial["latency_ms"])
        assert lower["epochs"] < trial["epochs"]
        told = rf"trial {trial['trial']}  acc .*  {trial['epochs']} of 9 epochs, from {lower['trial']}  "
        assert re.search(told, climbed.err)
    assert document["savings"] == {
        "epochs_trained": 9 + 4 * 2 + 2 * 6, "epochs_saved": 81 - 29, "duplicates": 0, "infeasible": 0,
        "failed_at_build": 0,
    }  # fmt: skip
    lines = osanas("show", "small-cluttered_digits").out.splitlines()
    assert lines[0].split()[0] == "promoted"
    assert lines[1].split()[:4] == ["trial", "status", "epochs", "from"]
    top = next(trial for trial in promoted if trial["epochs"] == 9)
    row = next(line.split() for line in lines if line.split()[:1] == [str(top["trial"])])
    assert row[1:4] == ["complete", "9", str(top["promoted_from"])]
    saved = "trained for 29 epochs in all, 52 fewer than if every candidate had been trained to the end (rungs 1, 3, 9)"
    assert lines[-1] == saved
    assert osanas("pareto", "small-cluttered_digits").out.splitlines()[-1] == saved
    assert osanas("studies", "--json").document["studies"][0]["counts"] == {"complete": 9}


def test_a_promoted_trial_shows_its_whole_curve(climbed: Result, osanas: Command) -> None:
    trials = osanas("show", "small-cluttered_digits", "--json").document["trials"]
    top = next(trial for trial in trials if trial["epochs"] == 9)
    document = osanas("show", "small-cluttered_digits", str(top["trial"]), "--json").document
    assert [point["epoch"] for point in document["curve"]] == list(range(1, 10))
    text = osanas("show", "small-cluttered_digits", str(top["trial"])).out
    assert re.search(rf"^promoted_from +{top['promoted_from']}$", text, re.MULTILINE)


def test_the_front_is_that_of_the_highest_rung(climbed: Result, osanas: Command) -> None:
    document = osanas("pareto", "small-cluttered_digits", "--json").document
    assert {candidate["epochs"] for candidate in document["candidates"]} == {9}
    everything = osanas("pareto", "small-cluttered_digits", "--all-rungs", "--json").document
    assert {candidate["epochs"] for candidate in everything["candidates"]} > {9}
