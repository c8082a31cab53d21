from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from osanas.study.recipe import Recipe
from osanas.tasks.classification.batches import TrainingBatches, ValidationBatches
from osanas.tasks.images import Images
from tests.training.helpers import small_data

CPU = torch.device("cpu")


def epoch(number: int, *, seed: int = 0, augment: bool = True, count: int = 150) -> list[Images]:
    recipe = Recipe(batch_size=32, augment=augment)
    batches = TrainingBatches(small_data(count), recipe, seed=seed, device=CPU)
    listed = list(batches.epoch(number))
    assert len(listed) == len(batches)
    return listed


def same(first: list[Images], second: list[Images]) -> bool:
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


def test_epochs_may_be_asked_for_in_any_order() -> None:
    batches = TrainingBatches(small_data(), Recipe(batch_size=32), seed=0, device=CPU)
    late, early = batches.epoch(5), batches.epoch(1)
    assert same([next(late)], epoch(5)[:1])
    assert same(list(early), epoch(1))
    assert same(list(late), epoch(5)[1:])


def test_validation_is_in_order_and_the_same_every_epoch() -> None:
    data = small_data()
    batches = ValidationBatches(data, batch_size=25, device=CPU)
    first = list(batches.epoch(0))
    assert [len(labels) for _, labels in first] == [25, 25, 10]
    assert len(batches) == 3
    assert torch.equal(torch.cat([labels for _, labels in first]), data.val.labels)
    assert torch.equal(torch.cat([images for images, _ in first]), data.normalise(data.val.images))  # type: ignore[attr-defined]
    assert same(first, list(batches.epoch(7)))


def sliced(per_epoch: int, count: int = 100) -> TrainingBatches:
    """Batches of images that are told apart by their first pixel's place in the whole."""
    return TrainingBatches(
        replace(small_data(count), images_per_epoch=per_epoch), Recipe(batch_size=8, augment=False), seed=0, device=CPU
    )


def numbers(batches: TrainingBatches, epoch: int) -> list[bytes]:
    return [image.numpy().tobytes() for images, _ in batches.epoch(epoch) for image in images]


@pytest.mark.parametrize(("per_epoch", "sizes"), [(25, [25] * 4), (33, [34, 33, 33]), (100, [100]), (1000, [100])])
def test_epochs_share_out_a_pass(per_epoch: int, sizes: list[int]) -> None:
    batches, parts = sliced(per_epoch), len(sizes)
    whole = sorted(numbers(sliced(1000), 0))
    for first in (0, parts, 7 * parts):
        epochs = [numbers(batches, first + part) for part in range(parts)]
        assert [len(epoch) for epoch in epochs] == sizes
        assert sorted(itertools.chain.from_iterable(epochs)) == whole
    assert numbers(batches, 0) != numbers(batches, parts)
    for index in range(2 * parts):
        assert len(list(batches.epoch(index))) == len(batches) == -(-sizes[0] // 8)


def test_a_part_of_a_pass_is_augmented_as_ever() -> None:
    data = replace(small_data(100), images_per_epoch=25)
    first, second = (TrainingBatches(data, Recipe(batch_size=8), seed=3, device=CPU) for _ in range(2))
    list(first.epoch(0))
    assert same(list(first.epoch(6)), list(second.epoch(6)))


def test_all_images_in_every_epoch_are_as_before_there_were_parts() -> None:
    assert same(list(sliced(100).epoch(5)), epoch_of_all(5))


def epoch_of_all(number: int) -> list[Images]:
    batches = TrainingBatches(small_data(100), Recipe(batch_size=8, augment=False), seed=0, device=CPU)
    return list(batches.epoch(number))
