"""A task that the package has never heard of trains, resumes and searches with nothing of it touched."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from osanas.cli import studies as commands
from osanas.engine.api import run_search, search
from osanas.errors import ConfigError, StudyError
from osanas.evaluation.network import network_evaluators
from osanas.evaluation.network_trainer import NetworkTrainer
from osanas.genotype.space import SearchSpace
from osanas.results.documents import pareto_document, show_document, trial_document
from osanas.results.places import open_study
from osanas.results.study import StudyView
from osanas.study.config import StudyConfig
from osanas.study.events import EpochDone, Event, SearchStarted
from osanas.study.records import CurvePoint
from tests.fakes import FEW, TableEvaluator
from tests.tasks.toy import Darkness

CONFIG = StudyConfig.model_validate(
    {
        "space": "few",
        "study": "dark",
        "trials": 2,
        "rungs": [1, 3],
        "train_batch_size": 8,
        "energy": "none",
        "device": "cpu",
        "threads": 1,
    }
)
SHORT = CONFIG.model_copy(update={"trials": 1, "rungs": (1,)})
SPACE = SearchSpace.from_dict(FEW)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(heard: list[Event], config: StudyConfig = CONFIG, stop_at: int | None = None) -> StudyView:
    """A search; it is interrupted after so many epochs."""

    def listener(event: Event) -> None:
        heard.append(event)
        if sum(isinstance(one, EpochDone) for one in heard) == stop_at:
            raise KeyboardInterrupt

    measurer, trainer = network_evaluators(config, Darkness(150))
    return run_search(config, storage=None, listener=listener, space=SPACE, measurer=measurer, trainer=trainer)


def trainer(images: int = 150) -> NetworkTrainer:
    return network_evaluators(CONFIG, Darkness(images))[1]


def test_it_learns() -> None:
    points: list[CurvePoint] = []
    trained = trainer(600).train(
        SPACE.largest(), epochs=4, checkpoint=None, on_epoch=points.append, should_stop=lambda: False
    )
    assert trained.score == points[-1].score > 0.5
    assert trained.score > points[0].score
    assert set(points[-1].other_scores) == {"mae"}
    assert points[-1].other_scores["mae"] < points[0].other_scores["mae"]


@pytest.mark.slow
def test_it_is_searched_interrupted_and_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[Event] = []
    with pytest.raises(KeyboardInterrupt):
        run(heard, stop_at=3)
    before = {(one.digest, one.epochs): one.score for one in open_study("dark").candidates() if one.is_complete}
    view = run(heard)
    candidates = view.candidates()
    assert sum(one.is_complete and one.epochs == 1 for one in candidates) == 2
    assert any(one.epochs == 3 for one in candidates)
    assert before.items() <= {(one.digest, one.epochs): one.score for one in candidates}.items()
    cut = heard.index(next(event for event in heard[1:] if isinstance(event, SearchStarted)))
    (interrupted,) = {event.trial for event in heard[cut - 1 : cut] if isinstance(event, EpochDone)}
    one = view.candidate(interrupted)
    straight = trainer().train(
        one.architecture, epochs=one.epochs, checkpoint=None, on_epoch=lambda _: None, should_stop=lambda: False
    )
    assert straight.score == one.score  # although it was cut off on the way

    assert view.objectives == ("r2", "latency_ms")
    pareto = pareto_document(view)
    assert pareto["objectives"][0] == {"name": "r2", "direction": "maximize", "unit": "share of variance"}
    assert pareto["reference_point"][0] == 0.0
    assert all(row["r2"] <= 1 and "accuracy" not in row for row in pareto["candidates"])
    assert [row["r2"] for row in show_document(view)["trials"]] == [one.score for one in candidates]
    assert [point["val_r2"] for point in trial_document(view, candidates[-1].trial)["curve"]] != []

    commands.show("dark")
    shown = capsys.readouterr().out
    assert " r2 " in shown
    assert "accuracy" not in shown
    commands.pareto("dark", json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(pareto))


@pytest.mark.slow
def test_its_studies_are_kept_as_any_by_its_score_and_not_continued_as_another_tasks() -> None:
    measurer, trainer = network_evaluators(SHORT, Darkness(150))
    of_search: dict[str, Any] = {"config": SHORT, "measurer": measurer, "trainer": trainer}
    with pytest.raises(ConfigError, match="one of r2, latency_ms, energy_mj was expected, got 'accuracy'"):
        search(SPACE, **of_search, objectives=["accuracy"])
    view = search(SPACE, **of_search, objectives=["latency_ms", "r2"])
    assert view.objectives == ("latency_ms", "r2")
    assert open_study("dark").record.config.objectives == ("latency_ms", "r2")
    with sqlite3.connect("studies/dark/study.db") as connection:
        assert connection.execute("SELECT version FROM osanas_schema").fetchall() == [(4,)]
        (score,) = connection.execute("SELECT accuracy FROM osanas_evaluations WHERE status = 'complete'").fetchone()
    assert score == next(one.score for one in view.candidates() if one.is_complete)
    table = TableEvaluator(energy_source=None)
    with pytest.raises(StudyError, match="task: stored 'darkness'"):
        run_search(SHORT, storage=None, listener=lambda _: None, space=SPACE, measurer=table, trainer=table)
