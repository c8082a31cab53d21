from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from osanas.errors import UsageError
from osanas.tasks.classification.cluttered import IMAGES, Clutter, Part, fingerprint, generate, images_per_epoch
from osanas.tasks.classification.data import load
from osanas.tasks.glyphs import draw, read_glyphs
from osanas.tasks.images import MemorySplit

GLYPHS = read_glyphs(0)
CLEAN = Clutter(noise=0.0, most_others=1, others=(1e-3, 1e-3), aspect=1.0)
"""One digit, and another too small to be seen."""

ENDS = (slice(0, 8), slice(-8, None))


def images(
    part: Part = "train", count: int = 50, side: int = 24, seed: int = 0, clutter: Clutter | None = None
) -> MemorySplit:
    return generate(GLYPHS, part, count, side, seed, clutter or Clutter())


@given(count=st.integers(1, 1100), more=st.integers(0, 600), side=st.integers(8, 20))
@settings(max_examples=15, deadline=None)
def test_an_image_is_the_same_however_many_are_generated(count: int, more: int, side: int) -> None:
    few, many = images(count=count, side=side), images(count=count + more, side=side)
    assert torch.equal(few.images, many.images[:count])
    assert torch.equal(few.labels, many.labels[:count])


def test_seeds_and_parts_differ() -> None:
    first = images().images
    for other in (images(seed=1), images("val"), images("test")):
        assert not torch.equal(first, other.images)
    assert torch.equal(first, images().images)


def test_labels_are_balanced_at_every_number() -> None:
    assert images(count=57).labels.bincount().tolist() == [6] * 7 + [5] * 3


def test_the_label_is_the_digit_drawn_largest() -> None:
    """Each image's digit is found again among the scans, stretched over the box that holds its ink."""
    drawn = images(count=100, side=48, clutter=CLEAN)
    whole = torch.tensor([[0.0, 0.0, 48.0, 48.0]])
    scans = draw(GLYPHS.train.scans, whole.expand(len(GLYPHS.train.scans), 4), 48)
    templates = torch.stack([ink(scan) for scan in scans])
    classes = torch.repeat_interleave(torch.arange(10), GLYPHS.train.count)
    nearest = [int(classes[(templates - ink(image[0] / 255)).square().sum((1, 2)).argmin()]) for image in drawn.images]
    assert np.mean(np.array(nearest) == drawn.labels.numpy()) > 0.97


def ink(image: torch.Tensor) -> torch.Tensor:
    """What is bright, over 16 by 16 pixels."""
    rows, columns = ((image > 0.25).any(axis).nonzero().flatten() for axis in (1, 0))
    cut = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return torch.nn.functional.interpolate(cut[None, None], size=(16, 16), mode="bilinear", antialias=True)[0, 0]


def test_sizes_and_noise_differ_between_images() -> None:
    sides = [int((image[0] > 40).any(1).sum()) for image in images(count=300, side=48, clutter=CLEAN).images]
    assert 0.40 * 48 < np.percentile(sides, 2) < 0.52 * 48
    assert 0.65 * 48 < np.percentile(sides, 98) < 0.82 * 48  # an edge fades over a pixel of the scan
    noisy = images(count=300, side=48, clutter=replace(CLEAN, noise=0.14)).images[:, 0].float() / 255
    corners = torch.stack([noisy[:, rows, columns] for rows in ENDS for columns in ENDS], 1).square().mean((2, 3))
    # half of the noise is cut off at black, and the darkest corner has no ink
    deviations = corners.amin(1).sqrt() * np.sqrt(2)
    assert float(deviations.quantile(0.1)) < 0.03
    assert 0.11 < float(deviations.quantile(0.9)) < 0.14


def test_others_are_there_and_up_to_three() -> None:
    alone = images(count=200, clutter=CLEAN).images.float().mean((1, 2, 3))
    beside = images(count=200, clutter=replace(CLEAN, most_others=3, others=(0.8, 0.8))).images.float().mean((1, 2, 3))
    assert 1.4 < float(beside.mean() / alone.mean()) < 2.6


def test_the_default_is_made_quickly() -> None:
    started = time.process_time()
    for part, count in IMAGES.items():
        images(part, count)
    assert time.process_time() - started < 8


def test_every_setting_is_in_the_fingerprint() -> None:
    def digest(seed: int = 0, side: int = 24, train: int = 100, clutter: Clutter | None = None) -> str:
        return fingerprint(read_glyphs(seed), {**IMAGES, "train": train}, side, seed, clutter or Clutter())

    changed = [digest(seed=1), digest(side=32), digest(train=90), digest(clutter=Clutter(noise=0.1))]
    assert len({digest(), *changed}) == 5
    assert digest() == digest()


def test_the_data_set() -> None:
    data = load("cluttered_digits")
    assert (data.num_classes, data.in_channels, data.resolution) == (10, 1, 24)
    assert [len(data.train), len(data.val), len(data.test)] == [24_000, 4_000, 3_000]
    described = data.describe()
    assert (described["images_per_epoch"], described["train_size"]) == (3_000, 24_000)
    assert data.normalise(data.train.images[:5000]).mean() == pytest.approx(0, abs=0.02)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("train", "each"), [(24_000, 3_000), (3_000, None), (4_400, None), (5_000, 2_500)])
def test_epochs_share_out_the_images_evenly(train: int, each: int | None) -> None:
    assert images_per_epoch(train) == each


def test_fewer_images_and_other_sizes() -> None:
    few, larger = (
        load("cluttered_digits", train_samples=100),
        load("cluttered_digits", train_samples=100, resolution=32),
    )
    assert len(few.train) == 100
    assert "images_per_epoch" not in few.describe()
    assert tuple(larger.train.images.shape) == (100, 1, 32, 32)  # type: ignore[attr-defined]
    assert few.fingerprint != larger.fingerprint
    assert few.fingerprint != load("cluttered_digits", train_samples=100, split_seed=1).fingerprint
    for count, advice in ((24_001, "at most 24000"), (9, "at least 10")):
        with pytest.raises(UsageError, match=advice):
            load("cluttered_digits", train_samples=count)
