"""OSA-bench: answers at once for every member of its space, from a table of networks that were really trained.

``trainings.csv`` and ``latencies.csv`` hold random members of ``space.yaml`` (made by ``train.py``). What is asked of
another member is answered by a model of that table, and this part is model, not measurement:

- Accuracies after each epoch and on the test images, as logits together: a Gaussian process over widths, depths and the
  logarithms of parameters, multiply-adds and memory access, fitted to the rows of seed 0. To its mean comes what the
  architecture has of its own, drawn from a normal distribution with the architecture's digest as its seed. Its
  covariance over epochs is that of the leave-one-out residuals less that of seeds, so an early accuracy tells of the
  last one what it tells in the table. Each training seed adds noise with the covariance that the second seeds show.
- The logarithm of the latency likewise, without noise of seeds.

A member of the table answers with its rows for the seeds that were trained. For another seed its own part is drawn from
what its rows leave open, under the same distributions: rows are neither better nor worse than their neighbours, so a
search gains nothing by finding them (it hardly can: a few hundred of 9 * 10^8 members).

    python benchmarks/osa_bench/bench.py
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve
from scipy.special import expit, logit
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel
from sklearn.model_selection import KFold

from osanas.errors import OsanasError, UsageError
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace

Matrix = NDArray[np.float64]

FOLDER = Path(__file__).parent
EPOCHS = 9
SHAPE = NetworkShape(resolution=14, in_channels=1, num_classes=10, stem_reduction=1)
ACCURACY_COLUMNS = [*(f"val_accuracy_{epoch}" for epoch in range(1, EPOCHS + 1)), "test_accuracy"]


@dataclass(frozen=True)
class Table:
    """What was trained and measured.

    Attributes:
        members: In the order of the rows of seed 0.
        accuracies: By member's row and seed: validation accuracy after each epoch, then test accuracy [EPOCHS + 1].
        latencies_ms: Of each member [members].
    """

    space: SearchSpace
    members: tuple[Architecture, ...]
    accuracies: Mapping[tuple[int, int], Matrix]
    latencies_ms: Matrix

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Table:
        """Reads the folder's three files; members that were trained and measured count.

        Raises:
            UsageError: A file is missing, or holds too little to model the rest of the space.
        """
        space = SearchSpace.load(folder / "space.yaml")
        trainings = _rows(folder / "trainings.csv", "train")
        latencies = {row["member"]: float(row["latency_ms"]) for row in _rows(folder / "latencies.csv", "measure")}
        usable = [row for row in trainings if row["member"] in latencies]
        firsts = [row for row in usable if row["seed"] == "0"]
        places = {row["member"]: place for place, row in enumerate(firsts)}
        accuracies = {
            (places[row["member"]], int(row["seed"])): np.array([float(row[name]) for name in ACCURACY_COLUMNS])
            for row in usable
            if row["member"] in places
        }
        if len(firsts) < 2 * len(space.dimensions) or len(accuracies) - len(firsts) < EPOCHS + 2:
            raise UsageError(
                f"The table in {folder} holds {len(firsts)} members that were trained and measured, "
                f"{len(accuracies) - len(firsts)} of them with a second seed: too few.",
                "Run train.py in that folder to its end: train, then measure.",
            )
        names = [dimension.name for dimension in space.dimensions]
        members = [space.decode(dict(zip(names, map(int, row["indices"].split()), strict=True))) for row in firsts]
        return cls(
            space,
            tuple(map(SHAPE.canonical, members)),
            accuracies,
            np.array([latencies[row["member"]] for row in firsts]),
        )

    @cached_property
    def first(self) -> Matrix:
        """Accuracies of seed 0 [members, EPOCHS + 1]."""
        return np.array([self.accuracies[row, 0] for row in range(len(self.members))])

    @property
    def at(self) -> SpaceAt:
        """The space at the size of its images."""
        return SpaceAt(self.space, SHAPE)

    @cached_property
    def fingerprint(self) -> str:
        """Changes with anything in the table."""
        parts = [json.dumps(self.space.to_dict(), sort_keys=True), *(member.digest for member in self.members)]
        parts += [f"{row} {seed} {self.accuracies[row, seed].tolist()}" for row, seed in sorted(self.accuracies)]
        return hashlib.sha256("\n".join([*parts, str(self.latencies_ms.tolist())]).encode()).hexdigest()[:16]

    @cached_property
    def pairs(self) -> Matrix:
        """Accuracies of the members that have two seeds [pairs, 2, EPOCHS + 1]."""
        seconds = [row for row, seed in self.accuracies if seed == 1]
        return np.array([[self.accuracies[row, 0], self.accuracies[row, 1]] for row in seconds])


def _rows(path: Path, action: str) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="ascii") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise UsageError(f"There is no {path}.", f"Run 'python {FOLDER / 'train.py'} {action}'.") from None


def features(at: SpaceAt, members: Sequence[Architecture]) -> Matrix:
    """What the model sees of each member [members, dimensions + 3]: ordinals, then logarithms of its costs."""
    rows = []
    for member in members:
        found = at.costs(member)
        sizes = np.log([found.parameters, found.multiply_adds, found.memory_access_elements])
        rows.append([*at.encode(member).values(), *sizes])
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(at.dimensions) + 3)


class Regression:
    """A Gaussian process of several outputs under one kernel: a linear trend and smooth deviations from it.

    Args:
        inputs: [N, features].
        outputs: [N, outputs].
    """

    def __init__(self, inputs: Matrix, outputs: Matrix) -> None:
        self._centre, self._scale = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-9)
        kernel = (
            ConstantKernel(1.0) * Matern(8.0, (3.0, 1e3), nu=2.5)
            + ConstantKernel(0.1) * DotProduct(1.0, "fixed")
            + WhiteKernel(0.1, (1e-3, 1e1))
        )
        self._process = GaussianProcessRegressor(kernel, normalize_y=True)
        with warnings.catch_warnings():
            # a parameter at its wide bound is a part of the kernel that the table does not need
            warnings.simplefilter("ignore", category=ConvergenceWarning)
            self._process.fit(self._scaled(inputs), outputs)

    def predict(self, inputs: Matrix) -> Matrix:
        """Mean of the outputs [N, outputs]."""
        found: Matrix = self._process.predict(self._scaled(inputs)).reshape(len(inputs), -1)
        return found

    @cached_property
    def held_out(self) -> Matrix:
        """For each row, its outputs less what a fit to the other rows predicts (under this kernel) [N, outputs].

        Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, equation 5.12.
        """
        inverse = cho_solve((self._process.L_, True), np.eye(len(self._process.X_train_)))
        weights = self._process.alpha_.reshape(len(inverse), -1)
        residuals: Matrix = weights / np.diag(inverse)[:, None] * self._process._y_train_std
        return residuals

    def _scaled(self, inputs: Matrix) -> Matrix:
        scaled: Matrix = (inputs - self._centre) / self._scale
        return scaled


@dataclass(frozen=True)
class _Answer:
    """What is true of a member whatever the seed: its expected logits [EPOCHS + 1] and latency in ms."""

    logits: Matrix
    latency_ms: float


class OsaBench:
    """The benchmark. Deterministic: equal questions have equal answers, in every process.

    Attributes:
        reference: Accuracy and latency in ms of the hypervolume's reference point: the 5 % quantile of accuracy after
            all epochs among the table's members (which are random ones) and 1.1 times their largest latency. It
            depends on no search.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.space, self.at = table.space, table.at
        inputs = features(table.at, table.members)
        self._accuracy = Regression(inputs, logit(table.first))
        self._latency = Regression(inputs, np.log(table.latencies_ms)[:, None])
        differences = logit(table.pairs[:, 0]) - logit(table.pairs[:, 1])
        self._seed_covariance = differences.T @ differences / (2 * len(differences))
        residuals = self._accuracy.held_out
        self._own_covariance = _positive(residuals.T @ residuals / len(residuals) - self._seed_covariance)
        self._seed_root = _root(self._seed_covariance)
        self._latency_deviation = float(np.sqrt(np.mean(self._latency.held_out**2)))
        self._rows = {member.digest: row for row, member in enumerate(table.members)}
        self._known: dict[str, _Answer] = {}
        self.reference = (float(np.quantile(table.first[:, EPOCHS - 1], 0.05)), 1.1 * float(table.latencies_ms.max()))

    @classmethod
    def load(cls, folder: Path = FOLDER) -> OsaBench:
        """Reads the table and fits the model to it, in seconds.

        Raises:
            UsageError: A file is missing, or holds too little.
        """
        return cls(Table.load(folder))

    def curves(self, members: Sequence[Architecture], seed: int) -> Matrix:
        """Validation accuracy after each epoch, trained with a seed [members, EPOCHS]."""
        return self._accuracies(members, seed)[:, :EPOCHS]

    def test_accuracies(self, members: Sequence[Architecture], seed: int) -> Matrix:
        """Test accuracy after all epochs, trained with a seed [members]."""
        return self._accuracies(members, seed)[:, EPOCHS]

    def latencies_ms(self, members: Sequence[Architecture]) -> Matrix:
        """Latency of each [members]."""
        return np.array([answer.latency_ms for answer in self._answers([member.digest for member in members], members)])

    def _accuracies(self, members: Sequence[Architecture], seed: int) -> Matrix:
        digests = [member.digest for member in members]
        found = np.empty((len(members), EPOCHS + 1))
        for place, (digest, answer) in enumerate(zip(digests, self._answers(digests, members), strict=True)):
            stored = self.table.accuracies.get((self._rows.get(digest, -1), seed))
            if stored is None:
                found[place] = expit(answer.logits + self._seed_root @ _normals(digest, 1 + seed))
            else:
                found[place] = stored
        return found

    def _answers(self, digests: Sequence[str], members: Sequence[Architecture]) -> list[_Answer]:
        new = {digest: member for digest, member in zip(digests, members, strict=True) if digest not in self._known}
        if new:
            inputs = features(self.at, list(new.values()))
            logits, logs = self._accuracy.predict(inputs), self._latency.predict(inputs)[:, 0]
            for digest, mean, log in zip(new, logits, logs, strict=True):
                self._known[digest] = self._answer(digest, mean, float(log))
        return [self._known[digest] for digest in digests]

    def _answer(self, digest: str, mean: Matrix, log_latency: float) -> _Answer:
        draws = _normals(digest, 0)
        row = self._rows.get(digest)
        if row is None:
            latency = np.exp(log_latency + self._latency_deviation * draws[-1])
            return _Answer(mean + self._own_root @ draws[:-1], float(latency))
        observed = [logit(values) for (place, _), values in self.table.accuracies.items() if place == row]
        own, seeds = self._own_covariance, self._seed_covariance / len(observed)
        gain = np.linalg.solve(own + seeds, own).T
        residual = np.mean(observed, axis=0) - logit(self.table.first[row]) + self._accuracy.held_out[row]
        expected = logit(self.table.first[row]) - self._accuracy.held_out[row] + gain @ residual
        left_open = _root(_positive(own - gain @ own))
        return _Answer(expected + left_open @ draws[:-1], float(self.table.latencies_ms[row]))

    @cached_property
    def _own_root(self) -> Matrix:
        return _root(self._own_covariance)


