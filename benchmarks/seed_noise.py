"""How far networks differ beyond the noise of their training, and what a data set rewards.

Trains members of a space, drawn evenly in log multiply-adds, in full with two seeds each (initial weights, order,
augmentation), and prints a table: each member, the spread between candidates against that between seeds, what
is left of it once cost is accounted for, what the first rung foretells, and what goes with accuracy.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/seed_noise.py --processes 2 --results seed_noise.json

Finished trainings are kept in the file of results; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from osanas.evaluation.network import build_network
from osanas.genotype.architecture import STAGE_NAMES, Architecture
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.strategy.proposals import evenly_in_cost
from osanas.study.recipe import Recipe
from osanas.tasks.classification.data import load
from osanas.tasks.classification.task import Classification
from osanas.training.trainer import train

SEEDS = (0, 1)
Table = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What is trained on; hashable, so that a process loads it once."""

    data: str
    resolution: int | None
    train_samples: int | None
    recipe: str
    """Changes to the recipe, as JSON."""

    def recipe_of(self) -> Recipe:
        """How networks are trained."""
        return Recipe.of(json.loads(self.recipe))

    @cache  # noqa: B019 - lives as long as its process
    def task(self) -> Classification:
        """The data."""
        return Classification(load(self.data, resolution=self.resolution, train_samples=self.train_samples))


def members(at: SpaceAt, count: int, most_multiply_adds: float) -> list[Architecture]:
    """One member of each of ``count`` equal parts of the range of log cost, from the cheapest member up."""
    rng = random.Random(0)
    bounds = np.geomspace(at.costs(at.canonical(at.space.smallest())).multiply_adds, most_multiply_adds, count + 1)
    found = []
    for lower, upper in itertools.pairwise(bounds):
        found += evenly_in_cost(at, 1, rng, lower=lower, upper=upper)
    return sorted(found, key=lambda member: at.costs(member).multiply_adds)


def training(setting: Setting, architecture: dict[str, Any], epochs: int, seed: int) -> dict[str, Any]:
    """Validation accuracy after each epoch of a training from scratch, and its seconds of processor time."""
    torch.set_num_threads(1)
    task = setting.task()
    started = time.process_time()
    model = build_network(Architecture.from_dict(architecture), task=task, seed=seed)
    trained = train(model, task, setting.recipe_of(), epochs=epochs, seed=seed, device=torch.device("cpu"))
    return {"seconds": time.process_time() - started, "accuracy": [point.score for point in trained.curve]}


def run(
    setting: Setting, networks: Sequence[Architecture], epochs: int, results: Path, processes: int
) -> dict[str, dict[str, Any]]:
    """Trains what the file of results lacks; every training by its network's digest and seed.

    Raises:
        SystemExit: The file is of other data, another recipe or other epochs.
    """
    identity = {"epochs": epochs, "recipe": setting.recipe_of().model_dump(mode="json")}
    identity |= setting.task().describe(setting.recipe_of())
    document: dict[str, Any] = {"identity": identity, "trainings": {}}
    if results.exists():
        document = json.loads(results.read_text(encoding="utf-8"))
        if document["identity"] != json.loads(json.dumps(identity)):
            raise SystemExit(f"{results} is of other data, another recipe or other epochs. Name another file.")
    done: dict[str, dict[str, Any]] = document["trainings"]
    wanted = [(network, seed) for network in networks for seed in SEEDS if f"{network.digest} {seed}" not in done]
    with ProcessPoolExecutor(processes) as pool:
        running = {
            pool.submit(training, setting, network.to_dict(), epochs, seed): (network, seed) for network, seed in wanted
        }
        for future in as_completed(running):
            network, seed = running[future]
            done[f"{network.digest} {seed}"] = future.result()
            partial = results.with_suffix(".part")
            partial.write_text(json.dumps(document, indent=1), encoding="utf-8")
            partial.replace(results)
            print(f"{len(done)} trainings, {future.result()['accuracy'][-1]:.3f}  {network}", file=sys.stderr)
    return done


def deviations(accuracies: Table, free: int = 1) -> tuple[float, float]:
    """Standard deviation between candidates and between seeds of one, from one-way analysis of variance.

    Candidates' means spread by the noise of their seeds as well, which is taken out of the first.

    Args:
        accuracies: ``[candidates, seeds]``; what a fit explains may be taken out of it.
        free: Figures fitted: 1 is the mean alone.
    """
    within = float(accuracies.var(1, ddof=1).mean())
    means = accuracies.mean(1)
    between = float(((means - means.mean()) ** 2).sum() / (len(means) - free)) - within / accuracies.shape[1]
    return math.sqrt(max(0.0, between)), math.sqrt(within)


