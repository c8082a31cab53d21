"""Real searches of equal wall time, each method with its own seeds, and their fronts retrained and tested.

Every search trains and measures networks on this machine: nothing is replayed or modelled. The first table gives
seconds of wall time until a search had 90, 95 and 99 % of the best known hypervolume: that of all fully trained
candidates of all searches on the same data, by validation accuracy and latency. The second judges what a user gets: the
front of each search, its members trained from scratch with two other seeds, by accuracy on the test images.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.real_search search --minutes 10 --processes 2
    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.real_search compare --processes 2

Both go on where they stopped: a search that was cut off is begun anew, as its seconds would not compare. Each process
has one thread. Optuna's samplers train each candidate in full; all methods get the space's starting points.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from osanas.evaluation.network import build_network
from osanas.genotype.architecture import Architecture
from osanas.pareto import Direction, front, hypervolume
from osanas.results.study import StudyView
from osanas.store.store import Store
from osanas.study.config import EPOCHS, StudyConfig
from osanas.study.recipe import Recipe
from osanas.study.records import Candidate
from osanas.tasks.choose import choose_task
from osanas.tasks.classification.task import Classification
from osanas.training.trainer import train

METHODS = ("known-cost", "tpe", "nsga2", "gp", "random")
DATA = {
    "cluttered_digits": (),
    "fashion_mnist": ("--resolution", "14", "--train-samples", "6000"),
}
DIRECTIONS: tuple[Direction, Direction] = ("maximize", "minimize")
SHARES = (0.9, 0.95, 0.99)
QUARTILES = (0.25, 0.5, 0.75)
RETRAINING_SEEDS = (1001, 1002)
TRIALS = 300
"""More than any search trains in its time; starting points come after a tenth of them."""


@dataclass(frozen=True)
class Run:
    """A search that was run to its end."""

    data: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        """Of its study, and of its file."""
        return f"{self.data}-{self.method}-{self.seed}"

    def database(self, folder: Path) -> Path:
        """Where its study is."""
        return folder / f"{self.name}.db"


def search(run: Run, space: str, minutes: float, folder: Path) -> None:
    """Runs a search for so long, in a process of its own; a run that has ended is not repeated."""
    ended, how = run.database(folder).with_suffix(".ended"), f"{space}, {minutes:g} minutes"
    if ended.exists():
        if ended.read_text(encoding="utf-8") != how:
            raise SystemExit(f"{ended} is of another space or time than {how}. Name another --folder.")
        return
    run.database(folder).unlink(missing_ok=True)
    work = folder / run.name
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    rungs = () if run.method == "known-cost" else ("--rungs", str(EPOCHS))
    subprocess.run(
        [
            *(sys.executable, "-m", "osanas.cli.main", "search", "--space", space, "--data", run.data),
            *DATA[run.data],
            *("--sampler", run.method, "--seed", str(run.seed), "--trials", str(TRIALS), *rungs),
            *("--timeout", str(60 * minutes), "--confirm", "0", "--workers", "1", "--threads", "1"),
            *("--objectives", "accuracy,latency_ms", "--energy", "none", "--study", run.name),
            *("--storage", f"sqlite:///{run.database(folder)}", "--device", "cpu"),
        ],
        cwd=work,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shutil.rmtree(work)
    ended.write_text(how, encoding="utf-8")


def full_trainings(run: Run, folder: Path) -> list[tuple[float, Candidate]]:
    """Seconds since the search began and each candidate whose full training ended then, in the order of time."""
    store = Store.open(f"sqlite:///{run.database(folder)}", create=False)
    with closing(store):
        view = StudyView(store, run.name)
        began = view.record.created_at
        found = [
            (one.finished_at - began, one)
            for one in view.evaluations()
            if one.is_complete and one.epochs == EPOCHS and one.repeat == 0 and one.finished_at is not None
        ]
    return sorted(found, key=lambda pair: pair[0])


def point(candidate: Candidate) -> tuple[float, float]:
    """Accuracy and latency in ms."""
    assert candidate.score is not None
    assert candidate.latency_ms is not None
    return candidate.score, candidate.latency_ms


def test_accuracy(architecture: Architecture, task: Classification, seed: int) -> float:
    """On the test images, after a full training from scratch."""
    torch.set_num_threads(1)
    model = build_network(architecture, seed, task=task)
    train(model, task, Recipe(), epochs=EPOCHS, seed=seed, device=torch.device("cpu"))
    data, correct = task.data, 0
    with torch.inference_mode():
        for images, labels in data.test.batches(torch.split(torch.arange(len(data.test)), 1000)):
            correct += int((model(data.normalise(images)).argmax(1) == labels).sum())
    return correct / len(data.test)


def retrain(data: str, document: dict[str, object], seed: int) -> float:
    """As ``test_accuracy``, from what a process can be sent."""
    names, values = DATA[data][::2], DATA[data][1::2]
    given = {name.removeprefix("--").replace("-", "_"): int(value) for name, value in zip(names, values, strict=True)}
    task = choose_task(StudyConfig.model_validate({"data": data, **given}))
    assert isinstance(task, Classification)
    return test_accuracy(Architecture.from_dict(document), task, seed)


def targets(runs: Sequence[Run], folder: Path) -> dict[str, tuple[tuple[float, float], float]]:
    """Of each data set, the reference point and the best known hypervolume.

    The reference is the lowest accuracy on the front of all searches together, less a tenth of its range, and 1.1 times
    the largest latency on it: a front is compared where fronts are.
    """
    found = {}
    for data in dict.fromkeys(run.data for run in runs):
        points = [point(one) for run in runs if run.data == data for _, one in full_trainings(run, folder)]
        best = [points[index] for index in front(points, DIRECTIONS)]
        scores, latencies = zip(*best, strict=True)
        reference = (min(scores) - 0.1 * (max(scores) - min(scores)), 1.1 * max(latencies))
        found[data] = reference, hypervolume(best, DIRECTIONS, reference)
    return found


def seconds_until(run: Run, folder: Path, reference: tuple[float, float], wanted: float) -> float:
    """Seconds until a search had a hypervolume; infinite if it never did."""
    points: list[tuple[float, float]] = []
    for seconds, one in full_trainings(run, folder):
        points.append(point(one))
        if hypervolume(points, DIRECTIONS, reference) >= wanted:
            return seconds
    return float("inf")


def tested_fronts(runs: Sequence[Run], folder: Path, processes: int) -> dict[Run, list[tuple[float, float]]]:
    """Test accuracy, the mean of two retrainings, and latency of each member of each front. Kept in a file."""
    path = folder / "retrained.json"
    known: dict[str, float] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    members: dict[Run, list[Candidate]] = {}
    for run in runs:
        trained = [one for _, one in full_trainings(run, folder)]
        members[run] = [trained[index] for index in front(list(map(point, trained)), DIRECTIONS)]
    missing = {
        f"{run.data} {one.digest} {seed}": (run.data, one.architecture.to_dict(), seed)
        for run, some in members.items()
        for one in some
        for seed in RETRAINING_SEEDS
        if f"{run.data} {one.digest} {seed}" not in known
    }
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for key, accuracy in zip(missing, pool.map(retrain, *zip(*missing.values(), strict=True)), strict=True):
            known[key] = accuracy
            path.write_text(json.dumps(known), encoding="utf-8")
            print(f"{key}: {accuracy:.4f}", file=sys.stderr)
    return {
        run: [
            (fmean(known[f"{run.data} {one.digest} {seed}"] for seed in RETRAINING_SEEDS), point(one)[1])
            for one in some
        ]
        for run, some in members.items()
    }


def compare(runs: Sequence[Run], folder: Path, processes: int) -> str:
    """Both tables in one, a line for each data set and method, in Markdown."""
    best = targets(runs, folder)
    tested = tested_fronts(runs, folder, processes)
    heads = [f"seconds to {round(100 * share)} %" for share in SHARES]
    lines = [
        f"| data | method | seeds | fully trained | {' | '.join(heads)} | end, % | front retrained, test, % |",
        "|---" * (len(heads) + 6) + "|",
    ]
    for data, (reference, whole) in best.items():
        volumes = {run: hypervolume(tested[run], DIRECTIONS, reference) for run in runs if run.data == data}
        for method in METHODS:
            some = [run for run in volumes if run.method == method]
            if not some:
                continue
            ends = [
                hypervolume([point(one) for _, one in full_trainings(run, folder)], DIRECTIONS, reference) / whole
                for run in some
            ]
            cells = [
                _seconds([seconds_until(run, folder, reference, share * whole) for run in some]) for share in SHARES
            ]
            cells += [_percent(ends), _percent([volumes[run] / max(volumes.values()) for run in some])]
            count = fmean(len(full_trainings(run, folder)) for run in some)
            lines.append(f"| {data} | {method} | {len(some)} | {count:.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(values: Sequence[float]) -> str:
    lower, middle, upper = (float(value) for value in np.quantile(values, QUARTILES, method="higher"))
    shown = [f"{value:,.0f}" if np.isfinite(value) else "never" for value in (middle, lower, upper)]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def _percent(values: Sequence[float]) -> str:
    lower, middle, upper = (100 * float(value) for value in np.quantile(values, QUARTILES))
    return f"{middle:.1f} ({lower:.1f} to {upper:.1f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is missing, or compares what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["search", "compare"])
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10.0, help="of each search")
    parser.add_argument("--space", default="vovnet_slim")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("real-search"))
    options = parser.parse_args(arguments)
    folder: Path = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    runs = [
        Run(data, method, seed) for seed in range(options.seeds) for data in options.data for method in options.methods
    ]
    if options.action == "compare":
        ended = [run for run in runs if run.database(folder).with_suffix(".ended").exists()]
        print(compare(ended, folder, options.processes))
        return
    with ThreadPoolExecutor(options.processes) as pool:
        for run, _ in zip(
            runs, pool.map(lambda run: search(run, options.space, options.minutes, folder), runs), strict=True
        ):
            print(f"{run.name}: {len(full_trainings(run, folder))} full trainings", file=sys.stderr)


if __name__ == "__main__":
    main()
