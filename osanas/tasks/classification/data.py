"""Classification data: what ``--data`` names, split into training, validation and test, at one resolution.

A search sees training and validation images alone; test images are kept for final figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from osanas.errors import UsageError
from osanas.tasks.classification import cluttered
from osanas.tasks.classification.folder import MEMORY_LIMIT_BYTES, scan_folder
from osanas.tasks.classification.sources import Source, read_cifar, read_digits, read_fashion_mnist
from osanas.tasks.glyphs import NUM_CLASSES, read_glyphs
from osanas.tasks.images import MemorySplit, Split, channel_statistics, normalise, resize
from osanas.tasks.stratify import check_subset, stratified_split, subset
from osanas.validation import did_you_mean

DataName = Literal["cluttered_digits", "digits", "fashion_mnist", "cifar10", "cifar100", "imagefolder"]

HELD_OUT: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"digits": (1_000, 200), "fashion_mnist": (5_000, 0), "cifar10": (5_000, 0), "cifar100": (5_000, 0)}
)
"""Images taken from the published training part for validation and for test; no test where one is published.

Of the digits most is held out: validation then adds little noise, and training on the rest takes seconds without
reaching the accuracy at which all networks look alike (``benchmarks/seed_noise.py``).
"""

_STATISTICS_IMAGES = 2_000


@dataclass(frozen=True)
class DataSpec:
    """What ``--data`` names.

    Attributes:
        name: Kind of data set.
        folder: The folder of an ``imagefolder``.
    """

    name: DataName
    folder: Path | None = None

    @classmethod
    def parse(cls, text: str) -> DataSpec:
        """Parses the name of a data set, or ``imagefolder:DIR``.

        Raises:
            UsageError: If it is none of these.
        """
        name, colon, rest = text.partition(":")
        if name not in get_args(DataName):
            known = [f"{word}:DIR" if word == "imagefolder" else word for word in get_args(DataName)]
            raise UsageError(f"There is no data set '{text}'.", did_you_mean(text, known))
        if name == "imagefolder" and not rest:
            raise UsageError(f"The data set '{text}' names no folder.", "Give one: --data imagefolder:DIR.")
        if name != "imagefolder" and colon:
            raise UsageError(f"The data set {name} takes no folder, got '{text}'.", "Name its folder with --data-dir.")
        return cls(cast(DataName, name), Path(rest) if rest else None)


@dataclass(frozen=True)
class ClassificationData:
    """Labelled square images in three parts.

    Attributes:
        name: Kind of data set.
        num_classes: Number of classes.
        in_channels: 1 (grey) or 3 (RGB).
        resolution: Side of the images in pixels.
        train: What is trained on.
        val: What a search judges by.
        test: For final figures; training never reads it.
        mean: Mean of each channel over the training images, for values in 0..1.
        std: Standard deviation likewise.
        split_seed: What the split was drawn with.
        train_samples: Size of the subset of the training part, if one was asked for.
        fingerprint: Digest of the images, labels and split (of an image folder: of names, sizes and split; of
            generated images: of all that decides them).
        images_per_epoch: About how many training images an epoch passes over, each epoch others until all had their
            turn; None is all of them in every epoch.
    """

    name: DataName
    num_classes: int
    in_channels: int
    resolution: int
    train: Split
    val: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    split_seed: int
    train_samples: int | None
    fingerprint: str
    images_per_epoch: int | None = None

    def describe(self) -> dict[str, Any]:
        """What makes accuracies on it comparable, as JSON: part of a study's identity."""
        described = {
            "name": self.name,
            "num_classes": self.num_classes,
            "in_channels": self.in_channels,
            "resolution": self.resolution,
            "split_seed": self.split_seed,
            "train_samples": self.train_samples,
            "train_size": len(self.train),
            "val_size": len(self.val),
            "test_size": len(self.test),
            "fingerprint": self.fingerprint,
        }
        return described if self.images_per_epoch is None else {**described, "images_per_epoch": self.images_per_epoch}

    def statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each channel for values in 0..255, ``[1, C, 1, 1]`` on ``device``."""
        mean, std = (torch.tensor(values, device=device).view(1, -1, 1, 1) * 255 for values in (self.mean, self.std))
        return mean, std

    def normalise(self, images: Tensor) -> Tensor:
        """``uint8`` images ``[N, C, H, W]`` as a network takes them (``normalise``)."""
        return normalise(images, *self.statistics(images.device))


def load(
    spec: str | DataSpec,
    *,
    data_dir: Path | None = None,
    resolution: int | None = None,
    train_samples: int | None = None,
    split_seed: int = 0,
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
) -> ClassificationData:
    """Loads a data set.

    Args:
        spec: What ``--data`` names.
        data_dir: Where its files lie or may be downloaded to; None looks in the usual places.
        resolution: Side in pixels to resize to (antialiased), or to generate at; None is the data set's own, 224 for
            an image folder.
        train_samples: Size of a fixed stratified subset of the training part; None is all of it.
        split_seed: Seed of split and subset, and of all that is generated.
        memory_limit_bytes: An image folder that takes more is read from its files in every epoch.

    Raises:
        UsageError: If the data set is unknown or a number is out of range.
        DataError: If it is missing, incomplete or corrupt.
    """
    parsed = DataSpec.parse(spec) if isinstance(spec, str) else spec
    for name, value in (("resolution", resolution), ("train_samples", train_samples)):
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}.", "Give at least 1.")
    if parsed.name == "imagefolder":
        assert parsed.folder is not None
        return _from_folder(parsed.folder, resolution or 224, train_samples, split_seed, memory_limit_bytes)
    if parsed.name == "cluttered_digits":
        return _cluttered_digits(resolution or cluttered.RESOLUTION, train_samples, split_seed)
    return _from_source(parsed.name, _read(parsed.name, data_dir), resolution, train_samples, split_seed)


def _read(name: DataName, data_dir: Path | None) -> Source:
    match name:
        case "digits":
            return read_digits()
        case "fashion_mnist":
            return read_fashion_mnist(data_dir)
        case "cifar10" | "cifar100":
            return read_cifar(name, data_dir)
        case _:
            raise ValueError(name)


def _from_source(
    name: DataName, source: Source, resolution: int | None, train_samples: int | None, split_seed: int
) -> ClassificationData:
    labels = source.labels.numpy()
    val_size, test_size = HELD_OUT[name]
    rest, val = stratified_split(np.arange(len(labels)), labels, val_size, split_seed)
    if source.test_images is None or source.test_labels is None:
        rest, test = stratified_split(rest, labels, test_size, split_seed)
        test_images, test_labels = source.images[torch.from_numpy(test)], source.labels[torch.from_numpy(test)]
    else:
        test = np.arange(0)
        test_images, test_labels = source.test_images, source.test_labels
    train = subset(rest, labels, train_samples, split_seed)
    side = resolution or source.images.shape[-1]
    parts = {"train": torch.from_numpy(train), "val": torch.from_numpy(val)}
    images = {part: resize(source.images[members], side) for part, members in parts.items()}
    mean, std = channel_statistics(images["train"])
    return ClassificationData(
        name=name,
        num_classes=int(labels.max()) + 1,
        in_channels=source.images.shape[1],
        resolution=side,
        train=MemorySplit(images["train"], source.labels[parts["train"]]),
        val=MemorySplit(images["val"], source.labels[parts["val"]]),
        test=MemorySplit(resize(test_images, side), test_labels),
        mean=mean,
        std=std,
        split_seed=split_seed,
        train_samples=train_samples,
        fingerprint=_fingerprint(source.images.numpy(), labels, test_images.numpy(), train, val, test),
    )


def _cluttered_digits(resolution: int, train_samples: int | None, seed: int) -> ClassificationData:
    sizes = dict(cluttered.IMAGES)
    if train_samples is not None:
        check_subset(train_samples, sizes["train"], NUM_CLASSES)
        sizes["train"] = train_samples
    glyphs, clutter = read_glyphs(seed), cluttered.Clutter()
    parts = {part: cluttered.generate(glyphs, part, size, resolution, seed, clutter) for part, size in sizes.items()}
    mean, std = channel_statistics(parts["train"].images)
    return ClassificationData(
        name="cluttered_digits",
        num_classes=NUM_CLASSES,
        in_channels=1,
        resolution=resolution,
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        mean=mean,
        std=std,
        split_seed=seed,
        train_samples=train_samples,
        fingerprint=cluttered.fingerprint(glyphs, sizes, resolution, seed, clutter),
        images_per_epoch=cluttered.images_per_epoch(sizes["train"]),
    )


def _from_folder(
    folder: Path, resolution: int, train_samples: int | None, split_seed: int, memory_limit_bytes: int
) -> ClassificationData:
    files = scan_folder(folder, train_samples, split_seed)
    in_memory = files.size_bytes(resolution) <= memory_limit_bytes
    train, val, test = (
        files.split(members, resolution, in_memory=in_memory) for members in (files.train, files.val, files.test)
    )
    sample = torch.linspace(0, len(train) - 1, min(len(train), _STATISTICS_IMAGES)).round().long()
    (images, _), *_ = train.batches([sample])
    mean, std = channel_statistics(images)
    return ClassificationData(
        name="imagefolder",
        num_classes=len(files.classes),
        in_channels=3,
        resolution=resolution,
        train=train,
        val=val,
        test=test,
        mean=mean,
        std=std,
        split_seed=split_seed,
        train_samples=train_samples,
        fingerprint=files.fingerprint(),
    )


def _fingerprint(*arrays: NDArray[Any]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
