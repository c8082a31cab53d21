"""What each way of searching needs until it has found most of what there is, on networks that were really trained.

Searches are replayed on OSA-bench (400 networks, each trained for nine epochs on Fashion-MNIST): each chooses among the
rows that it has not seen. The table gives epochs and seconds of training until 90, 95 and 99 % of the hypervolume of
all rows were reached: median and quartiles over the seeds. A run that never got there counts as infinitely many.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.search_efficiency --seeds 20 --processes 2 --json runs.json

Runs that the file already holds are not repeated, so the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.osa_bench.bench import EPOCHS, FOLDER, Table
from benchmarks.osa_bench.replay import METHODS, Method, Step, Trace, replay
from osanas.errors import OsanasError, UsageError

SHARES = (0.9, 0.95, 0.99)
QUARTILES = (0.25, 0.5, 0.75)
MOST_FULL_TRAININGS = 60
"""Of a method that fits a model before each decision and has no ladder; beyond them deciding takes hours."""
SLOW: tuple[Method, ...] = ("gp",)


def run(method: Method, seed: int, folder: Path) -> Trace:
    """Searches once, on one thread."""
    with threadpool_limits(1):  # processes side by side
        most = MOST_FULL_TRAININGS * EPOCHS if method in SLOW else None
        return replay(method, _table(folder), seed=seed, share=SHARES[-1], most_epochs=most)


@cache
def _table(folder: Path) -> Table:
    return Table.load(folder)


def read_runs(path: Path | None, fingerprint: str) -> list[Trace]:
    """The runs in a file.

    Raises:
        UsageError: They are of another table.
    """
    if path is None or not path.exists():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["table"] != fingerprint:
        raise UsageError(f"{path} holds runs of another table.", "Name another file with --json.")
    return [Trace(**{**found, "steps": tuple(Step(**step) for step in found["steps"])}) for found in document["runs"]]


def write_runs(path: Path, fingerprint: str, runs: Sequence[Trace]) -> None:
    """Replaces the file, so that a crash leaves the old or the new one."""
    ordered = sorted(runs, key=lambda one: (METHODS.index(one.method), one.seed))
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps({"table": fingerprint, "runs": [asdict(one) for one in ordered]}), encoding="utf-8")
    fresh.replace(path)


def run_missing(wanted: Sequence[tuple[Method, int]], folder: Path, processes: int) -> Iterator[Trace]:
    """Runs searches side by side; in the order in which they end."""
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, *one, folder) for one in wanted]):
            yield future.result()


def quartiles(values: Sequence[float]) -> list[float]:
    """Lower quartile, median and upper quartile, each of them one of the values; infinite ones are allowed."""
    return [float(value) for value in np.quantile(values, QUARTILES, method="higher")]


def table_of(runs: Sequence[Trace]) -> str:
    """Epochs and seconds to each share, a line a method, in Markdown."""
    heads = [f"{unit} to {round(100 * share)} %" for unit in ("epochs", "seconds") for share in SHARES]
    lines = [
        f"| method | seeds | {' | '.join(heads)} | trained in full |",
        "|---" * (len(heads) + 3) + "|",
    ]
    for method in METHODS:
        found = [one for one in runs if one.method == method]
        if not found:
            continue
        cells = [_cell([one.until(share)[unit] for one in found]) for unit in (0, 1) for share in SHARES]
        full = float(np.median([one.full / one.candidates for one in found]))
        lines.append(f"| {method} | {len(found)} | {' | '.join(cells)} | {100 * full:.0f} % |")
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    lower, median, upper = map(_shown, quartiles(values))
    return f"{median} ({lower} to {upper})"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else "never"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where the runs are kept")
    parser.add_argument("--table", type=Path, default=FOLDER, help="folder of another table of the same form")
    options = parser.parse_args(arguments)
    fingerprint = _table(options.table).fingerprint
    kept = read_runs(options.json, fingerprint)
    done = {(one.method, one.seed) for one in kept}
    wanted = [(m, seed) for seed in range(options.seeds) for m in options.methods if (m, seed) not in done]
    for one in run_missing(wanted, options.table, options.processes):
        kept.append(one)
        print(f"{one.method}, seed {one.seed}: {one.full} full trainings, {one.deciding_s:.0f} s", file=sys.stderr)
        if options.json is not None:
            write_runs(options.json, fingerprint, kept)
    print(table_of([one for one in kept if one.method in options.methods and one.seed < options.seeds]))


if __name__ == "__main__":
    try:
        main()
    except OsanasError as error:
        sys.exit(str(error))
