from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from osanas.evaluation.evaluator import CandidateCosts
from osanas.genotype.architecture import Architecture
from tests.cli.conftest import REAL, Command, assert_explained
from tests.fakes import TableEvaluator

PLAN = ("plan", *REAL[1:])


class Priced(TableEvaluator):
    """A table whose costs are those of real networks, with a latency that they explain."""

    def measure(
        self, architecture: Architecture, *, in_full: bool = False, stored: Mapping[str, Any] | None = None
    ) -> CandidateCosts:
        found = self.shape().costs(architecture)
        latency_ms = 0.02 + found.multiply_adds / 1e7 + found.memory_access_elements / 1e6
        counts = (found.parameters, found.multiply_adds, found.memory_access_elements)
        return CandidateCosts(*counts, latency_ms, 3 * latency_ms, self.energy_source)


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> Priced:
    """Answers for networks in place of this device."""
    evaluator = Priced()
    monkeypatch.setattr("osanas.evaluation.network.network_evaluators", lambda _config: (evaluator, evaluator))
    return evaluator


@pytest.mark.slow
def test_plan_of_real_networks(osanas: Command, folder: Path) -> None:
    options = ("--study", "mine", "--storage", "sqlite:///elsewhere.db", "--max-parameters", "10000")
    result = osanas(*PLAN, *options, "--trials", "4", "--json")
    assert result.code == 0, result
    document = result.document
    assert list(document) == ["search", "space", "members", "within_limits", "prediction", "notes"]
    assert document["search"]["study"] == "mine"
    assert document["search"]["storage"] == "sqlite:///elsewhere.db"
    assert document["search"]["limits"] == {"max_parameters": 10000}
    assert document["space"] == {"name": "tiny", "members": 192, "networks": 128}
    for row in document["members"]:
        assert min(row["latency_ms"], row["energy_mj"], row["epoch_s"]) > 0
        assert row["energy_source"] == "estimated"
    assert document["members"][2]["over_limit"] == "parameters 18,218 over the limit 10,000"
    assert 0 < document["within_limits"]["share"] < 1
    assert document["prediction"]["seconds"] > 0
    assert document["prediction"]["energy_kwh"] is None
    assert document["prediction"]["energy_reason"] == "energy is estimated, not measured"
    lines = result.err.splitlines()
    assert [line.split()[2] for line in lines[::2]] == ["smallest", "median", "largest"]
    assert all(re.match(r"(measuring|training) the ", line) for line in lines)
    assert sorted(path.name for path in folder.iterdir()) == ["few.yaml", "small.yaml"]


def test_plan_for_people(osanas: Command, priced: Priced) -> None:
    result = osanas("plan", "--space", "small.yaml", "--trials", "50", "--max-latency-ms", "0.05")
    assert result.code == 0, result
    assert re.search(r"^space +small \(144 members, 144 networks\)$", result.out, re.MULTILINE)
    assert re.search(r"^limits +max_latency_ms 0.05$", result.out, re.MULTILINE)
    assert re.search(r"^median .* a whole epoch$", result.out, re.MULTILINE)
    assert re.search(r"^within the limits: [\d.]+ % of all members$", result.out, re.MULTILINE)
    assert "latency_ms predicted from 30 measured members: median error " in result.out
    trainings = r"^trainings: 50 candidates to 2 epochs, 22 of them on to 4, 10 of them on to 8; \d+ epochs in all$"
    assert re.search(trainings, result.out, re.MULTILINE)
    assert re.search(r"^time: about .* \(training .* s an epoch, measuring .*\)$", result.out, re.MULTILINE)
    assert "energy: not known, the evaluator trains nothing here" in result.out
    assert "\nCandidates are taken to be like the first ones that the sampler draws. " in result.out


def test_limits_that_leave_nothing_are_no_error(osanas: Command, priced: Priced) -> None:
    result = osanas("plan", "--space", "small.yaml", "--max-parameters", "10")
    assert result.code == 0, result
    assert "within the limits: 0.0 % of all members" in result.out
    assert "time: not known, no member that was looked at is within the limits" in result.out
    assert (
        "The limits leave nothing: none of the 144 members is within them. max_parameters alone excludes all."
        in result.out
    )


def test_a_dry_run_prints_the_plan(osanas: Command, priced: Priced) -> None:
    options = ("--space", "small.yaml", "--trials", "7", "--max-latency-ms", "0.05", "--json")
    dry, planned = osanas("search", "--dry-run", *options), osanas("plan", *options)
    assert (dry.code, dry.err) == (planned.code, planned.err) == (0, dry.err)
    assert _without_times(dry.document) == _without_times(planned.document)


def _without_times(document: dict) -> dict:  # type: ignore[type-arg]
    for row in document["members"]:
        del row["epoch_s"]
    for name in ("epoch_s", "measuring_s", "training_s", "seconds"):
        del document["prediction"][name]
    return document


def test_it_takes_the_options_of_a_search(osanas: Command) -> None:
    options = {
        command: set(re.findall(r"--[a-z-]+", osanas(command, "--help").out.partition("╭")[2]))
        for command in ("search", "plan")
    }
    assert options["search"] - options["plan"] == {"--dry-run", "--remeasure", "--no-remeasure"}
    assert options["plan"] < options["search"]


@pytest.mark.parametrize(
    ("arguments", "problem", "fix"),
    [
        (("--space", "vovnett"), "no search space called 'vovnett'", "Did you mean 'vovnet'?"),
        (("--space", "tiny", "--data", "digit"), "There is no data set 'digit'.", "Did you mean 'digits'?"),
        (("--space", "tiny", "--storage", "study.db"), "no database URL", "sqlite:///"),
    ],
)
def test_named_wrongly(osanas: Command, arguments: tuple[str, ...], problem: str, fix: str) -> None:
    assert_explained(osanas("plan", *arguments), 2, problem, fix)
