"""The state of a training after an epoch, written whole or not at all.

A checkpoint holds tensors and plain values only, and is read without running code from it. Random state needs no
place in it beyond the seed: every epoch draws from generators seeded with seed and epoch.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import zipfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from osanas.errors import EnvironmentFailure
from osanas.study.records import CurvePoint

FORMAT = "osanas-training-2"
_READABLE = (FORMAT, "osanas-training-1")
"""The first format called every task's score an accuracy."""


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next epoch depends on.

    Attributes:
        identity: What the training is of, as JSON: recipe, seed, data.
        model: The weights being trained.
        average: The averaged weights.
        optimizer: The optimiser's state.
        loss_scaling: State of float16's loss scaling; empty without it.
        curve: The epochs done.
    """

    identity: dict[str, Any]
    model: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, Any]
    loss_scaling: dict[str, Any]
    curve: tuple[CurvePoint, ...]


def write_checkpoint(path: Path, state: TrainingState) -> None:
    """Writes a checkpoint in one step: whoever reads ``path`` finds the one before or this one, whole.

    Raises:
        EnvironmentFailure: If the folder cannot be written to or is full.
    """
    document = {"format": FORMAT, **{field.name: getattr(state, field.name) for field in fields(state)}}
    document["curve"] = [asdict(point) for point in state.curve]
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Into memory first: an interrupt inside torch's writer of an open file can end the process.
        buffer = io.BytesIO()
        torch.save(document, buffer)
        with partial.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name with nothing in it
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise EnvironmentFailure(
            f"The checkpoint {path} cannot be written: {error}.",
            "Free space there or make the folder writable, then run the same command again.",
        ) from error


def read_checkpoint(
    path: Path, identity: dict[str, Any], device: torch.device
) -> tuple[TrainingState | None, str | None]:
    """Reads a checkpoint.

    Args:
        path: The file.
        identity: What the training is of; a checkpoint of another is not taken.
        device: Where its tensors go.

    Returns:
        The state, and None; or None, and a note why the file could not be used (None, too, where there is no file).
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch stores checksums, and does not look at them when it loads
            intact = archive.testzip() is None
        document = torch.load(path, map_location=device, weights_only=True) if intact else None
    except FileNotFoundError:
        return None, None
    except (OSError, EOFError, ValueError, LookupError, RuntimeError, zipfile.BadZipFile, pickle.UnpicklingError):
        document = None
    if document is None:
        return None, f"The checkpoint {path} was corrupt, so training started over."
    is_ours = isinstance(document, dict) and document.get("format") in _READABLE
    if not is_ours or document["identity"] != identity:
        return None, f"The checkpoint {path} was of another training, so training started over."
    document["curve"] = tuple(_point(stored) for stored in document["curve"])
    return TrainingState(**{field.name: document[field.name] for field in fields(TrainingState)}), None


def _point(stored: dict[str, Any]) -> CurvePoint:
    return CurvePoint(**{"score" if name == "val_accuracy" else name: value for name, value in stored.items()})
