"""Image folders: ``DIR/CLASS/image``, or ``DIR/train/CLASS/image`` with ``DIR/val`` and ``DIR/test`` beside it."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets.folder import IMG_EXTENSIONS

from osanas.errors import DataError
from osanas.machine.device import usable_cpus
from osanas.tasks.images import FolderSplit, MemorySplit, Split, read_image
from osanas.tasks.stratify import Indices, stratified_split, subset

HELD_OUT_SHARE = 0.15
"""Share taken for validation, and again for test, where the folder does not say."""

MEMORY_LIMIT_BYTES = 512 * 2**20
"""Folders whose images fit into this are decoded once; a search would decode them every epoch of every candidate."""


@dataclass(frozen=True)
class FolderFiles:
    """The images of a folder.

    Attributes:
        root: The folder.
        classes: Names of the classes, sorted; a label is an index into them.
        paths: Every image, sorted within its part and class.
        labels: Class of every image.
        train: Indices of the images for training.
        val: Of those for validation.
        test: Of those for final figures.
    """

    root: Path
    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: Indices
    train: Indices
    val: Indices
    test: Indices

    def fingerprint(self) -> str:
        """Digest of names, file sizes and split, independent of where the folder lies."""
        digest = hashlib.blake2b(digest_size=16)
        for path in self.paths:
            digest.update(f"{path.relative_to(self.root).as_posix()}\0{path.stat().st_size}\0".encode())
        for members in (self.train, self.val, self.test):
            digest.update(members.tobytes() + b"\0")
        return digest.hexdigest()

    def split(self, members: Indices, resolution: int, *, in_memory: bool) -> Split:
        """A part of the images.

        Raises:
            DataError: If it is to be held in memory and an image cannot be read.
        """
        paths = tuple(self.paths[index] for index in members)
        labels = torch.from_numpy(self.labels[members])
        if not in_memory:
            return FolderSplit(paths, labels, resolution, torch.device("cpu"))
        with ThreadPoolExecutor(usable_cpus()) as pool:  # decoders run outside the interpreter's lock
            images = list(pool.map(partial(read_image, resolution=resolution), paths))
        return MemorySplit(torch.stack(images), labels)

    def size_bytes(self, resolution: int) -> int:
        """What all images at ``resolution`` take in memory."""
        return len(self.paths) * 3 * resolution**2


def scan_folder(root: Path, train_samples: int | None, split_seed: int) -> FolderFiles:
    """Finds the images of a folder and splits them.

    Where ``DIR/train`` exists, ``DIR/test`` is the test part and ``DIR/val`` the validation part; if only one of
    them exists it is the test part, and validation images are taken from the training part. Otherwise the folders in
    ``DIR`` are the classes, and both parts are taken from them, each ``HELD_OUT_SHARE``.

    Raises:
        UsageError: If ``train_samples`` is out of range.
        DataError: If the folder is missing, or holds no two classes with images for every part.
    """
    if not root.is_dir():
        raise DataError(f"The image folder {root} does not exist.", "Name an existing folder: --data imagefolder:DIR.")
    top = root / "train" if (root / "train").is_dir() else root
    classes = tuple(sorted(entry.name for entry in top.iterdir() if entry.is_dir() and not entry.name.startswith(".")))
    if len(classes) < 2:
        raise DataError(
            f"The image folder {top} holds {len(classes)} class folder(s), and two are the least.",
            "Put the images of each class into a folder of its own, named after the class.",
        )
    held_out = [root / name for name in ("val", "test") if top != root and (root / name).is_dir()]
    paths, labels, ends = [], [], []
    for folder in (top, *held_out):
        found = _images(folder, classes)
        paths += [path for path, _ in found]
        labels += [label for _, label in found]
        ends.append(len(paths))
    train, val, test = _parts(np.array(labels, dtype=np.int64), ends, split_seed)
    files = FolderFiles(root, classes, tuple(paths), np.array(labels, dtype=np.int64), train=train, val=val, test=test)
    _require_every_class(files, top)
    if train_samples is None:
        return files
    chosen = subset(train, files.labels, train_samples, split_seed)
    return FolderFiles(root, classes, files.paths, files.labels, train=chosen, val=val, test=test)


def _images(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    found = []
    for label, name in enumerate(classes):
        members = sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in IMG_EXTENSIONS)
        found += [(path, label) for path in members if path.is_file() and not path.name.startswith(".")]
    return found


def _parts(labels: Indices, ends: list[int], split_seed: int) -> tuple[Indices, Indices, Indices]:
    rest: Indices = np.arange(ends[0])
    val: Indices
    test: Indices
    if len(ends) == 3:
        return rest, np.arange(ends[0], ends[1]), np.arange(ends[1], ends[2])
    share = round(HELD_OUT_SHARE * len(rest))
    if len(ends) == 2:
        test = np.arange(ends[0], ends[1])
    else:
        rest, test = stratified_split(rest, labels, share, split_seed)
    rest, val = stratified_split(rest, labels, share, split_seed)
    return rest, val, test


def _require_every_class(files: FolderFiles, top: Path) -> None:
    counts = np.bincount(files.labels[files.train], minlength=len(files.classes))
    for name, count in zip(files.classes, counts, strict=True):
        if count == 0:
            raise DataError(
                f"The class folder {top / name} leaves no image to train on.",
                f"Put images ({', '.join(sorted(IMG_EXTENSIONS))}) into it, or take the folder away.",
            )
    for part, members in (("validation", files.val), ("test", files.test)):
        if len(members) == 0:
            raise DataError(
                f"The image folder {files.root} leaves no {part} images.",
                "Add images, or folders train, val and test with the classes in each.",
            )
