"""One real comparison: Optuna's default sampler with full trainings, and osanas' default, on Fashion-MNIST.

Both search the space of OSA-bench with real trainings and measurements. The first command runs one of them (in two
terminals, both at once); the second prints the epochs that each took to the hypervolume that ``tpe`` ended with, and
retrains both fronts with another seed to compare them on the test images. All of it goes on where it stopped.

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m benchmarks.real_search search --method tpe --trials 60
    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m benchmarks.real_search search --method default --trials 60
    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m benchmarks.real_search compare
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import osanas
from benchmarks.osa_bench.train import BATCH_SIZE, EPOCHS, RESOLUTION, SPACE, TRAIN_SAMPLES, network, test_accuracy
from osanas.pareto import Direction, front, hypervolume
from osanas.study.config import StudyConfig
from osanas.study.recipe import Recipe
from osanas.study.records import Candidate
from osanas.tasks.classification.data import load
from osanas.tasks.classification.task import Classification
from osanas.training.trainer import train

METHODS = {"tpe": ("tpe", (EPOCHS,)), "default": ("known-cost", (1, 3, EPOCHS))}
DIRECTIONS: tuple[Direction, Direction] = ("maximize", "minimize")
RETRAINING_SEED = 1000
Steps = list[tuple[int, Candidate]]
"""Epochs trained by the whole search, and the candidate whose training ended then."""


def search(method: str, trials: int, folder: Path) -> None:
    """Runs a method, or goes on with it."""
    sampler, rungs = METHODS[method]
    config = StudyConfig(
        study=f"real-{method}",
        sampler=sampler,
        rungs=rungs,
        data="fashion_mnist",
        resolution=RESOLUTION,
        train_samples=TRAIN_SAMPLES,
        train_batch_size=BATCH_SIZE,
        objectives=("accuracy", "latency_ms"),
        device="cpu",
        energy="none",
        threads=1,
        confirm=0,
    )

    def say(candidate: Candidate) -> None:
        print(f"trial {candidate.trial}: {candidate.epochs} epochs, {candidate.accuracy}", flush=True)

    osanas.search(SPACE, trials, config=config, storage=_storage(folder), on_candidate=say)


def _storage(folder: Path) -> str:
    return f"sqlite:///{folder / 'real_search.db'}"


def steps(folder: Path, method: str) -> Steps:
    """The trainings of a search in their order; promotions cost the epochs they add."""
    done = [
        candidate
        for candidate in osanas.open_study(f"real-{method}", _storage(folder)).candidates()
        if candidate.status == "complete"
    ]
    epochs_of = {candidate.trial: candidate.epochs for candidate in done}
    spent, found = 0, []
    for candidate in done:
        spent += candidate.epochs - (0 if candidate.promoted_from is None else epochs_of[candidate.promoted_from])
        found.append((spent, candidate))
    return found


def _points(candidates: Sequence[Candidate]) -> list[tuple[float, float]]:
    return [(float(one.accuracy or 0.0), float(one.latency_ms or 0.0)) for one in candidates]


def fully_trained(found: Steps, spent: float = float("inf")) -> list[Candidate]:
    """Candidates trained in full within that many epochs."""
    return [candidate for at, candidate in found if candidate.epochs == EPOCHS and at <= spent]


def retrained(members: Sequence[Candidate], kept: Path) -> list[float]:
    """Test accuracies after training in full with another seed; those in the file are not trained again."""
    known: dict[str, float] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    data = load("fashion_mnist", resolution=RESOLUTION, train_samples=TRAIN_SAMPLES)
    for member in members:
        if member.digest not in known:
            model = network(member.architecture, RETRAINING_SEED)
            recipe = Recipe.of({"batch_size": BATCH_SIZE})
            train(model, Classification(data), recipe, epochs=EPOCHS, seed=RETRAINING_SEED, device=torch.device("cpu"))
            known[member.digest] = test_accuracy(model, data)
            kept.write_text(json.dumps(known), encoding="utf-8")
    return [known[member.digest] for member in members]


def compare(folder: Path) -> None:
    """Prints what each method needed and what its front is worth."""
    found = {method: steps(folder, method) for method in METHODS}
    everyone = [candidate for method in METHODS for candidate in fully_trained(found[method])]
    points = np.array(_points(everyone))
    reference = (float(np.quantile(points[:, 0], 0.05)), 1.1 * float(points[:, 1].max()))

    def volume(candidates: Sequence[Candidate]) -> float:
        return hypervolume(_points(candidates), DIRECTIONS, reference)

    target = volume(fully_trained(found["tpe"]))
    print(f"reference: accuracy {reference[0]:.4f}, {reference[1]:.4f} ms; target {target:.5f}")
    for method, of_method in found.items():
        total = of_method[-1][0]
        reached = next((at for at, _ in of_method if volume(fully_trained(of_method, at)) >= target), None)
        full = fully_trained(of_method)
        members = [full[index] for index in front(_points(full), DIRECTIONS)]
        accuracies = retrained(members, folder / "real_search_retrained.json")
        tested = [(accuracy, float(one.latency_ms or 0.0)) for accuracy, one in zip(accuracies, members, strict=True)]
        print(
            f"{method:<8} {len(full)} of {len({c.digest for _, c in of_method})} candidates trained in full, {total} "
            f"epochs; target reached after {reached} epochs; hypervolume {volume(full):.5f}, of its retrained front on "
            f"the test images {hypervolume(tested, DIRECTIONS, reference):.5f}"
        )
        for (accuracy, latency_ms), member in sorted(zip(tested, members, strict=True), key=lambda pair: pair[0][1]):
            print(f"    {latency_ms:.4f} ms  validation {member.accuracy:.4f}  retrained, test {accuracy:.4f}")


def main() -> None:
    """Runs one command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["search", "compare"])
    parser.add_argument("--method", choices=list(METHODS), default="default")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=Path(), help="where the database lies")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.action == "search":
        search(options.method, options.trials, options.folder)
    else:
        compare(options.folder)


if __name__ == "__main__":
    main()
