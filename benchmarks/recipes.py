r"""Which training recipe tells networks apart early and ends best, at equal epochs.

Every recipe trains the same members of a space (one of each of equal parts of the range of log multiply-adds) to the
last rung, some of them with a second seed. The table gives mean accuracy at each rung, the mean difference to the first
recipe with its standard error (paired by member and seed), seconds of processor time, and the rank correlation of each
rung with the full training of the other seed.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/recipes.py --data cluttered_digits --processes 2
    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/recipes.py --data fashion_mnist --resolution 14 \
        --train-samples 6000 --processes 2

Finished trainings are kept in the file of results; the same command goes on from there, and ``--table`` only prints.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from osanas.evaluation.network import build_network
from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.strategy.proposals import evenly_in_cost
from osanas.study.recipe import Recipe
from osanas.tasks.classification.data import load
from osanas.tasks.classification.task import Classification
from osanas.training.trainer import train

RUNGS = (2, 4, 8)
_SGD: dict[str, Any] = {"optimizer": "sgd", "batch_size": 32, "warmup_epochs": 1.0}
RECIPES: dict[str, dict[str, Any]] = {
    "sgd, averaged statistics": {**_SGD, "batch_norm_images": 0},
    "sgd": _SGD,
    "muon": {},
    "muon, batch 32": {"batch_size": 32},
    "muon, rate 0.02": {"learning_rate": 0.02},
    "muon, rate 0.1": {"learning_rate": 0.1},
}


@dataclass(frozen=True)
class Job:
    """One training; its fields are what its result is found by.

    Attributes:
        data: Data set.
        resolution: Side of the images in pixels; None is the data set's own.
        train_samples: Training images; None is all.
        digest: Of the network.
        seed: Of weights, order and augmentation.
        recipe: Changes to the default, as JSON with every field resolved.
        described: The data, as JSON.
    """

    data: str
    resolution: int | None
    train_samples: int | None
    digest: str
    seed: int
    recipe: str
    described: str

    def key(self) -> str:
        """The job as text."""
        return json.dumps(asdict(self), sort_keys=True)


@cache
def task_of(data: str, resolution: int | None, train_samples: int | None) -> Classification:
    """The data, once a process."""
    return Classification(load(data, resolution=resolution, train_samples=train_samples))


def members(at: SpaceAt, count: int, least: float, most: float) -> list[Architecture]:
    """One member of each of ``count`` equal parts of the range of log multiply-adds."""
    rng = random.Random(0)
    pairs = itertools.pairwise(np.geomspace(least, most, count + 1))
    return [member for lower, upper in pairs for member in evenly_in_cost(at, 1, rng, lower=lower, upper=upper)]


def spread(networks: Sequence[Architecture], count: int) -> list[Architecture]:
    """So many of them, evenly from the first to the last."""
    return [networks[index * len(networks) // count] for index in range(min(count, len(networks)))]


def training(job: Job, architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Validation accuracy after each epoch of a training from scratch, and its seconds of processor time."""
    torch.set_num_threads(1)
    task = task_of(job.data, job.resolution, job.train_samples)
    started = time.process_time()
    model = build_network(Architecture.from_dict(architecture), task=task, seed=job.seed)
    recipe = Recipe.of(json.loads(job.recipe))
    trained = train(model, task, recipe, epochs=RUNGS[-1], seed=job.seed, device=torch.device("cpu"))
    return {"seconds": time.process_time() - started, "accuracy": [point.score for point in trained.curve]}


def run(jobs: Mapping[Job, Architecture], results: Path, processes: int) -> dict[str, dict[str, Any]]:
    """Trains what the file of results lacks; every training in it by its job's key."""
    done: dict[str, dict[str, Any]] = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    wanted = {job: architecture for job, architecture in jobs.items() if job.key() not in done}
    with ProcessPoolExecutor(processes) as pool:
        running = {pool.submit(training, job, network.to_dict()): job for job, network in wanted.items()}
        for number, future in enumerate(as_completed(running), start=1):
            job = running[future]
            done[job.key()] = future.result()
            partial = results.with_suffix(".part")
            partial.write_text(json.dumps(done, indent=0, sort_keys=True), encoding="utf-8")
            partial.replace(results)
            print(f"{number} of {len(wanted)}: {future.result()['accuracy'][-1]:.3f} for {job.key()}", file=sys.stderr)
    return done


