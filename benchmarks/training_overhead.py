"""What training through Lightning costs over a bare PyTorch loop that does the same.

Both train the same network on the same batches with the same averaging, clipping, schedule and optimiser, an epoch
each in turn, and the ratio of each pair is taken, so that what else the machine does hits both.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/training_overhead.py
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import time
from itertools import islice

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from osanas.models.build import build_backbone
from osanas.study.recipe import Recipe
from osanas.tasks.classification.data import load
from osanas.tasks.classification.task import Classification
from osanas.tasks.task import Task
from osanas.training.averaging import WeightAverage
from osanas.training.module import build_optimizer
from osanas.training.trainer import train


def bare_epoch(model: nn.Module, task: Task, recipe: Recipe, device: torch.device) -> float:
    """Trains and validates one epoch; returns the last training loss."""
    model.to(device).to(memory_format=torch.channels_last).train()
    batches = task.training_batches(recipe, seed=0, device=device)
    average = WeightAverage(model)
    optimizer = build_optimizer(model, recipe)
    value = torch.zeros(())
    for step, batch in enumerate(batches.epoch(0)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(step, len(batches))
        value = task.loss(model, batch, recipe)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        if recipe.gradient_clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip_norm)
        optimizer.step()
        average.update(recipe.averaging_decay_at(step))
    average.swap()
    some = islice(batches.epoch(0), math.ceil(recipe.batch_norm_images / recipe.batch_size))
    update_bn(some, model)
    model.eval()
    with torch.no_grad():
        scores = task.scores().to(device)
        for batch in task.validation_batches(2 * recipe.batch_size, device=device).epoch(0):
            task.judge(model, batch, scores)
    return float(value.detach())


def main() -> None:
    """Prints the ratio with its spread."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="vovnet27_slim")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    task = Classification(load("cluttered_digits"))
    recipe = Recipe(mixed_precision=False)  # the loop above trains in single precision
    torch.manual_seed(0)
    shape = task.shape
    original = task.head(
        build_backbone(options.model, in_channels=shape.in_channels, stem_reduction=shape.stem_reduction)
    )
    seconds: dict[str, list[float]] = {"Lightning": [], "bare": []}
    for pair in range(-1, options.pairs):  # the first pair warms up
        for kind in sorted(seconds, reverse=pair % 2 == 0):
            model = copy.deepcopy(original)
            started = time.perf_counter()
            if kind == "bare":
                bare_epoch(model, task, recipe, device)
            else:
                train(model, task, recipe, epochs=1, seed=0, device=device)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if pair >= 0:
                seconds[kind].append(time.perf_counter() - started)
    ratios = sorted(ours / bare for ours, bare in zip(seconds["Lightning"], seconds["bare"], strict=True))
    for kind, values in seconds.items():
        print(f"{kind:>9}: median {statistics.median(values):.3f} s an epoch")
    quarter = len(ratios) // 4
    print(
        f"ratio: median {statistics.median(ratios):.3f}, middle half {ratios[quarter]:.3f} to "
        f"{ratios[-1 - quarter]:.3f}, all {ratios[0]:.3f} to {ratios[-1]:.3f} ({len(ratios)} pairs)"
    )


if __name__ == "__main__":
    main()
