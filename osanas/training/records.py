"""What a training gives. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRecord:
    """A point of the learning curve.

    Attributes:
        epoch: Epochs done, from 1.
        train_loss: Mean loss over the epoch's training images, as trained (smoothed labels, augmented images).
        val_loss: Cross-entropy of the averaged weights on the validation images.
        val_accuracy: Their top-1 accuracy, 0..1.
        seconds: Wall time of the epoch with its validation, pauses for others' measurements left out.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True)
class TrainingResult:
    """A finished training.

    Attributes:
        accuracy: Top-1 accuracy of the averaged weights on the validation images after the last epoch, 0..1.
        curve: Every epoch, those restored from a checkpoint included.
        seconds: Wall time of all epochs, over all processes that worked on them; pauses left out.
        notes: What a reader of the result should know.
    """

    accuracy: float
    curve: tuple[EpochRecord, ...]
    seconds: float
    notes: tuple[str, ...] = ()
