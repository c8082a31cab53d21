"""Labelled images that a training reads in batches: in memory where they fit, from a folder's files where not.

Either way a batch is ``uint8`` images ``[N, C, H, W]`` and ``int64`` labels ``[N]`` on the device; what is done to it
(normalisation, augmentation) is done there, by batch.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets.folder import pil_loader
from torchvision.transforms import functional as tv

from osanas.errors import DataError
from osanas.machine.device import usable_cpus

Images = tuple[Tensor, Tensor]
"""A batch: images and labels."""


class Split(Protocol):
    """A part of a data set."""

    @property
    def labels(self) -> Tensor:
        """Classes ``[N]``, ``int64``."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def on(self, device: torch.device) -> Split:
        """The same part, whose batches are on ``device``."""
        ...

    def batches(self, members: Sequence[Tensor]) -> Iterator[Images]:
        """A batch for every tensor of indices in ``members``, in that order.

        Raises:
            DataError: If an image cannot be read.
        """
        ...


@dataclass(frozen=True)
class MemorySplit:
    """Images held as one tensor.

    Attributes:
        images: ``[N, C, H, W]``, ``uint8``.
        labels: ``[N]``, ``int64``.
    """

    images: Tensor
    labels: Tensor
    _copies: dict[torch.device, MemorySplit] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.labels)

    def on(self, device: torch.device) -> MemorySplit:
        """The same images on ``device``, brought there once."""
        if device == self.images.device:
            return self
        if device not in self._copies:
            self._copies[device] = MemorySplit(self.images.to(device), self.labels.to(device))
        return self._copies[device]

    def batches(self, members: Sequence[Tensor]) -> Iterator[Images]:
        """A batch for every tensor of indices."""
        # moved together: a step that waits for its indices would wait for the device
        moved = torch.cat(list(members)).to(self.images.device)
        for chosen in torch.split(moved, [len(indices) for indices in members]):
            yield self.images[chosen], self.labels[chosen]


@dataclass(frozen=True)
class FolderSplit:
    """Images read from their files by worker processes.

    Attributes:
        paths: The files.
        labels: ``[N]``, ``int64``, on the CPU.
        resolution: Side in pixels that every image is brought to (``read_image``).
        device: Where batches go.
    """

    paths: tuple[Path, ...]
    labels: Tensor
    resolution: int
    device: torch.device

    def __len__(self) -> int:
        return len(self.paths)

    def on(self, device: torch.device) -> FolderSplit:
        """The same files, their batches on ``device``."""
        return replace(self, device=device)

    def batches(self, members: Sequence[Tensor]) -> Iterator[Images]:
        """A batch for every tensor of indices, read ahead."""
        pinned = self.device.type == "cuda"
        loader: DataLoader[Tensor | DataError] = DataLoader(
            _Files(self.paths, self.resolution),
            batch_sampler=[indices.tolist() for indices in members],
            collate_fn=list,
            num_workers=_worker_count(),
            worker_init_fn=_leave_interrupts_to_the_parent,
        )
        for indices, read in zip(members, loader, strict=True):
            for image in read:
                if isinstance(image, DataError):
                    raise image
            images, labels = torch.stack(read), self.labels[indices]
            if pinned:
                images, labels = images.pin_memory(), labels.pin_memory()
            yield images.to(self.device, non_blocking=pinned), labels.to(self.device, non_blocking=pinned)


class _Files(Dataset["Tensor | DataError"]):
    """Reads one image an index. An error is returned, since one raised in a worker loses its class and its text."""

    def __init__(self, paths: tuple[Path, ...], resolution: int) -> None:
        self.paths = paths
        self.resolution = resolution

    def __getitem__(self, index: int) -> Tensor | DataError:
        try:
            return read_image(self.paths[index], self.resolution)
        except DataError as error:
            return error


def read_image(path: Path, resolution: int) -> Tensor:
    """An image file as ``uint8`` RGB ``[3, resolution, resolution]``.

    The shorter side is resized (antialiased) to the resolution, and the middle square is taken.

    Raises:
        DataError: If the file is missing, broken or no image.
    """
    try:
        rgb = pil_loader(path)
    except FileNotFoundError:
        raise DataError(f"The image {path} does not exist any more.", "Restore it, or start a new study.") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise
        raise DataError(
            f"The image {path} cannot be read: {error}.", "Repair the file or take it out of the folder."
        ) from None
    square = tv.center_crop(tv.resize(rgb, [resolution], antialias=True), [resolution])
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def _worker_count() -> int:
    # one core is left to the training, and more than eight readers seldom help one device
    return max(1, min(8, usable_cpus() - 1))


def _leave_interrupts_to_the_parent(_worker: int) -> None:
    # Ctrl-C reaches the whole process group, and a worker would print a traceback of its own
    signal.signal(signal.SIGINT, signal.SIG_IGN)


_RESIZED_AT_ONCE = 4_096


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """``uint8`` images ``[N, C, H, W]`` as a network takes them: ``float32``, channels last in memory.

    Args:
        images: The images.
        mean: Mean of each channel, on their device (``ClassificationData.statistics``).
        std: Standard deviation likewise.
    """
    return images.to(torch.float32, memory_format=torch.channels_last).sub_(mean).div_(std)


def resize(images: Tensor, side: int) -> Tensor:
    """``uint8`` images ``[N, C, H, W]`` resized to ``[N, C, side, side]``, bilinear and antialiased."""
    if images.shape[-2:] == (side, side):
        return images.contiguous()
    resized = torch.empty((*images.shape[:2], side, side), dtype=torch.uint8)
    for start in range(0, len(images), _RESIZED_AT_ONCE):
        some = images[start : start + _RESIZED_AT_ONCE].float()
        smooth = F.interpolate(some, size=(side, side), mode="bilinear", antialias=True)
        resized[start : start + len(some)] = smooth.round_().clamp_(0, 255).to(torch.uint8)
    return resized


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of ``uint8`` images ``[N, C, H, W]``, for values in 0..1.

    The deviation is at least one grey level, so that a constant channel can be divided by it.
    """
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = torch.bincount(images[:, channel].reshape(-1).long(), minlength=256).double()
        values = torch.arange(256, dtype=torch.float64) / 255
        mean = float((counts * values).sum() / counts.sum())
        variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
        means.append(mean)
        deviations.append(max(math.sqrt(variance), 1 / 255))
    return tuple(means), tuple(deviations)
