from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from osanas.errors import UsageError
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.space import SearchSpace
from osanas.models.build import build, build_backbone
from osanas.study.objectives import ACCURACY
from osanas.study.recipe import Recipe
from osanas.tasks.classification.data import load
from osanas.tasks.classification.task import Classification
from osanas.tasks.task import Task
from tests.training.helpers import small_data, small_task

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
LABELS = torch.tensor([0, 0, 0])


def pair() -> Classification:
    """Two classes; images are their own logits where the model is the identity."""
    return Classification(replace(small_data(), num_classes=2))


def test_loss_is_cross_entropy_with_smoothed_labels() -> None:
    batch = LOGITS, LABELS
    plain = -torch.log_softmax(LOGITS, 1)[:, 0].mean()
    assert float(pair().loss(nn.Identity(), batch, Recipe(label_smoothing=0.0))) == pytest.approx(float(plain))
    smoothed = 0.8 * plain + 0.2 * -torch.log_softmax(LOGITS, 1).mean()
    assert float(pair().loss(nn.Identity(), batch, Recipe(label_smoothing=0.2))) == pytest.approx(float(smoothed))


def test_networks_are_judged_by_all_batches_together() -> None:
    task = pair()
    scores = task.scores()
    losses = [
        float(task.judge(nn.Identity(), (LOGITS[part], LABELS[part]), scores)) for part in (slice(0, 1), slice(1, 3))
    ]
    assert {name: float(value) for name, value in scores.compute().items()} == {"accuracy": 2 / 3}
    each = -torch.log_softmax(LOGITS, 1)[:, 0]
    assert losses == [pytest.approx(float(each[:1].mean())), pytest.approx(float(each[1:].mean()))]
    assert list(task.scores()) == [task.score.name] == [ACCURACY.name]


def test_logits_of_half_precision_are_judged_in_single() -> None:
    value = pair().judge(nn.Identity(), (LOGITS.half(), LABELS), pair().scores())
    assert value.dtype == torch.float32


@pytest.mark.parametrize(("correct", "total"), [(0, 3), (1, 3), (7, 10), (1000, 1000), (613, 999)])
def test_accuracy_is_an_exact_share_of_images(correct: int, total: int) -> None:
    metric = pair().scores()[ACCURACY.name]
    labels = torch.zeros(total, dtype=torch.int64)
    answers = (torch.arange(total) >= correct).long()
    for part in (slice(0, 2), slice(2, total)):
        metric.update(answers[part], labels[part])
    assert float(metric.compute()) == correct / total  # a float32 would be off


def test_shape_is_of_the_images_and_suits_them_a_stem() -> None:
    assert Classification(load("digits")).shape == NetworkShape(8, 1, 10, 1)
    assert Classification(load("digits", resolution=32)).shape == NetworkShape(32, 1, 10, 2)
    with pytest.raises(UsageError, match="Resolution 2 is too small"):
        _ = Classification(load("digits", resolution=2)).shape


@pytest.mark.parametrize(("classes", "loss"), [(10, math.log(10)), (2, math.log(2)), (1, math.log(2))])
def test_loss_of_guessing(classes: int, loss: float) -> None:
    assert Classification(replace(small_data(), num_classes=classes)).guessing_loss == loss


@pytest.mark.parametrize(
    ("name", "augment", "augmentation"),
    [
        ("cifar10", True, {"max_shift": 1, "flip": True}),
        ("fashion_mnist", True, {"max_shift": 0, "flip": True}),
        ("digits", True, None),
        ("cifar10", False, None),
    ],
)
def test_description_names_data_and_augmentation(name: Any, augment: bool, augmentation: Any) -> None:
    data = replace(small_data(), name=name)
    described = Classification(data).describe(Recipe(augment=augment))
    assert described == {"data": data.describe(), "augmentation": augmentation}
    assert described["data"]["train_size"] == 150


def test_head_gives_what_build_gives() -> None:
    member = SearchSpace.load("tiny").smallest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        ours = small_task().head(build_backbone(member, in_channels=1, stem_reduction=1)).state_dict()
        torch.manual_seed(3)
        built = build(member, num_classes=4, in_channels=1, stem_reduction=1).state_dict()
    assert ours.keys() == built.keys()
    assert all(torch.equal(ours[name], built[name]) for name in built)


def test_batches_are_of_training_and_validation_images() -> None:
    task: Task = small_task()
    device = torch.device("cpu")
    training = task.training_batches(Recipe(batch_size=32), seed=0, device=device)
    validation = task.validation_batches(25, device=device)
    assert (len(training), len(validation)) == (5, 3)
    assert sum(len(labels) for _, labels in training.epoch(0)) == 150
    validated: list[Tensor] = [labels for _, labels in validation.epoch(0)]
    assert torch.equal(torch.cat(validated), small_data().val.labels)
