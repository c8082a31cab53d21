from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from osanas.errors import DataError
from osanas.tasks.images import FolderSplit, MemorySplit, channel_statistics, normalise, read_image, resize

CPU = torch.device("cpu")


def noise(count: int, side: int = 8, *, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator)


@pytest.fixture
def files(tmp_path: Path) -> FolderSplit:
    """Eight images of 8x8 pixels, losslessly stored."""
    paths = tuple(tmp_path / f"{number}.png" for number in range(8))
    for path, pixels in zip(paths, noise(8), strict=True):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)
    return FolderSplit(paths, torch.arange(8) % 2, 8, CPU)


def test_batches_from_memory_are_what_is_asked_for() -> None:
    split = MemorySplit(noise(5), torch.arange(5))
    ((images, labels),) = split.on(CPU).batches([torch.tensor([3, 1])])
    assert torch.equal(images, noise(5)[[3, 1]])
    assert labels.tolist() == [3, 1]
    assert len(split) == 5


def test_batches_from_files_are_those_from_memory(files: FolderSplit) -> None:
    memory = MemorySplit(noise(8), files.labels)
    members = [torch.tensor([4, 0, 7]), torch.tensor([2])]
    for (image, label), (other_image, other_label) in zip(
        files.on(CPU).batches(members), memory.batches(members), strict=True
    ):
        assert torch.equal(image, other_image)
        assert torch.equal(label, other_label)
    assert len(files) == 8


def test_a_broken_image_is_named_by_a_worker(files: FolderSplit) -> None:
    broken = files.paths[5]
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(DataError, match=f"The image {broken} cannot be read"):
        list(files.batches([torch.arange(4), torch.arange(4, 8)]))
    broken.unlink()
    with pytest.raises(DataError, match=f"The image {broken} does not exist any more"):
        list(files.batches([torch.arange(4), torch.arange(4, 8)]))


def test_any_mode_and_shape_is_brought_to_a_square(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P", "1"):
        Image.new(mode, (40, 13)).save(tmp_path / "image.png")
        assert read_image(tmp_path / "image.png", 9).shape == (3, 9, 9)


def test_normalised_images_have_mean_0_and_deviation_1() -> None:
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) * 255 for values in channel_statistics(noise(50)))
    normal = normalise(noise(50), mean, std)
    assert normal.dtype == torch.float32
    assert normal.is_contiguous(memory_format=torch.channels_last)
    for channel in range(3):
        assert float(normal[:, channel].mean()) == pytest.approx(0, abs=1e-4)
        assert float(normal[:, channel].std(correction=0)) == pytest.approx(1, abs=1e-4)


def test_a_constant_channel_can_be_normalised() -> None:
    mean, std = channel_statistics(torch.full((3, 1, 2, 2), 51, dtype=torch.uint8))
    assert list(mean) == [pytest.approx(0.2)]
    assert list(std) == [pytest.approx(1 / 255)]


@pytest.mark.parametrize("side", [3, 8, 17])
def test_resized(side: int) -> None:
    images = noise(5)
    resized = resize(images, side)
    assert resized.shape == (5, 3, side, side)
    assert resized.dtype == torch.uint8
    assert abs(float(resized.float().mean()) - float(images.float().mean())) < 6
    if side == 8:
        assert torch.equal(resized, images)


def test_shrinking_is_antialiased() -> None:
    stripes = (torch.arange(28) % 2 * 255).to(torch.uint8).expand(1, 1, 28, 28)
    assert float(resize(stripes, 7).float().std()) < 25  # picking pixels would give stripes or one colour


def test_images_are_brought_to_a_device_once() -> None:
    """Proves that each training does not upload the data anew; ``meta`` stands in for a GPU."""
    split = MemorySplit(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.arange(4))
    meta = torch.device("meta")
    assert split.on(torch.device("cpu")) is split
    assert split.on(meta) is split.on(meta)
    assert split.on(meta).images.device == meta
