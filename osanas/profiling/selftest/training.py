"""Checks of a training, and of reading image files, through the code that trains candidates."""

from __future__ import annotations

import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from osanas.errors import TrainingStopped
from osanas.evaluation.network_trainer import NetworkTrainer
from osanas.genotype.architecture import Architecture
from osanas.profiling.selftest.check import REPORT, Check
from osanas.study.recipe import Recipe
from osanas.tasks.classification.batches import TrainingBatches
from osanas.tasks.classification.data import load

_PROFILED_STEPS = 12
_FOLDER_IMAGES, _FOLDER_SIDE = 256, 256


def training(trainer: NetworkTrainer, member: Architecture) -> Check:
    """Speed of a training, and on a GPU how much of it is the GPU's work."""
    steps = len(trainer.task.training_batches(trainer.recipe, seed=0, device=trainer.device))
    seconds: list[float] = []
    trainer.train(
        member,
        epochs=2,
        checkpoint=None,
        on_epoch=lambda point: seconds.append(point.seconds),
        should_stop=lambda: False,
    )
    step_ms = 1e3 * seconds[-1] / steps
    figures: dict[str, Any] = {"epoch_seconds": seconds, "steps": steps, "host_ms_per_step": step_ms}
    images_per_s = steps * trainer.recipe.batch_size / seconds[-1]
    told = f"{images_per_s:,.0f} images/s, {step_ms:.3g} ms a step with its share of the validation"
    if trainer.device.type == "cuda":
        device_ms, waits = _device_share(trainer, member)
        figures |= {"device_ms_per_step": device_ms, "synchronisations_per_step": waits}
        told += f", of which the GPU works {device_ms:.3g} ms; {waits:.1f} synchronisations a step"
    slow_start = seconds[0] > 3 * seconds[1] + 2
    return Check(
        not slow_start,
        told if not slow_start else f"{told}; the first epoch takes {seconds[0]:.1f} s and the next {seconds[1]:.1f} s",
        REPORT if slow_start else None,
        figures,
    )


def _device_share(trainer: NetworkTrainer, member: Architecture) -> tuple[float, float]:
    """Milliseconds that the GPU works in a step, and how often the host waits for it."""
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > _PROFILED_STEPS

    activities = [torch.profiler.ProfilerActivity.CUDA]
    with warnings.catch_warnings(record=True) as caught, torch.profiler.profile(activities=activities) as profiled:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with suppress(TrainingStopped):
                trainer.train(member, epochs=1, checkpoint=None, on_epoch=lambda _: None, should_stop=should_stop)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    device_ms = sum(event.self_device_time_total for event in profiled.key_averages()) / 1e3
    waits = sum("synchroniz" in str(warning.message) for warning in caught)
    return device_ms / _PROFILED_STEPS, waits / _PROFILED_STEPS


def image_files() -> Check:
    """Images a second that are read from JPEG files, as for a folder that does not fit into memory."""
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="osanas-selftest-") as name:
        for index in range(_FOLDER_IMAGES):
            folder = Path(name) / "train" / f"class-{index % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            small = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(small).resize((_FOLDER_SIDE, _FOLDER_SIDE)).save(folder / f"{index}.jpg")
        data = load(f"imagefolder:{name}", resolution=224, memory_limit_bytes=0)
        batches = TrainingBatches(data, Recipe(batch_size=32), seed=0, device=torch.device("cpu"))
        start, first, images = time.perf_counter(), 0.0, 0
        for batch, _ in batches.epoch(0):
            images += len(batch)
            first = first or time.perf_counter() - start
        seconds = time.perf_counter() - start
    return Check(
        is_sound=True,
        told=f"{images / seconds:,.0f} images/s from JPEGs of {_FOLDER_SIDE} pixels, the first after {first:.2g} s",
        figures={"images_per_s": images / seconds, "first_batch_s": first},
    )
