"""Handwritten digits to compose images of: scans in disjoint parts, and drawing them into boxes of any size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from osanas.tasks.stratify import stratified_split

NUM_CLASSES = 10
SCAN_SIDE = 8
"""Pixels."""

VALIDATION_SCANS = 400
TEST_SCANS = 397


@dataclass(frozen=True)
class Glyphs:
    """Scans of digits, sorted by class.

    Attributes:
        scans: ``[N, 8, 8]``, ``float32`` in 0..1, ink is 1.
        first: Index of the first scan of each class, ``[10]``, ``int64``.
        count: Number of scans of each class, ``[10]``, ``int64``.
    """

    scans: Tensor
    first: Tensor
    count: Tensor

    def choose(self, labels: Tensor, quantiles: Tensor) -> Tensor:
        """Scans ``[*, 8, 8]`` of given classes.

        Args:
            labels: Classes, of any shape ``[*]``.
            quantiles: Which scan of its class each is, 0 up to 1, ``[*]``.
        """
        return self.scans[self.first[labels] + (quantiles * self.count[labels]).long()]


@dataclass(frozen=True)
class GlyphParts:
    """Scans to train, validate and test on; no scan is in two parts.

    Attributes:
        train: 1,000 scans.
        val: 400 scans.
        test: 397 scans.
    """

    train: Glyphs
    val: Glyphs
    test: Glyphs


def read_glyphs(seed: int) -> GlyphParts:
    """scikit-learn's 1,797 scans of digits, split within each class: they are ordered, so an index says much.

    Args:
        seed: Seed of the split.
    """
    from sklearn.datasets import load_digits  # imported here: other data need it not

    pixels, labels = load_digits(return_X_y=True)
    labels = labels.astype(np.int64)
    rest, val = stratified_split(np.arange(len(labels)), labels, VALIDATION_SCANS, seed)
    train, test = stratified_split(rest, labels, TEST_SCANS, seed)
    scans = (pixels / 16.0).reshape(-1, SCAN_SIDE, SCAN_SIDE).astype(np.float32)
    parts = []
    for members in (train, val, test):
        by_class = members[np.argsort(labels[members], kind="stable")]
        count = torch.from_numpy(labels[members]).bincount(minlength=NUM_CLASSES)
        parts.append(Glyphs(torch.from_numpy(scans[by_class]), count.cumsum(0) - count, count))
    return GlyphParts(*parts)


def draw(scans: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Draws each scan into a box of a black image of its own, resized (bilinear, antialiased).

    Args:
        scans: ``[N, 8, 8]``, ``float32``.
        boxes: Left, top, right, bottom in pixels, ``[N, 4]``, ``float32``; whatever lies outside the image is cut off.
        side: Height and width of the images.

    Returns:
        ``[N, side, side]``, ``float32``, as bright as the scans.
    """
    left, top, right, bottom = boxes.unbind(1)
    rows = _resampling(top, bottom, scans.shape[1], side)
    columns = _resampling(left, right, scans.shape[2], side)
    return rows @ scans @ columns.mT


def _resampling(start: Tensor, end: Tensor, pixels: int, side: int) -> Tensor:
    """Weights ``[N, side, pixels]`` of a scan's pixels in an image's along one axis, with a triangle as filter."""
    scale = (pixels / (end - start)).view(-1, 1, 1)
    centres = (torch.arange(side) + 0.5 - start.unsqueeze(1)).unsqueeze(2) * scale - 0.5
    width = scale.clamp(min=1.0)
    return (1 - (centres - torch.arange(pixels)).abs_() / width).clamp_(min=0.0) / width
