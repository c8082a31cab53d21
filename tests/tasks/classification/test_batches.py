from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from osanas.study.recipe import Recipe
from osanas.tasks.classification.batches import TrainingBatches, ValidationBatches, epoch_seed
from osanas.tasks.images import Batch
from tests.training.helpers import small_data

CPU = torch.device("cpu")


def epoch(number: int, *, seed: int = 0, augment: bool = True, count: int = 150) -> list[Batch]:
    recipe = Recipe(batch_size=32, augment=augment)
    batches = TrainingBatches(small_data(count), recipe, seed=seed, device=CPU, current_epoch=lambda: number)
    listed = list(batches)
    assert len(listed) == len(batches)
    return listed


def same(first: list[Batch], second: list[Batch]) -> bool:
    return all(
        torch.equal(a, b) for one, other in zip(first, second, strict=True) for a, b in zip(one, other, strict=True)
    )


def test_an_epoch_is_a_function_of_seed_and_number() -> None:
    assert same(epoch(3), epoch(3))
    assert not same(epoch(3), epoch(4))
    assert not same(epoch(3), epoch(3, seed=1))


def test_every_image_once() -> None:
    data = small_data()
    seen = torch.cat([images for images, _ in epoch(0, augment=False)])
    expected = data.normalise(data.train.images)  # type: ignore[attr-defined]
    assert sorted(image.numpy().tobytes() for image in seen) == sorted(image.numpy().tobytes() for image in expected)


@pytest.mark.parametrize("count", [2, 32, 33, 65, 150])
def test_no_batch_of_one(count: int) -> None:
    sizes = [len(labels) for _, labels in epoch(0, count=count)]
    assert sum(sizes) == count
    assert max(sizes) <= 32
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2


def test_the_epoch_is_read_at_the_first_batch() -> None:
    current = [0]
    batches = TrainingBatches(small_data(), Recipe(), seed=0, device=CPU, current_epoch=lambda: current[0])
    iterator = iter(batches)
    current[0] = 5
    assert same([next(iterator)], epoch(5)[:1])


def test_validation_is_in_order() -> None:
    data = small_data()
    batches = ValidationBatches(data, batch_size=25, device=CPU)
    assert [len(labels) for _, labels in batches] == [25, 25, 10]
    assert len(batches) == 3
    assert torch.equal(torch.cat([labels for _, labels in batches]), data.val.labels)


def test_seeds_are_independent() -> None:
    seeds = [epoch_seed(seed, number) for seed in range(20) for number in range(20)]
    assert len(set(seeds)) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert all(second != first + 1 for first, second in pairwise(seeds))
