"""How many epochs of training each way of searching needs on OSA-bench, and how good the networks are that it finds.

The target is the hypervolume that Optuna's default multi-objective sampler (``tpe``) has after ``--trials`` full
trainings: the median over the seeds, one number for every method and seed. For each method the table gives the epochs
trained until the target was first reached (a run that never got there counts as infinitely many).

A search sees validation accuracies, which are chosen for being high. What its user gets is told by the second table:
the members of the front after a tenth of the budget and after all of it, trained in full with another seed, by their
accuracy on the test images.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.search_efficiency --seeds 10 --processes 2 --json runs.json

Methods that fit models before each decision stop at 15 % of the budget, since deciding would take hours beyond it.
Runs that the file already holds are not repeated, so the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.osa_bench.bench import EPOCHS, FOLDER, OsaBench
from benchmarks.osa_bench.replay import DIRECTIONS, METHODS, Method, Trace, replay
from osanas.errors import OsanasError, UsageError
from osanas.pareto import hypervolume

BASELINE: Method = "tpe"
SHARES = (0.1, 0.15, 1.0)
"""Of the budget, at which the fronts are retrained and tested."""
SLOW: dict[Method, float] = dict.fromkeys(("gp", "ladder", "known-cost", "default"), 0.15)
"""Share of the budget at which methods stop that take long to decide."""
RETRAINING = 1000
"""Added to a search's seed, it is the seed of the retraining."""
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        hypervolumes: Epochs trained, and the hypervolume on validation images, after each full training.
        share: Of the budget that it used.
        tested: Hypervolume of the retrained front on test images, at each of ``SHARES`` that it reached.
        seconds: Wall time of deciding.
    """

    method: Method
    seed: int
    share: float
    hypervolumes: list[tuple[int, float]]
    tested: list[float]
    duplicates: int
    seconds: float

    def hypervolume(self, spent: float) -> float:
        """On validation images, when that many epochs were trained."""
        return max((volume for at, volume in self.hypervolumes if at <= spent), default=0.0)

    def epochs_to(self, target: float) -> float:
        """Epochs trained when the hypervolume first was at least that; infinite if it never was."""
        return next((float(at) for at, volume in self.hypervolumes if volume >= target), float("inf"))


@dataclass(frozen=True)
class Setting:
    """What runs must have in common to be compared."""

    table: str
    reference: tuple[float, float]
    budget_epochs: int


def tested(trace: Trace, bench: OsaBench, spent: float) -> float:
    """Hypervolume of the front after so many epochs, its members retrained, by test accuracy."""
    members = trace.front(int(spent))
    accuracies = bench.test_accuracies([one.architecture for one in members], trace.seed + RETRAINING)
    points = [(float(accuracy), one.latency_ms) for accuracy, one in zip(accuracies, members, strict=True)]
    return hypervolume(points, DIRECTIONS, bench.reference)


def run(method: Method, seed: int, budget_epochs: int, folder: Path) -> Run:
    """Searches once, on one thread."""
    bench, most = _bench(folder), SLOW.get(method, 1.0)
    with threadpool_limits(1):  # processes side by side
        trace = replay(method, bench, seed=seed, budget_epochs=round(most * budget_epochs))
    results = [tested(trace, bench, share * budget_epochs) for share in SHARES if share <= most]
    return Run(method, seed, most, trace.hypervolumes(), results, trace.duplicates, trace.seconds)


@cache
def _bench(folder: Path) -> OsaBench:
    return OsaBench.load(folder)


def read_runs(path: Path | None, setting: Setting) -> list[Run]:
    """The runs in a file.

    Raises:
        UsageError: They are of another table or budget.
    """
    if path is None or not path.exists():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["setting"] != json.loads(json.dumps(asdict(setting))):
        raise UsageError(
            f"{path} holds runs of another table or budget: {document['setting']}.", "Name another file with --json."
        )
    return [
        Run(**{**found, "hypervolumes": [(at, volume) for at, volume in found["hypervolumes"]]})
        for found in document["runs"]
    ]


def write_runs(path: Path, setting: Setting, runs: Sequence[Run]) -> None:
    """Replaces the file, so that a crash leaves the old or the new one."""
    ordered = sorted(runs, key=lambda one: (METHODS.index(one.method), one.seed))
    document = {"setting": asdict(setting), "runs": [asdict(one) for one in ordered]}
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps(document), encoding="utf-8")
    fresh.replace(path)


def run_missing(
    wanted: Sequence[tuple[Method, int]], budget_epochs: int, folder: Path, processes: int
) -> Iterator[Run]:
    """Runs searches side by side; in the order in which they end."""
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, *one, budget_epochs, folder) for one in wanted]):
            yield future.result()


def target_of(runs: Sequence[Run], budget_epochs: int) -> float:
    """The median over the seeds of the baseline's last hypervolume."""
    return float(np.median([one.hypervolume(budget_epochs) for one in runs if one.method == BASELINE]))


def quartiles(values: Sequence[float]) -> list[float]:
    """Lower quartile, median and upper quartile, each of them one of the values; infinite ones are allowed."""
    return [float(value) for value in np.quantile(values, QUARTILES, method="higher")]


