"""A network and data small enough to train in a second."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from osanas.tasks.classification.data import ClassificationData
from osanas.tasks.classification.task import Classification
from osanas.tasks.images import MemorySplit


class SmallNet(nn.Module):
    """Batch norm and dropout: buffers to average, and draws from torch's global generator."""

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.features = nn.Sequential(
                nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2)
            )
            self.dropout = nn.Dropout(0.2)
            self.fc = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.dropout(self.features(x).flatten(1)))
        return out


def quadrants(count: int = 150, *, seed: int = 0) -> MemorySplit:
    """Noise with one bright quadrant, which is the class."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 150, (count, 1, 6, 6), dtype=torch.uint8, generator=generator)
    labels = torch.arange(count) % 4
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = divmod(label, 2)
        image[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3] += 80
    return MemorySplit(images, labels)


class Forbidden:
    """A test part that must not be touched."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    @property
    def labels(self) -> Tensor:
        raise AssertionError("the test part was read")

    def on(self, device: torch.device) -> MemorySplit:
        raise AssertionError("the test part was read")

    def batches(self, members: object) -> None:
        raise AssertionError("the test part was read")


def small_data(count: int = 150) -> ClassificationData:
    return ClassificationData(
        name="cifar10",
        num_classes=4,
        in_channels=1,
        resolution=6,
        train=quadrants(count),
        val=quadrants(60, seed=1),
        test=Forbidden(10),  # type: ignore[arg-type]
        mean=(0.35,),
        std=(0.2,),
        split_seed=0,
        train_samples=None,
        fingerprint=f"quadrants of {count}",
    )


def small_task(count: int = 150) -> Classification:
    return Classification(small_data(count))
