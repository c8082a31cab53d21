"""The augmentation that leaves a data set's labels true."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from osanas.tasks.classification.data import ClassificationData, DataName

SHIFTED: frozenset[DataName] = frozenset({"cifar10", "cifar100", "imagefolder"})
"""Data sets whose objects stand anywhere. Digits and Fashion-MNIST are aligned, validation images too: there shifts
cost accuracy in a few epochs, and on the digits they double the noise between seeds."""

MIRRORED: frozenset[DataName] = SHIFTED | {"fashion_mnist"}
"""Data sets whose labels survive a mirrored image; those of digits do not."""


@dataclass(frozen=True)
class Augmentation:
    """Random shifts (the random crop of a padded image) and mirroring, of a whole batch at once.

    Source: the crops with 4 pixels of padding and the flips of ResNet on CIFAR (arXiv 1512.03385, section 4.2).

    Attributes:
        max_shift: Most pixels that an image moves along each axis; black moves in.
        flip: Whether images are mirrored left to right, each with probability one half.
    """

    max_shift: int
    flip: bool

    @classmethod
    def for_data(cls, data: ClassificationData) -> Augmentation | None:
        """What suits a data set: shifts of an eighth of the side, mirroring, both, or None for neither."""
        if data.name not in SHIFTED | MIRRORED:
            return None
        shift = max(1, round(data.resolution / 8)) if data.name in SHIFTED else 0
        return cls(max_shift=shift, flip=data.name in MIRRORED)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws what happens to ``count`` images: ``[count, 3]``, shift down, shift right, mirrored or not."""
        shifts = torch.randint(-self.max_shift, self.max_shift + 1, (count, 2), generator=generator)
        flips = torch.randint(0, 2, (count, 1), generator=generator) * int(self.flip)
        return torch.cat([shifts, flips], dim=1)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Applies what was drawn to images ``[N, C, H, W]`` of any type, on their device.

        Args:
            images: The images.
            drawn: Rows of ``draw`` for them, ``[N, 3]``, on the same device.
        """
        count, channels, height, width = images.shape
        device = images.device
        padded = F.pad(images, (self.max_shift,) * 4)
        rows = torch.arange(height, device=device) + self.max_shift - drawn[:, :1]
        ascending = torch.arange(width, device=device)
        columns = torch.where(drawn[:, 2:] == 1, width - 1 - ascending, ascending)
        columns = columns + self.max_shift - drawn[:, 1:2]
        return padded[
            torch.arange(count, device=device).view(-1, 1, 1, 1),
            torch.arange(channels, device=device).view(1, -1, 1, 1),
            rows.view(count, 1, height, 1),
            columns.view(count, 1, 1, width),
        ]
