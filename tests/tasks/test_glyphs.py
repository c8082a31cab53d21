from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from osanas.tasks.glyphs import GlyphParts, Glyphs, draw, read_glyphs


@pytest.fixture(scope="module")
def parts() -> GlyphParts:
    return read_glyphs(0)


def rows(glyphs: Glyphs) -> list[bytes]:
    return [scan.numpy().tobytes() for scan in glyphs.scans]


def test_no_scan_is_in_two_parts(parts: GlyphParts) -> None:
    found = [rows(part) for part in (parts.train, parts.val, parts.test)]
    assert [len(part) for part in found] == [1000, 400, 397]
    whole = (load_digits().images / 16).astype(np.float32)
    assert sorted(itertools.chain.from_iterable(found)) == sorted(scan.tobytes() for scan in whole)


def test_every_class_keeps_its_share(parts: GlyphParts) -> None:
    whole = np.bincount(load_digits().target) / 1797
    for part in (parts.train, parts.val, parts.test):
        assert np.abs(part.count.numpy() - whole * len(part.scans)).max() <= 1


def test_choosing_gives_scans_of_the_class_and_reaches_all(parts: GlyphParts) -> None:
    label_of = {
        scan.astype(np.float32).tobytes(): label
        for scan, label in zip(load_digits().images / 16, load_digits().target, strict=True)
    }
    for label in range(10):
        quantiles = torch.linspace(0, 1, 2001)[:-1]
        chosen = parts.val.choose(torch.full_like(quantiles, label, dtype=torch.int64), quantiles)
        found = {scan.numpy().tobytes() for scan in chosen}
        assert {label_of[scan] for scan in found} == {label}
        assert len(found) == int(parts.val.count[label])


def test_the_split_is_a_function_of_its_seed(parts: GlyphParts) -> None:
    assert rows(read_glyphs(0).train) == rows(parts.train)
    assert rows(read_glyphs(1).train) != rows(parts.train)


def test_enlarging_is_bilinear(parts: GlyphParts) -> None:
    scans = parts.train.scans[:20]
    drawn = draw(scans, torch.tensor([[0.0, 0.0, 24.0, 24.0]]).expand(20, 4), 24)
    expected = F.interpolate(scans[:, None], size=(24, 24), mode="bilinear")[:, 0]
    assert torch.allclose(drawn[:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2], atol=1e-5)  # edges fade here, and repeat there


def test_shrinking_is_antialiased(parts: GlyphParts) -> None:
    scans = F.pad(parts.train.scans[:20], (8, 8, 8, 8))  # black around, so that edges do not matter
    drawn = draw(scans, torch.tensor([[8.0, 8.0, 14.0, 14.0]]).expand(20, 4), 24)
    for scan, image in zip(scans, drawn, strict=True):
        expected = np.asarray(Image.fromarray(scan.numpy()).resize((6, 6), Image.Resampling.BILINEAR))
        assert np.abs(image[8:14, 8:14].numpy() - expected).max() < 1e-3


@given(left=st.floats(-30, 30), top=st.floats(-30, 30), width=st.floats(0.5, 40), height=st.floats(0.5, 40))
@settings(max_examples=50)
def test_nothing_is_drawn_far_outside_the_box(left: float, top: float, width: float, height: float) -> None:
    image = draw(torch.ones(1, 8, 8), torch.tensor([[left, top, left + width, top + height]]), 24)[0]
    place = torch.arange(24) + 0.5
    # a triangle reaches a pixel of the scan, or of the image where that is larger, from the centre of the outermost
    beyond = [max(size / 16, 1 - size / 16) + 1e-3 for size in (height, width)]
    outside_rows = (place < top - beyond[0]) | (place > top + height + beyond[0])
    outside_columns = (place < left - beyond[1]) | (place > left + width + beyond[1])
    assert float(image[outside_rows].abs().sum()) == 0
    assert float(image[:, outside_columns].abs().sum()) == 0
    # a sum of samples of a triangle of half-width w is 3/w - 2/w^2 at most: 1.125 in each direction, where w = 4/3
    assert 0 <= float(image.min()) <= float(image.max()) <= 1.125**2 + 1e-5
