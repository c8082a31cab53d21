from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from osanas.errors import DataError, UsageError
from osanas.tasks.classification.data import load
from osanas.tasks.classification.folder import scan_folder
from osanas.tasks.images import FolderSplit, MemorySplit


def save(path: Path, seed: int, size: tuple[int, int] = (12, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes of 20 images each."""
    for label, name in enumerate(("cat", "dog")):
        for number in range(20):
            save(tmp_path / name / f"{number:02}.png", 100 * label + number)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "cat" / ".hidden.png").write_text("no image")
    return tmp_path


def test_classes_are_folders(images: Path) -> None:
    files = scan_folder(images, None, 0)
    assert files.classes == ("cat", "dog")
    assert [len(files.train), len(files.val), len(files.test)] == [28, 6, 6]
    assert sorted([*files.train, *files.val, *files.test]) == list(range(40))
    assert all(files.classes[label] == path.parent.name for label, path in zip(files.labels, files.paths, strict=True))


def test_in_memory_and_from_files_are_the_same(images: Path) -> None:
    taken = 40 * 3 * 8 * 8
    memory = load(f"imagefolder:{images}", resolution=8, memory_limit_bytes=taken)
    files = load(f"imagefolder:{images}", resolution=8, memory_limit_bytes=taken - 1)
    assert isinstance(memory.train, MemorySplit)
    assert isinstance(files.train, FolderSplit)
    assert memory.describe() == files.describe()
    assert (memory.mean, memory.std) == (files.mean, files.std)
    members = [torch.tensor([4, 0, 9]), torch.tensor([2])]
    device = torch.device("cpu")
    pairs = zip(memory.train.on(device).batches(members), files.train.on(device).batches(members), strict=True)
    for (image, label), (other_image, other_label) in pairs:
        assert torch.equal(image, other_image)
        assert torch.equal(label, other_label)


def test_given_parts_are_kept(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        for name in ("a", "b"):
            for number in range(count):
                save(tmp_path / part / name / f"{number}.png", number)
    files = scan_folder(tmp_path, None, 0)
    for part, members in (("train", files.train), ("val", files.val), ("test", files.test)):
        assert {files.paths[index].parts[-3] for index in members} == {part}
    assert [len(files.train), len(files.val), len(files.test)] == [12, 4, 6]
    assert len(scan_folder(tmp_path, 4, 0).train) == 4


@pytest.mark.parametrize("name", ["val", "test"])
def test_one_part_held_out_is_the_test(tmp_path: Path, name: str) -> None:
    for part, count in (("train", 20), (name, 2)):
        for label in ("a", "b"):
            for number in range(count):
                save(tmp_path / part / label / f"{number}.png", number)
    files = scan_folder(tmp_path, None, 0)
    assert {files.paths[index].parts[-3] for index in files.test} == {name}
    assert {files.paths[index].parts[-3] for index in files.val} == {"train"}
    assert [len(files.train), len(files.val), len(files.test)] == [34, 6, 4]


def test_the_fingerprint_moves_with_the_folder(images: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    fingerprint = scan_folder(images, None, 0).fingerprint()
    moved = images.rename(tmp_path_factory.mktemp("elsewhere") / "images")
    assert scan_folder(moved, None, 0).fingerprint() == fingerprint
    assert scan_folder(moved, None, 1).fingerprint() != fingerprint
    assert scan_folder(moved, 10, 0).fingerprint() != fingerprint
    save(moved / "cat" / "00.png", 5, (20, 20))
    assert scan_folder(moved, None, 0).fingerprint() != fingerprint


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_a_broken_image_is_named(images: Path, damage: str) -> None:
    broken = images / "dog" / "07.png"
    content = {"truncated": broken.read_bytes()[:150], "text": b"not an image", "empty": b""}[damage]
    broken.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load(f"imagefolder:{images}", resolution=8)
    assert f"The image {broken} cannot be read" in caught.value.problem
    assert caught.value.fix == "Repair the file or take it out of the folder."


def test_a_broken_image_is_named_by_a_worker_too(images: Path) -> None:
    data = load(f"imagefolder:{images}", resolution=8, memory_limit_bytes=0)
    assert isinstance(data.train, FolderSplit)
    broken = data.train.paths[5]
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(DataError, match=f"The image {broken} cannot be read"):
        list(data.train.batches([torch.arange(4), torch.arange(4, 8)]))


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"The image folder .*/none does not exist\. Name an existing folder"):
        load(f"imagefolder:{tmp_path / 'none'}")
    with pytest.raises(DataError, match=r"holds 0 class folder\(s\), and two are the least"):
        load(f"imagefolder:{tmp_path}")
    for number in range(20):
        save(tmp_path / "a" / f"{number}.png", number)
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match=r"The class folder .*/b leaves no image to train on\. Put images \(\.bmp"):
        load(f"imagefolder:{tmp_path}")
    save(tmp_path / "b" / "0.png", 0)
    for number in range(2, 20):
        (tmp_path / "a" / f"{number}.png").unlink()
    with pytest.raises(DataError, match="leaves no validation images"):
        load(f"imagefolder:{tmp_path}")


def test_too_many_samples(images: Path) -> None:
    with pytest.raises(UsageError, match="there are 28"):
        load(f"imagefolder:{images}", train_samples=29)
