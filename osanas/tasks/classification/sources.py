"""Data sets as they are published: images and labels before splitting and resizing."""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from osanas.errors import DataError

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts its files."""

FASHION_MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)

_IDX_UBYTE = 8

Fetched = TypeVar("Fetched")


@dataclass(frozen=True)
class Source:
    """A published data set.

    Attributes:
        images: ``[N, C, H, W]``, ``uint8``.
        labels: ``[N]``, ``int64``.
        test_images: The published test part, or None where none is published.
        test_labels: Its labels.
    """

    images: Tensor
    labels: Tensor
    test_images: Tensor | None = None
    test_labels: Tensor | None = None


def default_data_dir() -> Path:
    """Where data sets are downloaded to when no folder is named."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "osanas" / "data"


def read_digits() -> Source:
    """scikit-learn's 1,797 handwritten digits: 8x8 pixels, 17 grey levels, 10 classes, embedded in that package."""
    from sklearn.datasets import load_digits  # imported here: no other data set needs it

    pixels, labels = load_digits(return_X_y=True)
    grey = np.rint(pixels.reshape(-1, 1, 8, 8) * (255.0 / 16.0)).astype(np.uint8)
    return Source(torch.from_numpy(grey), torch.from_numpy(labels.astype(np.int64)))


def read_fashion_mnist(data_dir: Path | None) -> Source:
    """Fashion-MNIST (arXiv 1708.07747): 60,000 + 10,000 grey images of 28x28 pixels, 10 classes.

    The four published files are read where they lie: in ``data_dir`` (or its ``FashionMNIST/raw``, where torchvision
    puts them), by default in Debian's folder. Where there is none of them, torchvision downloads them.

    Raises:
        DataError: If a file is missing or corrupt and cannot be downloaded.
    """
    folder = fashion_mnist_folder(data_dir)
    if folder is None:
        root = data_dir if data_dir is not None else default_data_dir()
        _fetched("fashion_mnist", root, lambda: _download_fashion_mnist(root))
        folder = root / "FashionMNIST" / "raw"
    images, labels, test_images, test_labels = (read_idx(folder / name) for name in FASHION_MNIST_FILES)
    return Source(*_paired(images, labels, folder), *_paired(test_images, test_labels, folder))


def fashion_mnist_folder(data_dir: Path | None, *, installed: Path = DEBIAN_FASHION_MNIST) -> Path | None:
    """The folder that holds files of Fashion-MNIST, or None if none of the places has any.

    Args:
        data_dir: The only place to look in, if one is named.
        installed: Looked at first where none is.
    """
    root = data_dir if data_dir is not None else default_data_dir()
    places = [root, root / "FashionMNIST" / "raw"]
    if data_dir is None:
        places.insert(0, installed)
    return next((place for place in places if any((place / name).exists() for name in FASHION_MNIST_FILES)), None)


def read_cifar(name: Literal["cifar10", "cifar100"], data_dir: Path | None) -> Source:
    """CIFAR-10 or CIFAR-100: 50,000 + 10,000 colour images of 32x32 pixels, through torchvision.

    Raises:
        DataError: If it is neither in ``data_dir`` nor can be downloaded to it.
    """
    from torchvision import datasets  # imported here: slow, and the embedded data need it not

    dataset = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    root = data_dir if data_dir is not None else default_data_dir()
    parts = _fetched(name, root, lambda: [dataset(str(root), train=train, download=True) for train in (True, False)])
    tensors = []
    for part in parts:
        tensors.append(torch.from_numpy(np.ascontiguousarray(part.data.transpose(0, 3, 1, 2))))
        tensors.append(torch.tensor(part.targets, dtype=torch.int64))
    return Source(*tensors)


def read_idx(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Reads a gzipped IDX file of unsigned bytes (format: MNIST's page, yann.lecun.com/exdb/mnist).

    Raises:
        DataError: If it is missing or not such a file, whole.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"The data file {path} does not exist.",
            f"Put {path.name} beside the others, or name a folder that holds all of them with --data-dir.",
        ) from None
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        raise DataError(f"The data file {path} cannot be read: {error}.", _replace(path)) from None
    rank = content[3] if len(content) >= 4 else 0
    header = 4 + 4 * rank
    if content[:2] != b"\0\0" or content[2] != _IDX_UBYTE or rank == 0 or len(content) < header:
        raise DataError(f"The data file {path} is not an IDX file of unsigned bytes.", _replace(path))
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", rank, offset=4))
    if len(content) != header + math.prod(shape):
        raise DataError(
            f"The data file {path} holds {len(content) - header:,} values where its header promises "
            f"{math.prod(shape):,}.",
            _replace(path),
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _paired(
    images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    labels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    folder: Path,
) -> tuple[Tensor, Tensor]:
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(
            f"Images {list(images.shape)} and labels {list(labels.shape)} in {folder} do not belong together.",
            "Replace the files by those of one data set.",
        )
    return torch.from_numpy(images[:, None].copy()), torch.from_numpy(labels.astype(np.int64))


def _download_fashion_mnist(root: Path) -> None:
    from torchvision import datasets  # imported here: slow, and files in place need it not

    datasets.FashionMNIST(str(root), download=True)


def _fetched(name: str, root: Path, fetch: Callable[[], Fetched]) -> Fetched:
    """What torchvision reads, downloading it first where needed."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output belongs to results
            return fetch()
    except (OSError, RuntimeError, EOFError) as error:  # no network, no permission, corrupt: torchvision's three ways
        cause = " ".join(str(error).split())
        raise DataError(
            f"The data set {name} is not complete in {root} and could not be downloaded: {cause}.",
            "Connect to the internet once, or name a folder that holds its files with --data-dir.",
        ) from None


def _replace(path: Path) -> str:
    return f"Replace {path.name} by an intact copy, or delete the folder's files to have them downloaded again."
