from __future__ import annotations

import json
from pathlib import Path

import pytest

from osanas.results.documents import pareto_document, show_document, trial_document
from osanas.results.study import StudyView
from osanas.study.objectives import Score
from tests.fakes import Job, TableEvaluator, search


def test_the_document_of_the_front(view: StudyView) -> None:
    document = json.loads(json.dumps(pareto_document(view)))
    assert list(document) == [
        "study", "objectives", "score", "device", "energy_source", "hypervolume", "reference_point", "measured",
        "overtaken", "other_key", "drifted", "rungs", "savings", "seed_noise", "candidates",
    ]  # fmt: skip
    assert (document["score"], document["energy_source"], document["rungs"]) == ("accuracy", "estimated", [2])
    infeasible = sum(candidate.status == "infeasible" for candidate in view.candidates())
    assert document["savings"] == {
        "epochs_trained": 8, "epochs_saved": 0, "duplicates": 0, "infeasible": infeasible, "failed_at_build": 0,
    }  # fmt: skip
    assert [document[key] for key in ("measured", "overtaken", "other_key", "drifted")] == ["full", 0, 0, []]
    assert document["objectives"] == [
        {"name": "accuracy", "direction": "maximize", "unit": "top1"},
        {"name": "latency_ms", "direction": "minimize", "unit": "ms"},
        {"name": "energy_mj", "direction": "minimize", "unit": "mJ/image", "source": "estimated"},
    ]
    assert len(document["reference_point"]) == 3
    assert document["hypervolume"] > 0
    assert list(document["candidates"][0]) == [
        "trial",
        "digest",
        "epochs",
        "accuracy",
        "latency_ms",
        "energy_mj",
        "parameters",
        "multiply_adds",
        "memory_access_elements",
        "architecture",
        "accuracy_interval",
        "accuracy_of_seeds",
        "seeds",
        "indistinct_from",
    ]
    assert document["seed_noise"] is None
    assert {member["seeds"] for member in document["candidates"]} == {1}
    assert {member["accuracy_interval"] for member in document["candidates"]} == {None}


def test_the_front_of_repeated_trainings_is_told_with_its_intervals(tmp_path: Path) -> None:
    job = Job(str(tmp_path), 5, storage=f"sqlite:///{tmp_path}/repeats.db", options={"confirm": 2})
    document = json.loads(json.dumps(pareto_document(search(job, TableEvaluator()))))
    assert document["seed_noise"]["degrees_of_freedom"] > 2
    for member in document["candidates"]:
        low, high = member["accuracy_interval"]
        assert member["seeds"] == len(member["accuracy_of_seeds"]) == 3
        assert member["accuracy"] == pytest.approx(sum(member["accuracy_of_seeds"]) / 3)
        assert low < member["accuracy"] < high
        assert member["indistinct_from"] in {None, *(other["trial"] for other in document["candidates"])}


def test_the_document_of_all_trials(view: StudyView) -> None:
    document = json.loads(json.dumps(show_document(view)))
    assert list(document) == [
        "study", "score", "measurement_key", "energy_source", "other_key", "drifted", "rungs", "savings", "trials",
        "signals",
    ]  # fmt: skip
    assert (document["score"], document["energy_source"], document["other_key"]) == ("accuracy", "estimated", 0)
    assert document["signals"] is None  # its identity does not tell what networks are built for
    assert [trial["trial"] for trial in document["trials"]] == list(range(len(document["trials"])))
    assert list(document["trials"][0]) == [
        "trial",
        "digest",
        "status",
        "epochs",
        "promoted_from",
        "accuracy",
        "latency_ms",
        "energy_mj",
        "measurement_key",
        "reason",
        "parameters",
        "architecture",
        "repeat",
    ]
    infeasible = [trial for trial in document["trials"] if trial["status"] == "infeasible"]
    assert infeasible
    assert {trial["accuracy"] for trial in infeasible} == {None}


def test_the_document_of_one_trial(view: StudyView) -> None:
    member = view.pareto()[0]
    assert member.trial is not None
    document = json.loads(json.dumps(trial_document(view, member.trial)))
    assert list(document) == [
        "study", "score", "trial", "digest", "status", "epochs", "accuracy", "latency_ms", "energy_mj",
        "energy_source", "parameters", "multiply_adds", "memory_access_elements", "reason", "training_seconds",
        "architecture", "promoted_from", "measurement_key", "repeat", "curve",
    ]  # fmt: skip
    assert (document["status"], document["score"], document["accuracy"]) == ("complete", "accuracy", member.score)
    assert [list(point) for point in document["curve"]] == [
        ["epoch", "train_loss", "val_loss", "val_accuracy", "seconds"]
    ] * 2
    assert [point["epoch"] for point in document["curve"]] == [1, 2]
    assert document["architecture"] == member.architecture.to_dict()


def test_a_score_stands_under_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    view = search(Job(str(tmp_path), trials=2), TableEvaluator(score=Score("dice", "mean Dice")))
    front, shown, trial = pareto_document(view), show_document(view), trial_document(view, 0)
    assert front["objectives"][0] == {"name": "dice", "direction": "maximize", "unit": "mean Dice"}
    assert {front["score"], shown["score"], trial["score"]} == {"dice"}
    for row in (front["candidates"][0], shown["trials"][0], trial):
        assert 0 < row["dice"] < 1
        assert "accuracy" not in row
    assert "val_dice" in trial["curve"][0]