def _normals(digest: str, stream: int) -> Matrix:
    """Standard normal numbers that belong to an architecture [EPOCHS + 2 for stream 0, else EPOCHS + 1]."""
    generator = np.random.default_rng([int(digest.partition(":")[2], 16), stream])
    return generator.standard_normal(EPOCHS + 2 if stream == 0 else EPOCHS + 1)


def _positive(covariance: Matrix) -> Matrix:
    """The nearest matrix without negative eigenvalues: the difference of two estimates may have some."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    nearest: Matrix = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return nearest


def _root(covariance: Matrix) -> Matrix:
    """A matrix that gives standard normal numbers this covariance."""
    values, vectors = np.linalg.eigh(covariance)
    root: Matrix = vectors * np.sqrt(np.maximum(values, 0.0))
    return root


def cross_validated(inputs: Matrix, outputs: Matrix, folds: int = 10) -> Matrix:
    """Predictions for each row by fits, kernel included, that did not see its fold [N, outputs]."""
    found = np.empty_like(outputs)
    for seen, held_out in KFold(folds, shuffle=True, random_state=0).split(inputs):
        found[held_out] = Regression(inputs[seen], outputs[seen]).predict(inputs[held_out])
    return found


def rank_correlations(curves: Matrix) -> dict[int, float]:
    """Of the accuracies after 1, 3 and 6 epochs with those after the last."""
    return {epoch: spearman(curves[:, epoch - 1], curves[:, EPOCHS - 1]) for epoch in (1, 3, 6)}


def spearman(first: Matrix, second: Matrix) -> float:
    """Spearman's rank correlation."""
    return float(spearmanr(first, second).statistic)