def without_cost(accuracies: Table, log_costs: Table, degree: int) -> Table:
    """Accuracies less a polynomial in log cost that is fitted to them."""
    curve = np.polynomial.Polynomial.fit(log_costs, accuracies.mean(1), degree)
    return accuracies - curve(log_costs)[:, None]


def foretold(early: Table, late: Table) -> float:
    """Rank correlation of early accuracies with the late ones of the other seed, ``[candidates, 2]`` each."""
    return float(np.mean([_rank_correlation(early[:, seed], late[:, 1 - seed]) for seed in range(2)]))


def features(at: SpaceAt, network: Architecture) -> dict[str, float]:
    """What accuracy may go with."""
    costs = at.costs(network)
    found = {"log multiply-adds": math.log(costs.multiply_adds), "log parameters": math.log(costs.parameters)}
    found |= {"stem width": sum(math.log(width) for width in network.stem.channels)}
    for name, stage in zip(STAGE_NAMES, network.stages, strict=True):
        found[f"{name} layers in all"] = stage.modules * stage.layers
        found[f"{name} layers a module"] = stage.layers
        found[f"{name} width of layers"] = stage.conv_channels
        found[f"{name} width of output"] = stage.out_channels
    return found


def report(at: SpaceAt, networks: Sequence[Architecture], done: dict[str, dict[str, Any]], first_rung: int) -> None:
    """Prints the table and what it comes to."""
    rows = [[done[f"{network.digest} {seed}"] for seed in SEEDS] for network in networks]
    early = np.array([[one["accuracy"][first_rung - 1] for one in row] for row in rows])
    late = np.array([[one["accuracy"][-1] for one in row] for row in rows])
    epochs = len(rows[0][0]["accuracy"])
    print(f"| network | M multiply-adds | CPU s | {first_rung} epochs | {epochs} epochs |")
    print("|---|---|---|---|---|")
    for network, row, first, last in zip(networks, rows, early, late, strict=True):
        seconds = np.mean([one["seconds"] for one in row])
        words = (" ".join(f"{value:.3f}" for value in values) for values in (first, last))
        print(f"| `{network}` | {at.costs(network).multiply_adds / 1e6:.2f} | {seconds:.0f} | {' | '.join(words)} |")
    log_costs = np.log([at.costs(network).multiply_adds for network in networks])
    print()
    for name, degree in (("as they are", 0), ("less a line in log cost", 1), ("less a parabola in log cost", 2)):
        between, within = deviations(without_cost(late, log_costs, degree), degree + 1)
        ratio = between / within if within else math.inf
        print(f"spread {name}: {between:.4f} between candidates, {within:.4f} between seeds, ratio {ratio:.1f}")
    _, early_within = deviations(early)
    print(f"between seeds after {first_rung} epochs: {early_within:.4f}")
    print(f"rank correlation with full training of the other seed: first rung {foretold(early, late):.2f}, ", end="")
    print(f"full training {foretold(late, late):.2f}")
    print(
        f"a difference of more than {1.96 * math.sqrt(2) * within:.3f} between two single trainings exceeds seed noise"
    )
    left = without_cost(late, log_costs, 2).mean(1)
    print("\n| rank correlation with | accuracy | what a parabola in log cost leaves of it |\n|---|---|---|")
    described = [features(at, network) for network in networks]
    for name in described[0]:
        values = np.array([each[name] for each in described])
        print(f"| {name} | {_rank_correlation(values, late.mean(1)):+.2f} | {_rank_correlation(values, left):+.2f} |")


def main() -> None:
    """Trains and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="vovnet")
    parser.add_argument("--data", default="cluttered_digits")
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--train-samples", type=int)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--first-rung", type=int, default=2, help="epochs")
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--most-multiply-adds", type=float, default=12e6, help="of the dearest candidate")
    parser.add_argument("--recipe", default="{}", help="changes to the recipe, as JSON")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--results", type=Path, default=Path("seed_noise.json"), help="finished trainings")
    options = parser.parse_args()
    setting = Setting(options.data, options.resolution, options.train_samples, options.recipe)
    at = SpaceAt(SearchSpace.load(options.space), setting.task().shape)
    networks = members(at, options.candidates, options.most_multiply_adds)
    done = run(setting, networks, options.epochs, options.results, options.processes)
    report(at, networks, done, options.first_rung)


def _rank_correlation(first: Table, second: Table) -> float:
    return float(spearmanr(first, second).statistic)


if __name__ == "__main__":
    main()
