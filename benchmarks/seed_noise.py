"""How far two candidates of a front must differ before the difference is more than the noise between seeds.

Trains random members of a space with two seeds each (initial weights, order, augmentation) and compares the standard
deviation between candidates with that between seeds.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/seed_noise.py --space vovnet --candidates 20
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Sequence

import torch

from osanas.evaluation.network import build_network
from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace
from osanas.study.recipe import Recipe
from osanas.tasks.classification.data import load
from osanas.tasks.classification.task import Classification
from osanas.training.trainer import train

SEEDS = 2


def accuracy(architecture: Architecture, task: Classification, recipe: Recipe, *, epochs: int, seed: int) -> float:
    """Validation accuracy of an architecture trained from scratch."""
    model = build_network(architecture, task=task, seed=seed)
    return train(model, task, recipe, epochs=epochs, seed=seed, device=torch.device("cpu")).score


def deviations(accuracies: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Standard deviation between candidates and between seeds of one, from one-way analysis of variance.

    Candidates' means spread by the noise of their seeds as well, which is taken out of the first.
    """
    within = statistics.fmean(statistics.variance(values) for values in accuracies)
    between = statistics.variance([statistics.fmean(values) for values in accuracies]) - within / len(accuracies[0])
    return math.sqrt(max(0.0, between)), math.sqrt(within)


def main() -> None:
    """Prints each candidate and what the figures come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="vovnet")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--train-samples", type=int)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="leave out that many candidates")
    parser.add_argument("--recipe", type=json.loads, default={}, help="changes to the recipe, as JSON")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe = Recipe.of(options.recipe)
    task = Classification(load(options.data, resolution=options.resolution, train_samples=options.train_samples))
    space, generator = SearchSpace.load(options.space), random.Random(0)
    candidates = [space.sample(generator) for _ in range(options.first + options.candidates)][options.first :]
    table: list[list[float]] = []
    for number, candidate in enumerate(candidates, start=options.first):
        started = time.perf_counter()
        row = [accuracy(candidate, task, recipe, epochs=options.epochs, seed=seed) for seed in range(SEEDS)]
        seconds = (time.perf_counter() - started) / SEEDS
        table.append(row)
        cost = task.shape.costs(candidate).multiply_adds / 1e6
        print(
            f"{number:3}  {cost:6.1f} M multiply-adds  {seconds:5.1f} s ",
            *(f"{value:.3f}" for value in row),
            flush=True,
        )
    between, within = deviations(table)
    best = max(statistics.fmean(row) for row in table)
    print(
        f"best mean accuracy {best:.3f}; standard deviation between candidates {between:.4f}, "
        f"between seeds {within:.4f}"
    )
    print(f"ratio {between / within if within else math.inf:.1f}")
    # two single accuracies differ by more than this in one of twenty repetitions of equal candidates
    print(f"a difference of more than {1.96 * math.sqrt(2) * within:.3f} on a front exceeds seed noise (95 %)")


if __name__ == "__main__":
    main()
