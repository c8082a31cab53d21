"""What training through Lightning costs over a bare PyTorch loop that does the same.

Both train the same network on the same batches with the same averaging, clipping, schedule and optimiser, an epoch
each in turn, and the ratio of each pair is taken, so that what else the machine does hits both.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/training_overhead.py
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import torch
from torch import nn

from osanas.genotype.geometry import stem_reduction_for
from osanas.models.build import build
from osanas.study.recipe import Recipe
from osanas.tasks.classification.batches import TrainingBatches, ValidationBatches
from osanas.tasks.classification.data import ClassificationData, load
from osanas.tasks.classification.task import loss
from osanas.training.averaging import WeightAverage
from osanas.training.module import build_optimizer
from osanas.training.trainer import train


def bare_epoch(model: nn.Module, data: ClassificationData, recipe: Recipe, device: torch.device) -> float:
    """Trains and validates one epoch; returns the last training loss."""
    model.to(device).to(memory_format=torch.channels_last).train()
    batches = TrainingBatches(data, recipe, seed=0, device=device, current_epoch=lambda: 0)
    average = WeightAverage(model)
    optimizer = build_optimizer(model, recipe)
    value = torch.zeros(())
    for step, (images, labels) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(step, len(batches))
        value = loss(model(images), labels, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        if recipe.gradient_clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip_norm)
        optimizer.step()
        average.update(recipe.averaging_decay_at(step))
    average.swap()
    model.eval()
    with torch.no_grad():
        for images, labels in ValidationBatches(data, batch_size=2 * recipe.batch_size, device=device):
            loss(model(images), labels)
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
    data = load("digits")
    recipe = Recipe(mixed_precision=False)  # the loop above trains in single precision
    torch.manual_seed(0)
    original = build(
        options.model,
        num_classes=data.num_classes,
        in_channels=data.in_channels,
        stem_reduction=stem_reduction_for(data.resolution),
    )
    seconds: dict[str, list[float]] = {"Lightning": [], "bare": []}
    for pair in range(-1, options.pairs):  # the first pair warms up
        for kind in sorted(seconds, reverse=pair % 2 == 0):
            model = copy.deepcopy(original)
            started = time.perf_counter()
            if kind == "bare":
                bare_epoch(model, data, recipe, device)
            else:
                train(model, data, recipe, epochs=1, seed=0, device=device)
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