def report(bench: OsaBench) -> str:
    """How good the table is, and how like it the model."""
    table = bench.table
    inputs = features(table.at, table.members)
    last, logs = table.first[:, EPOCHS - 1], np.log(table.latencies_ms)
    predicted = expit(cross_validated(inputs, logit(table.first)))[:, EPOCHS - 1]
    predicted_logs = cross_validated(inputs, logs[:, None])[:, 0]
    noise = np.sqrt(np.mean((table.pairs[:, 0] - table.pairs[:, 1]) ** 2, axis=0) / 2)[EPOCHS - 1]
    between = np.sqrt(max(np.var(last, ddof=1) - noise**2, 0.0))
    rng = random.Random(1)
    others = [table.at.sample(rng) for _ in table.members]
    fresh = bench.curves(others, seed=0)
    low, high = table.latencies_ms.min(), table.latencies_ms.max()
    cheap = {
        "parameters": spearman(inputs[:, -3], last),
        "multiply-adds": spearman(inputs[:, -2], last),
        "latency": spearman(table.latencies_ms, last),
    }
    lines = [
        f"{len(table.members)} members of {table.space.size:,}, {len(table.pairs)} of them with a second seed",
        f"accuracy after {EPOCHS} epochs: {last.min():.4f} to {last.max():.4f}; latency: {low:.3f} to {high:.3f} ms",
        f"reference point of hypervolumes: {bench.reference[0]:.4f}, {bench.reference[1]:.4f} ms",
        "",
        "model, by 10-fold cross-validation",
        f"  accuracy after {EPOCHS} epochs: rank correlation {spearman(predicted, last):.3f}, "
        f"R2 {_r2(predicted, last):.3f} (noise of seeds allows {1 - noise**2 / np.var(last, ddof=1):.3f})",
        f"  latency: rank correlation {spearman(predicted_logs, logs):.3f}, R2 of its logarithm "
        f"{_r2(predicted_logs, logs):.3f}",
        "",
        f"standard deviation of accuracy: {noise:.4f} between seeds, {between:.4f} between members: "
        f"ratio {between / noise:.1f}",
        "",
        f"rank correlation with the accuracy after {EPOCHS} epochs",
        "  in the table: " + _listed(rank_correlations(table.first), cheap),
        "  as many others, by the model: " + _listed(rank_correlations(fresh), {}),
        f"accuracy after {EPOCHS} epochs, mean and deviation: table {last.mean():.4f}, {last.std():.4f}; "
        f"model {fresh[:, -1].mean():.4f}, {fresh[:, -1].std():.4f}",
    ]
    return "\n".join(lines)


def _r2(predicted: Matrix, true: Matrix) -> float:
    return 1.0 - float(np.mean((predicted - true) ** 2) / np.var(true))


def _listed(epochs: Mapping[int, float], others: Mapping[str, float]) -> str:
    parts = [f"after {epoch} {value:.2f}" for epoch, value in epochs.items()]
    return ", ".join([*parts, *(f"{name} {value:.2f}" for name, value in others.items())])


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=FOLDER, help="folder of another table of this space")
    print(report(OsaBench.load(parser.parse_args(arguments).table)))


if __name__ == "__main__":
    try:
        main()
    except OsanasError as error:
        sys.exit(str(error))
