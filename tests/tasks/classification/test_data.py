from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets

from osanas.errors import DataError, UsageError
from osanas.tasks.classification.data import DataSpec, load
from osanas.tasks.classification.sources import (
    FASHION_MNIST_FILES,
    default_data_dir,
    fashion_mnist_folder,
    read_digits,
    read_idx,
)
from osanas.tasks.images import MemorySplit


def memory(split: object) -> MemorySplit:
    assert isinstance(split, MemorySplit)
    return split


def idx(array: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.tobytes())


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """A folder in the form of Fashion-MNIST: 5,250 images of 6x6, of which 250 remain to train on, and 40 to test."""
    generator = np.random.default_rng(0)
    for images, labels, count in ((*FASHION_MNIST_FILES[:2], 5250), (*FASHION_MNIST_FILES[2:], 40)):
        (tmp_path / images).write_bytes(idx(generator.integers(0, 256, (count, 6, 6), dtype=np.uint8)))
        (tmp_path / labels).write_bytes(idx((np.arange(count) % 10).astype(np.uint8)))
    return tmp_path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)
    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("digit", "There is no data set 'digit'. Did you mean 'digits'?"),
        (
            "",
            "There is no data set ''. "
            "Known: cifar10, cifar100, cluttered_digits, digits, fashion_mnist, imagefolder:DIR.",
        ),
        ("imagefolder", "The data set 'imagefolder' names no folder. Give one: --data imagefolder:DIR."),
        ("imagefolder:", "The data set 'imagefolder:' names no folder. Give one: --data imagefolder:DIR."),
        ("digits:x", "The data set digits takes no folder, got 'digits:x'. Name its folder with --data-dir."),
    ],
)
def test_what_is_no_data_set(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        DataSpec.parse(text)
    assert str(caught.value) == message


def test_a_folder_may_hold_a_colon() -> None:
    assert DataSpec.parse("imagefolder:a:b") == DataSpec("imagefolder", Path("a:b"))


@pytest.mark.parametrize("name", ["resolution", "train_samples"])
def test_numbers_out_of_range(name: str) -> None:
    arguments: dict[str, Any] = {name: 0}
    with pytest.raises(UsageError, match=rf"{name} is 0\. Give at least 1\."):
        load("digits", **arguments)


def test_digits() -> None:
    data = load("digits")
    assert (data.num_classes, data.in_channels, data.resolution) == (10, 1, 8)
    assert [len(data.train), len(data.val), len(data.test)] == [597, 1000, 200]
    assert memory(data.train).images.dtype == torch.uint8
    assert int(memory(data.train).images.max()) == 255
    for split in (data.train, data.val, data.test):
        shares = split.labels.bincount(minlength=10) / len(split)
        assert float((shares - 0.1).abs().max()) < 0.01
    whole = torch.cat([memory(split).images for split in (data.train, data.val, data.test)])
    assert sorted(map(bytes, whole.numpy())) == sorted(map(bytes, read_digits().images.numpy()))


def test_the_same_arguments_give_the_same_data() -> None:
    first, second, other = load("digits"), load("digits"), load("digits", split_seed=1)
    assert first.describe() == second.describe()
    assert torch.equal(memory(first.train).images, memory(second.train).images)
    assert first.fingerprint != other.fingerprint
    assert not torch.equal(first.val.labels, other.val.labels)


def test_the_subset_changes_training_alone() -> None:
    whole, part = load("digits"), load("digits", train_samples=100)
    assert part.train.labels.bincount().tolist() == [10] * 10
    assert torch.equal(memory(part.val).images, memory(whole.val).images)
    assert torch.equal(memory(part.test).images, memory(whole.test).images)
    assert part.fingerprint != whole.fingerprint
    assert part.describe()["train_samples"] == 100
    with pytest.raises(UsageError, match="at most 597"):
        load("digits", train_samples=998)


def test_the_description_is_json() -> None:
    description = load("digits", resolution=16).describe()
    assert json.loads(json.dumps(description)) == description
    assert description["resolution"] == 16
    assert [description[f"{part}_size"] for part in ("train", "val", "test")] == [597, 1000, 200]


def test_normalised_by_the_training_images(fashion: Path) -> None:
    data = load("fashion_mnist", data_dir=fashion)
    normal = data.normalise(memory(data.train).images)
    assert normal.dtype == torch.float32
    assert float(normal.mean()) == pytest.approx(0, abs=1e-4)
    assert float(normal.std(correction=0)) == pytest.approx(1, abs=1e-4)
    before = data.mean, data.std
    (fashion / FASHION_MNIST_FILES[2]).write_bytes(idx(np.zeros((40, 6, 6), np.uint8)))
    changed = load("fashion_mnist", data_dir=fashion)
    assert (changed.mean, changed.std) == before
    assert changed.fingerprint != data.fingerprint


def test_fashion_mnist_in_place(fashion: Path) -> None:
    before = sorted(fashion.iterdir())
    data = load("fashion_mnist", data_dir=fashion, resolution=3, train_samples=20)
    assert [len(data.train), len(data.val), len(data.test)] == [20, 5000, 40]
    assert memory(data.train).images.shape == (20, 1, 3, 3)
    assert data.test.labels.tolist() == [index % 10 for index in range(40)]
    assert sorted(fashion.iterdir()) == before


def test_fashion_mnist_where_torchvision_puts_it(fashion: Path) -> None:
    raw = fashion / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FASHION_MNIST_FILES:
        (fashion / name).rename(raw / name)
    assert len(load("fashion_mnist", data_dir=fashion).test) == 40


def test_installed_fashion_mnist_is_found_where_no_folder_is_named(fashion: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert fashion_mnist_folder(None, installed=fashion) == fashion
    assert fashion_mnist_folder(elsewhere, installed=fashion) is None
    for name in FASHION_MNIST_FILES:
        (elsewhere / name).hardlink_to(fashion / name)
    assert fashion_mnist_folder(elsewhere, installed=fashion) == elsewhere


def test_a_missing_file(fashion: Path) -> None:
    (fashion / FASHION_MNIST_FILES[1]).unlink()
    with pytest.raises(DataError) as caught:
        load("fashion_mnist", data_dir=fashion)
    assert str(caught.value) == (
        f"The data file {fashion / FASHION_MNIST_FILES[1]} does not exist. Put {FASHION_MNIST_FILES[1]} beside the "
        "others, or name a folder that holds all of them with --data-dir."
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"", "is not an IDX file of unsigned bytes"),
        (lambda content: b"<html>not found</html>", "cannot be read: Not a gzipped file"),
        (lambda content: content[: len(content) // 2], "cannot be read: Compressed file ended"),
        (lambda content: content[:20] + b"\0\0\0\0" + content[24:], "cannot be read"),
        (lambda content: gzip.compress(b"hello, world"), "is not an IDX file of unsigned bytes"),
        (
            lambda content: gzip.compress(gzip.decompress(content)[:-5]),
            "holds 188,995 values where its header promises",
        ),
    ],
)
def test_a_corrupt_file(fashion: Path, damage: Any, message: str) -> None:
    path = fashion / FASHION_MNIST_FILES[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        load("fashion_mnist", data_dir=fashion)
    assert f"The data file {path} {message}" in caught.value.problem
    assert caught.value.fix.startswith(f"Replace {path.name} by an intact copy")


def test_files_that_do_not_belong_together(fashion: Path) -> None:
    (fashion / FASHION_MNIST_FILES[1]).write_bytes(idx(np.zeros(5249, np.uint8)))
    with pytest.raises(DataError, match=r"Images \[5250, 6, 6\] and labels \[5249\] .* do not belong together"):
        load("fashion_mnist", data_dir=fashion)


def test_idx_reads_what_was_written(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a.gz").write_bytes(idx(array))
    assert np.array_equal(read_idx(tmp_path / "a.gz"), array)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10", "cifar100"])
def test_absent_and_not_to_be_had(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(name, data_dir=tmp_path)
    assert f"The data set {name} is not complete in {tmp_path} and could not be downloaded" in caught.value.problem
    assert caught.value.fix.endswith("name a folder that holds its files with --data-dir.")


@pytest.mark.usefixtures("offline")
def test_a_data_dir_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="could not be downloaded"):
        load("fashion_mnist", data_dir=tmp_path / "file")


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_cifar(name: str, classes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fake(root: str, *, train: bool, download: bool) -> SimpleNamespace:
        assert (root, download) == (str(tmp_path), True)
        sys.stdout.write("chatter\n")
        count = 5800 if train else 300
        pixels = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        return SimpleNamespace(data=pixels, targets=[index % classes for index in range(count)])

    monkeypatch.setattr(datasets, name.upper(), fake)
    data = load(name, data_dir=tmp_path)
    assert (data.num_classes, data.in_channels, data.resolution) == (classes, 3, 32)
    assert [len(data.train), len(data.val), len(data.test)] == [800, 5000, 300]
    expected = fake(str(tmp_path), train=False, download=True).data[7]
    assert np.array_equal(memory(data.test).images[7].permute(1, 2, 0), expected)


def test_torchvision_does_not_write_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test_cifar("cifar10", 10, monkeypatch, tmp_path)
    assert capsys.readouterr().out == "chatter\n"  # the one call that the test makes itself


def test_the_default_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_data_dir() == Path("/somewhere/osanas/data")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_data_dir() == Path.home() / ".cache" / "osanas" / "data"