def table(trained: Mapping[str, Mapping[tuple[str, int], dict[str, Any]]]) -> str:
    """A row for every recipe.

    Args:
        trained: By recipe, then by digest and seed.
    """
    first = next(iter(trained.values()))
    rungs = [f"{rung} epochs" for rung in RUNGS]
    header = ["recipe", "trainings", *rungs, *(f"{rung}: to the first" for rung in rungs), "CPU s"]
    header += [f"{rung}: rank" for rung in rungs]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for name, rows in trained.items():
        cells = [name, str(len(rows))]
        cells += [f"{statistics.fmean(row['accuracy'][rung - 1] for row in rows.values()):.3f}" for rung in RUNGS]
        for rung in RUNGS:
            pairs = [(row["accuracy"][rung - 1], first[key]["accuracy"][rung - 1]) for key, row in rows.items()]
            cells.append("" if rows is first else _difference([ours - base for ours, base in pairs]))
        cells.append(f"{statistics.fmean(row['seconds'] for row in rows.values()):.1f}")
        cells += [_rank(rows, rung) for rung in RUNGS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _difference(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:+.3f}"
    return f"{statistics.fmean(values):+.3f} ± {statistics.stdev(values) / math.sqrt(len(values)):.3f}"


def _rank(rows: Mapping[tuple[str, int], dict[str, Any]], rung: int) -> str:
    """Spearman of a rung with the other seed's full training, over both directions."""
    pairs = [
        (row["accuracy"][rung - 1], rows[digest, 1 - seed]["accuracy"][-1])
        for (digest, seed), row in rows.items()
        if (digest, 1 - seed) in rows
    ]
    return f"{float(spearmanr(*zip(*pairs, strict=True)).statistic):.2f}" if len(pairs) > 4 else ""


def main() -> None:
    """Trains what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="vovnet_slim")
    parser.add_argument("--data", default="cluttered_digits")
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--train-samples", type=int)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--least", type=float, default=3e5, help="multiply-adds of the cheapest member")
    parser.add_argument("--most", type=float, default=3e6, help="multiply-adds of the most expensive one")
    parser.add_argument("--second-seeds", type=int, default=16, help="members that are trained with a second seed")
    parser.add_argument("--recipe", action="append", choices=list(RECIPES), help="only these; may be repeated")
    parser.add_argument("--change", action="append", default=[], help="one more: changes to the default, as JSON")
    parser.add_argument("--results", type=Path, default=Path("recipes.json"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="print what is there, and train nothing")
    options = parser.parse_args()
    data = (options.data, options.resolution, options.train_samples)
    at = SpaceAt(SearchSpace.load(options.space), task_of(*data).shape)
    described = json.dumps(task_of(*data).data.describe(), sort_keys=True)
    networks = members(at, options.members, options.least, options.most)
    recipes = {name: RECIPES[name] for name in options.recipe or RECIPES}
    recipes |= {f"muon, {change}": json.loads(change) for change in options.change}
    jobs: dict[Job, tuple[str, Architecture]] = {}
    for seed, some in enumerate((networks, spread(networks, options.second_seeds))):
        for network, (name, changes) in itertools.product(some, recipes.items()):
            resolved = json.dumps(Recipe.of(changes).model_dump(mode="json"), sort_keys=True)
            jobs[Job(*data, network.digest, seed, resolved, described)] = (name, network)
    wanted = {} if options.table else {job: network for job, (_, network) in jobs.items()}
    done = run(wanted, options.results, options.processes)
    trained: dict[str, dict[tuple[str, int], dict[str, Any]]] = {name: {} for name in recipes}
    for job, (name, _) in jobs.items():
        if job.key() in done:
            trained[name][job.digest, job.seed] = done[job.key()]
    common = set.intersection(*(set(rows) for rows in trained.values()))  # pairs only
    print(table({name: {key: rows[key] for key in common} for name, rows in trained.items()}))


if __name__ == "__main__":
    main()
