from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from osanas.tasks.classification.augment import Augmentation
from osanas.tasks.classification.data import load


def one_by_one(images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    results = []
    for image, (down, right, flip) in zip(images, drawn.tolist(), strict=True):
        source = image.flip(-1) if flip else image
        moved = torch.zeros_like(image)
        _, height, width = image.shape
        for row in range(height):
            for column in range(width):
                shifted_from = column - right if not flip else column + right
                if 0 <= row - down < height and 0 <= shifted_from < width:
                    moved[:, row, column] = source[:, row - down, shifted_from]
        results.append(moved)
    return torch.stack(results)


@given(
    count=st.integers(1, 4),
    channels=st.integers(1, 3),
    height=st.integers(2, 6),
    width=st.integers(2, 6),
    max_shift=st.integers(0, 2),
    flip=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_a_batch_is_augmented_as_its_images_one_by_one(
    *, count: int, channels: int, height: int, width: int, max_shift: int, flip: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)
    augmentation = Augmentation(max_shift, flip)
    drawn = augmentation.draw(count, generator)
    assert int(drawn[:, :2].abs().max()) <= max_shift
    assert flip or not drawn[:, 2].any()
    assert torch.equal(augmentation.apply(images, drawn), one_by_one(images, drawn))


def test_every_shift_and_both_sides_come_up() -> None:
    drawn = Augmentation(max_shift=1, flip=True).draw(500, torch.Generator().manual_seed(0))
    assert len({tuple(row) for row in drawn.tolist()}) == 3 * 3 * 2


def test_what_leaves_labels_true() -> None:
    digits = load("digits", resolution=14)
    assert Augmentation.for_data(digits) is None
    assert Augmentation.for_data(replace(digits, name="fashion_mnist")) == Augmentation(max_shift=0, flip=True)
    for name in ("cifar10", "cifar100", "imagefolder"):
        assert Augmentation.for_data(replace(digits, name=name)) == Augmentation(max_shift=2, flip=True)
    assert Augmentation.for_data(replace(digits, name="cifar10", resolution=3)) == Augmentation(max_shift=1, flip=True)