def efficiency_table(runs: Sequence[Run], budget_epochs: int) -> str:
    """Epochs to the target, a line a method."""
    target = target_of(runs, budget_epochs)
    lines = [
        f"Epochs trained to reach {target:.5f}, the hypervolume of {BASELINE} after {budget_epochs} epochs",
        f"{'method':<11} {'median':>7} {'quartiles':>15} {'reached':>8} {'cheaper':>8} {'deciding':>9}",
    ]
    for method, of_method in _by_method(runs):
        epochs = [one.epochs_to(target) for one in of_method]
        lower, median, upper = quartiles(epochs)
        reached = f"{sum(np.isfinite(epochs))}/{len(epochs)}"
        factor = f"{budget_epochs / median:.1f}x" if np.isfinite(median) else "-"
        spread = f"{_shown(lower)} to {_shown(upper)}"
        seconds = float(np.median([one.seconds for one in of_method]))
        lines.append(f"{method:<11} {_shown(median):>7} {spread:>15} {reached:>8} {factor:>8} {seconds:>7.0f} s")
    return "\n".join(lines)


def network_table(runs: Sequence[Run], budget_epochs: int) -> str:
    """Hypervolumes by validation and by test accuracy at both shares of the budget, against the baseline's last."""
    baseline = [one for one in runs if one.method == BASELINE]
    valid_unit = target_of(runs, budget_epochs)
    test_unit = float(np.median([one.tested[-1] for one in baseline]))
    heads = [f"{name} at {round(share * budget_epochs)}" for share in SHARES for name in ("validation", "test")]
    lines = [
        f"Hypervolume of the fronts, {BASELINE} after {budget_epochs} epochs = 100 %, median (quartiles)",
        f"{'method':<11} " + " ".join(f"{head:>22}" for head in heads),
    ]
    for method, of_method in _by_method(runs):
        cells: list[list[float]] = []
        for place, share in enumerate(SHARES):
            if share > of_method[0].share:
                cells += [[], []]
                continue
            cells.append([100 * one.hypervolume(share * budget_epochs) / valid_unit for one in of_method])
            cells.append([100 * one.tested[place] / test_unit for one in of_method])
        lines.append(f"{method:<11} " + " ".join(f"{_percents(cell):>22}" for cell in cells))
    return "\n".join(lines)


def draw(runs: Sequence[Run], budget_epochs: int, path: Path) -> None:
    """Hypervolume against epochs trained: the median of each method, and a band between its quartiles.

    Raises:
        UsageError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("The figure needs matplotlib.", "pip install matplotlib") from None
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for method, of_method in _by_method(runs):
        grid = np.arange(1, round(of_method[0].share * budget_epochs) + 1)
        curves = [[one.hypervolume(float(spent)) for spent in grid] for one in of_method]
        lower, median, upper = np.quantile(curves, QUARTILES, axis=0)
        line = axes.plot(grid, median, label=method)[0]
        axes.fill_between(grid, lower, upper, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.axhline(target_of(runs, budget_epochs), color="grey", linestyle=":")
    axes.set_xscale("log")
    axes.set_xlim(EPOCHS, budget_epochs)
    axes.set_xlabel("epochs trained")
    axes.set_ylabel("hypervolume (validation accuracy x ms)")
    axes.legend(loc="lower right")
    figure.savefig(path)


def _by_method(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    grouped = [(method, [one for one in runs if one.method == method]) for method in METHODS]
    return [(method, found) for method, found in grouped if found]


def _shown(epochs: float) -> str:
    return f"{epochs:.0f}" if np.isfinite(epochs) else "never"


def _percents(values: Sequence[float]) -> str:
    if not values:
        return "-"
    lower, median, upper = np.quantile(values, QUARTILES)
    return f"{median:.1f} ({lower:.1f} to {upper:.1f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is missing and prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=200, help="full trainings that the budget pays")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where the runs are kept")
    parser.add_argument("--figure", type=Path, help="where to draw, such as efficiency.svg")
    parser.add_argument("--table", type=Path, default=FOLDER, help="folder of another table of the bench's space")
    options = parser.parse_args(arguments)
    budget = options.trials * EPOCHS
    bench = _bench(options.table)
    setting = Setting(bench.table.fingerprint, bench.reference, budget)
    chosen = [method for method in METHODS if method in {*options.methods, BASELINE}]
    kept = read_runs(options.json, setting)
    done = {(one.method, one.seed) for one in kept}
    wanted = [(method, seed) for seed in range(options.seeds) for method in chosen if (method, seed) not in done]
    for one in run_missing(wanted, budget, options.table, options.processes):
        kept.append(one)
        print(f"{one.method}, seed {one.seed}: {one.hypervolume(budget):.5f} in {one.seconds:.0f} s", file=sys.stderr)
        if options.json is not None:
            write_runs(options.json, setting, kept)
    shown = [one for one in kept if one.method in chosen and one.seed < options.seeds]
    print(efficiency_table(shown, budget), network_table(shown, budget), sep="\n\n")
    if options.figure is not None:
        draw(shown, budget, options.figure)
        print(f"\nDrawn: {options.figure}")


if __name__ == "__main__":
    try:
        main()
    except OsanasError as error:
        sys.exit(str(error))
