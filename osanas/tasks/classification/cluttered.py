"""Generated images of several digits, after the cluttered MNIST of the spatial transformers (arXiv 1506.02025).

The label is the digit drawn largest. The smaller ones beside it and the noise make images of every difficulty, so that
networks differ by more than the noise of their training, which plain digits do not show.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from osanas.tasks.glyphs import NUM_CLASSES, GlyphParts, Glyphs, draw
from osanas.tasks.images import MemorySplit

Part = Literal["train", "val", "test"]

RESOLUTION = 24
"""Side of the images in pixels where none is asked for."""
IMAGES: Mapping[Part, int] = MappingProxyType({"train": 24_000, "val": 4_000, "test": 3_000})
IMAGES_PER_EPOCH = 3_000
"""Eight epochs see each once: at equal cost that teaches more than passing over few images eight times."""

_DRAWN_AT_ONCE = 512
_DRAWS_PER_DIGIT = 6


def images_per_epoch(train: int) -> int | None:
    """The images of each of the epochs that share out so many; None where each sees all."""
    parts = round(train / IMAGES_PER_EPOCH)
    return None if parts < 2 else math.ceil(train / parts)


@dataclass(frozen=True)
class Clutter:
    """What the images look like; every range is drawn from uniformly.

    Attributes:
        largest: Size of the largest digit, as shares of the image's side.
        most_others: Most smaller digits beside it; there is at least one.
        others: Their sizes, as shares of the largest digit's.
        aspect: Most ratio of a digit's height to its width, and of its width to its height.
        noise: Most standard deviation of the noise, which differs between images, for pixels in 0..1.
    """

    largest: tuple[float, float] = (0.45, 0.75)
    most_others: int = 3
    others: tuple[float, float] = (0.25, 0.8)
    aspect: float = 1.2
    noise: float = 0.14


def generate(glyphs: GlyphParts, part: Part, count: int, side: int, seed: int, clutter: Clutter) -> MemorySplit:
    """The first ``count`` images of a part, ``uint8`` of one channel; labels take turns, so that they are balanced.

    An image depends on its index and the other arguments, not on how many are generated.

    Args:
        glyphs: The digits.
        part: Whose digits are taken.
        count: Number of images.
        side: Height and width in pixels.
        seed: Seed of all that is drawn.
        clutter: What the images look like.
    """
    number = tuple(IMAGES).index(part)
    layouts, noises = (np.random.default_rng(child) for child in np.random.SeedSequence([seed, number]).spawn(2))
    numbers = 2 + _DRAWS_PER_DIGIT * (1 + clutter.most_others)
    labels = torch.arange(count) % NUM_CLASSES
    images = torch.empty((count, 1, side, side), dtype=torch.uint8)
    for start in range(0, count, _DRAWN_AT_ONCE):
        some = labels[start : start + _DRAWN_AT_ONCE]
        drawn = torch.from_numpy(layouts.random((len(some), numbers), dtype=np.float32))
        composed = _compose(getattr(glyphs, part), some, drawn[:, 1:], side, clutter)
        noise = torch.from_numpy(noises.standard_normal((len(some), side, side), dtype=np.float32))
        composed += noise * (drawn[:, 0] * clutter.noise).view(-1, 1, 1)
        images[start : start + len(some), 0] = composed.clamp_(0, 1).mul_(255).round_().to(torch.uint8)
    return MemorySplit(images, labels)


def fingerprint(glyphs: GlyphParts, sizes: Mapping[Part, int], side: int, seed: int, clutter: Clutter) -> str:
    """Digest of what decides every image. Pixels are left out: a rounded sum may differ between two processors."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((dict(sizes), side, seed, asdict(clutter))).encode())
    for part in (glyphs.train, glyphs.val, glyphs.test):
        digest.update(part.count.numpy().tobytes() + part.scans.numpy().tobytes())
    return digest.hexdigest()


def _compose(glyphs: Glyphs, labels: Tensor, drawn: Tensor, side: int, clutter: Clutter) -> Tensor:
    """Images ``[N, side, side]`` without noise.

    Args:
        glyphs: The digits.
        labels: Class of the largest digit, ``[N]``.
        drawn: Numbers from 0 up to 1, ``[N, 1 + 6 * digits]``: how many others, then class, scan, size, shape and
            place (two numbers) of each digit, the largest first.
        side: Height and width in pixels.
        clutter: What the images look like.
    """
    how_many, of_digits = drawn[:, :1], drawn[:, 1:].view(len(labels), 1 + clutter.most_others, _DRAWS_PER_DIGIT)
    which, scan, size, shape, left, top = of_digits.unbind(2)
    steps = 1 + (which * (NUM_CLASSES - 1)).long()  # never 0: the others are of other classes
    steps[:, 0] = 0
    classes = (labels.unsqueeze(1) + steps) % NUM_CLASSES
    size = torch.cat([_between(clutter.largest, size[:, :1]), _between(clutter.others, size[:, 1:])], 1)
    size[:, 1:] *= size[:, :1]
    stretch = clutter.aspect ** (shape - 0.5)
    width, height = side * size / stretch, side * size * stretch
    left, top = left * (side - width), top * (side - height)
    layers = draw(
        glyphs.choose(classes, scan).flatten(0, 1),
        torch.stack([left, top, left + width, top + height], 2).flatten(0, 1),
        side,
    ).view(*classes.shape, side, side)
    is_there = torch.arange(1 + clutter.most_others) < 2 + (how_many * clutter.most_others).long()
    return (layers * is_there[:, :, None, None]).amax(1)


def _between(bounds: tuple[float, float], share: Tensor) -> Tensor:
    low, high = bounds
    return low + (high - low) * share
