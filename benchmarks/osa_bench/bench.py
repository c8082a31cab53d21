"""OSA-bench: networks that were really trained, every epoch logged, and measured. Nothing in it is modelled.

``trainings.csv`` and ``latencies.csv`` hold random members of ``space.yaml`` (made by ``train.py``). A search that
chooses among these members has, at once, what it would have had after hours of training.

    python -m benchmarks.osa_bench.bench
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from osanas.errors import UsageError
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.pareto import Direction, hypervolume

Matrix = NDArray[np.float64]

FOLDER = Path(__file__).parent
EPOCHS = 9
SHAPE = NetworkShape(resolution=14, in_channels=1, num_classes=10, stem_reduction=1)
DIRECTIONS: tuple[Direction, Direction] = ("maximize", "minimize")


@dataclass(frozen=True)
class Table:
    """What was trained and measured, a row a member.

    Attributes:
        space: Of which they are members.
        members: In canonical form.
        accuracies: On validation images after each epoch, seed 0 ``[members, EPOCHS]``.
        losses: Training loss of each epoch ``[members, EPOCHS]``.
        latencies_ms: ``[members]``.
        seconds: Wall time of all epochs on one thread of a machine that did other things too ``[members]``.
        test_accuracies: After the last epoch ``[members]``.
        pairs: Validation accuracy after the last epoch of those trained with a second seed ``[pairs, 2]``.
    """

    space: SearchSpace
    members: tuple[Architecture, ...]
    accuracies: Matrix
    losses: Matrix
    latencies_ms: Matrix
    seconds: Matrix
    test_accuracies: Matrix
    pairs: Matrix

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Table:
        """Reads the folder's three files; members that were trained and measured count.

        Raises:
            UsageError: A file is missing, or no member is in both.
        """
        space = SearchSpace.load(folder / "space.yaml")
        latencies = {row["member"]: float(row["latency_ms"]) for row in _rows(folder / "latencies.csv", "measure")}
        rows = [row for row in _rows(folder / "trainings.csv", "train") if row["member"] in latencies]
        firsts = [row for row in rows if row["seed"] == "0"]
        if not firsts:
            raise UsageError(
                f"The table in {folder} holds no member that was trained and measured.",
                "Run train.py in that folder: train, then measure.",
            )
        names = [dimension.name for dimension in space.dimensions]
        members = [space.decode(dict(zip(names, map(int, row["indices"].split()), strict=True))) for row in firsts]
        last = f"val_accuracy_{EPOCHS}"
        by_member = {row["member"]: float(row[last]) for row in firsts}
        pairs = [(by_member[row["member"]], float(row[last])) for row in rows if row["seed"] == "1"]
        return cls(
            space,
            tuple(map(SHAPE.canonical, members)),
            _columns(firsts, [f"val_accuracy_{epoch}" for epoch in range(1, EPOCHS + 1)]),
            _columns(firsts, [f"train_loss_{epoch}" for epoch in range(1, EPOCHS + 1)]),
            np.array([latencies[row["member"]] for row in firsts]),
            _columns(firsts, ["seconds"])[:, 0],
            _columns(firsts, ["test_accuracy"])[:, 0],
            np.array(pairs).reshape(len(pairs), 2),
        )

    @property
    def at(self) -> SpaceAt:
        """The space at the size of its images."""
        return SpaceAt(self.space, SHAPE)

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """The row of each member, by digest."""
        return {member.digest: row for row, member in enumerate(self.members)}

    @cached_property
    def reference(self) -> tuple[float, float]:
        """Accuracy and latency in ms that are just worth nothing; it depends on no search.

        They are the 5 % quantile of accuracy after all epochs, and 1.1 times the largest latency.
        """
        return float(np.quantile(self.accuracies[:, -1], 0.05)), 1.1 * float(self.latencies_ms.max())

    def hypervolume(self, rows: Sequence[int]) -> float:
        """Of the members in these rows, fully trained."""
        points = [(float(self.accuracies[row, -1]), float(self.latencies_ms[row])) for row in rows]
        return hypervolume(points, DIRECTIONS, self.reference)

    @cached_property
    def best(self) -> float:
        """The hypervolume of all rows: the most that any search can reach."""
        return self.hypervolume(range(len(self.members)))

    @cached_property
    def fingerprint(self) -> str:
        """Changes with anything in the table."""
        parts = [json.dumps(self.space.to_dict(), sort_keys=True), *(member.digest for member in self.members)]
        figures = (self.accuracies, self.losses, self.latencies_ms, self.seconds, self.test_accuracies)
        parts += [str(figure.tolist()) for figure in figures]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _rows(path: Path, action: str) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="ascii") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise UsageError(f"There is no {path}.", f"Run 'python {FOLDER / 'train.py'} {action}'.") from None


def _columns(rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> Matrix:
    return np.array([[float(row[name]) for name in names] for row in rows])


def report(table: Table) -> str:
    """How far its members differ, and what foretells how good they become."""
    last = table.accuracies[:, -1]
    costs = [table.at.costs(member) for member in table.members]
    noise = float(np.sqrt(np.mean((table.pairs[:, 0] - table.pairs[:, 1]) ** 2) / 2))
    between = max(float(np.var(last, ddof=1)) - noise**2, 0.0) ** 0.5
    signals = {
        **{f"after {epoch}": table.accuracies[:, epoch - 1] for epoch in (1, 2, 3, 4, 6)},
        "parameters": np.array([found.parameters for found in costs]),
        "multiply-adds": np.array([found.multiply_adds for found in costs]),
        "latency": table.latencies_ms,
    }
    known = ", ".join(f"{name} {spearmanr(values, last).statistic:.2f}" for name, values in signals.items())
    return "\n".join(
        [
            f"{len(table.members)} members of {table.space.size:,}, {len(table.pairs)} of them with a second seed",
            f"accuracy after {EPOCHS} epochs: {last.min():.4f} to {last.max():.4f}; "
            f"latency: {table.latencies_ms.min():.3f} to {table.latencies_ms.max():.3f} ms",
            f"standard deviation of accuracy: {noise:.4f} between seeds, {between:.4f} between members",
            f"rank correlation with the accuracy after {EPOCHS} epochs: {known}",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=FOLDER, help="folder of another table of the same form")
    print(report(Table.load(parser.parse_args(arguments).table)))


if __name__ == "__main__":
    main()
