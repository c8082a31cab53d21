"""Trains random members of this folder's space on Fashion-MNIST, once each, and measures them: the rows of OSA-bench.

Every epoch is logged, and training may end after any of them (the recipe's schedule is anytime-valid), so a row answers
for every fidelity up to the last. The first members are trained with a second seed too, which gives the noise between
seeds. The first command goes on where it stopped, and two processes share its work; the second takes minutes:

    OMP_WAIT_POLICY=PASSIVE python benchmarks/osa_bench/train.py train --processes 2
    OMP_WAIT_POLICY=PASSIVE python benchmarks/osa_bench/train.py measure
"""

from __future__ import annotations

import argparse
import csv
import gc
import itertools
import multiprocessing
import os
import random
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from filelock import FileLock

from osanas.errors import Unavailable
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.measure.network import measure
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.rounds import interleaved, per_round
from osanas.models.build import build
from osanas.models.heads import Classifier
from osanas.study.recipe import Recipe
from osanas.tasks.classification.data import ClassificationData, load
from osanas.tasks.classification.task import Classification
from osanas.training.trainer import train

FOLDER = Path(__file__).parent
SPACE = FOLDER / "space.yaml"
TRAININGS = FOLDER / "trainings.csv"
LATENCIES = FOLDER / "latencies.csv"

EPOCHS = 9
RESOLUTION = 14
TRAIN_SAMPLES = 4000
BATCH_SIZE = 64
MEMBERS = 400
SECOND_SEEDS = 24
ROUNDS = 4
RECIPE = {
    "batch_size": BATCH_SIZE,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "warmup_epochs": 1.0,
    "batch_norm_images": 0,
}
"""The one that the rows here were trained by; rows of two recipes would not compare."""
CPU = torch.device("cpu")

_EPOCH_COLUMNS = [f"{name}_{epoch}" for name in ("val_accuracy", "train_loss") for epoch in range(1, EPOCHS + 1)]
TRAINING_COLUMNS = ["member", "seed", "indices", *_EPOCH_COLUMNS, "test_accuracy", "seconds"]
LATENCY_COLUMNS = ["member", "latency_ms", "median_of_rounds_ms"]


def members(space: SearchSpace) -> Iterator[tuple[int, dict[str, int], Architecture]]:
    """Distinct random members without end: number, index of each dimension's value, architecture."""
    rng, seen, at = random.Random(0), set(), SpaceAt(space, NetworkShape.of(RESOLUTION, 1, 10))
    for number in itertools.count():
        architecture = space.sample(rng)
        while at.canonical(architecture).digest in seen:
            architecture = space.sample(rng)
        seen.add(at.canonical(architecture).digest)
        yield number, at.encode(architecture), architecture


def network(architecture: Architecture, seed: int) -> Classifier:
    """The network with the seed's initial weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(architecture, num_classes=10, in_channels=1, stem_reduction=1)


def append(path: Path, columns: Sequence[str], row: Sequence[object]) -> None:
    """Adds a row, one process at a time."""
    with FileLock(path.with_suffix(".lock")):
        is_new = not path.exists()
        with path.open("a", newline="", encoding="ascii") as file:
            writer = csv.writer(file, lineterminator="\n")
            if is_new:
                writer.writerow(columns)
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())


def done(path: Path, *keys: str) -> set[tuple[int, ...]]:
    """Keys of the rows that are there."""
    if not path.exists():
        return set()
    with path.open(newline="", encoding="ascii") as file:
        return {tuple(int(row[key]) for key in keys) for row in csv.DictReader(file)}


@torch.inference_mode()
def test_accuracy(model: Classifier, data: ClassificationData) -> float:
    """Top-1 on the test images, which training does not see."""
    everything = torch.split(torch.arange(len(data.test)), 1000)
    correct = 0
    for images, labels in data.test.batches(everything):
        correct += int((model(data.normalise(images)).argmax(1) == labels).sum())
    return correct / len(data.test)


def train_share(rank: int, processes: int, count: int) -> None:
    """Trains every ``processes``-th of what is missing."""
    torch.set_num_threads(1)
    data = load("fashion_mnist", resolution=RESOLUTION, train_samples=TRAIN_SAMPLES)
    recipe = Recipe.of(RECIPE)
    everyone = list(itertools.islice(members(SearchSpace.load(SPACE)), count))
    wanted = [(member, seed) for seed in (0, 1) for member in everyone if seed == 0 or member[0] < SECOND_SEEDS]
    for (number, indices, architecture), seed in wanted[rank::processes]:
        if (number, seed) in done(TRAININGS, "member", "seed"):
            continue
        model = network(architecture, seed)
        result = train(model, Classification(data), recipe, epochs=EPOCHS, seed=seed, device=CPU)
        accuracies = [f"{point.score:.4f}" for point in result.curve]
        losses = [f"{point.train_loss:.4f}" for point in result.curve]
        test = f"{test_accuracy(model, data):.4f}"
        encoded = " ".join(str(indices[name]) for name in indices)
        append(
            TRAININGS, TRAINING_COLUMNS, [number, seed, encoded, *accuracies, *losses, test, f"{result.seconds:.1f}"]
        )
        print(f"member {number}, seed {seed}: {accuracies[-1]} in {result.seconds:.0f} s", flush=True)


def measure_all(count: int) -> None:
    """Latency of every member on this CPU with one thread, in rounds of random order.

    The table stands for a quiet device: a member's latency is the median of its fastest round.
    """
    torch.set_num_threads(1)
    everyone = list(itertools.islice(members(SearchSpace.load(SPACE)), count))
    networks = [network(architecture, 0) for _, _, architecture in everyone]
    gc.freeze()  # each measurement collects garbage, and these networks are none
    protocol = MeasurementProtocol.for_search(threads=1).model_copy(update={"rounds": ROUNDS})
    turn = per_round(protocol)
    medians_ms: list[list[float]] = [[] for _ in everyone]
    for number, order in enumerate(interleaved(count, ROUNDS, seed=0), start=1):
        for index in order:
            found = measure(networks[index], (1, RESOLUTION, RESOLUTION), CPU, turn, Unavailable("not asked"))
            medians_ms[index].append(found.latency_ms)
        print(f"round {number} of {ROUNDS}", flush=True)
    with LATENCIES.open("w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LATENCY_COLUMNS)
        for (number, _, _), rounds in zip(everyone, medians_ms, strict=True):
            writer.writerow([number, f"{min(rounds):.5f}", f"{statistics.median(rounds):.5f}"])


def main() -> None:
    """Runs what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["train", "measure"])
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    if options.action == "measure":
        measure_all(options.members)
        return
    context = multiprocessing.get_context("spawn")
    shares = [
        context.Process(target=train_share, args=(rank, options.processes, options.members))
        for rank in range(options.processes)
    ]
    for share in shares:
        share.start()
    for share in shares:
        share.join()


if __name__ == "__main__":
    main()
