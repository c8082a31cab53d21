"""The trainer of networks, on a few digits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from osanas.errors import CandidateError, TrainingStopped
from osanas.evaluation.evaluator import Trainer, seed_of
from osanas.evaluation.network import build_network
from osanas.evaluation.network_trainer import NetworkTrainer
from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace
from osanas.study.objectives import ACCURACY
from osanas.study.recipe import Recipe
from osanas.study.records import CurvePoint, Trained
from osanas.tasks.classification.data import load
from osanas.tasks.classification.task import Classification

MEMBER = SearchSpace.load("tiny").smallest()


def trainer(*, recipe: Recipe | None = None, seed: int = 0, **data: Any) -> NetworkTrainer:
    task = Classification(load("digits", **{"train_samples": 100, **data}))
    build = partial(build_network, task=task)
    return NetworkTrainer(task, recipe or Recipe(), torch.device("cpu"), seed, build)


def train(
    found: Trainer,
    *,
    epochs: int = 1,
    checkpoint: Path | None = None,
    on_epoch: Callable[[CurvePoint], None] = lambda _: None,
    stop: bool = False,
    repeat: int = 0,
) -> Trained:
    return found.train(
        MEMBER, epochs=epochs, checkpoint=checkpoint, on_epoch=on_epoch, should_stop=lambda: stop, repeat=repeat
    )


def test_training_tells_each_epoch_and_is_repeatable(tmp_path: Path) -> None:
    points: list[CurvePoint] = []
    result = train(trainer(), epochs=2, checkpoint=tmp_path / "c", on_epoch=points.append)
    assert [point.epoch for point in points] == [1, 2]
    assert points[-1].score == result.score
    assert result.curve == tuple(points)
    assert train(trainer(), epochs=2).score == result.score
    continued: list[CurvePoint] = []
    train(trainer(), epochs=3, checkpoint=tmp_path / "c", on_epoch=continued.append)
    assert [point.epoch for point in continued] == [3]


def test_a_training_has_threads_of_its_own() -> None:
    seen: list[int] = []
    found = replace(trainer(), threads=3)
    train(found, on_epoch=lambda _: seen.append(torch.get_num_threads()))
    assert seen == [3]
    with pytest.raises(TrainingStopped):
        train(found, stop=True)
    assert torch.get_num_threads() == 1  # as it was


def test_a_seed_decides_weights_and_order() -> None:
    losses = [train(trainer(seed=seed)).curve[0].train_loss for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_a_repeat_has_weights_and_order_of_its_own() -> None:
    losses = [train(trainer(), repeat=repeat).curve[0].train_loss for repeat in (0, 1, 1, 2)]
    assert losses[1] == losses[2]
    assert len(set(losses)) == 3
    found = trainer()
    built: list[int] = []

    def build(architecture: Architecture, seed: int) -> torch.nn.Module:
        built.append(seed)
        return found.build(architecture, seed)

    watched = NetworkTrainer(found.task, found.recipe, found.device, 5, build)
    assert train(watched, repeat=2).curve[0].train_loss == train(trainer(seed=seed_of(5, 2))).curve[0].train_loss
    assert built == [seed_of(5, 2)]


def test_training_stops_when_told() -> None:
    with pytest.raises(TrainingStopped):
        train(trainer(), epochs=50, stop=True)


def test_a_network_that_cannot_be_built_is_the_candidate_s_failure() -> None:
    def build(*_: object) -> torch.nn.Module:
        raise CandidateError("build", "The network cannot be built: 9 TB")

    found = trainer()
    with pytest.raises(CandidateError, match="9 TB"):
        train(NetworkTrainer(found.task, found.recipe, found.device, found.seed, build))


def test_score_is_the_task_s() -> None:
    assert trainer().score == ACCURACY


def test_identity_is_json() -> None:
    identity = trainer().identity()
    assert json.loads(json.dumps(identity, allow_nan=False)) == identity
    assert identity.keys() == {"task", "data", "augmentation", "recipe", "seed"}
    assert (identity["task"], identity["seed"]) == ("classification", 0)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"train_samples": 120}, "data"),
        ({"resolution": 16}, "data"),
        ({"split_seed": 1}, "data"),
        ({"recipe": Recipe(batch_size=16)}, "recipe"),
        ({"recipe": Recipe(learning_rate=0.01)}, "recipe"),
        ({"seed": 1}, "seed"),
    ],
)
def test_identity_tells_what_makes_scores_another(changed: dict[str, Any], key: str) -> None:
    assert trainer().identity()[key] != trainer(**changed).identity()[key]
