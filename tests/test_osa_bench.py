"""OSA-bench, its replay and the comparison of searches: on small tables made here from a formula."""

from __future__ import annotations

import csv
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml

from benchmarks import search_efficiency as efficiency
from benchmarks.osa_bench.bench import EPOCHS, FOLDER, SHAPE, Table, main, report
from benchmarks.osa_bench.replay import METHODS, RUNGS, Method, Step, Trace, replay
from osanas.errors import UsageError
from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace

MEMBERS = 30
SECOND_SEEDS = 6


def accuracy(member: Architecture, epoch: int) -> float:
    """Wider late stages learn better, narrow stems start slower."""
    final = 0.6 + 0.02 * math.log(member.stages[-1].out_channels) + 0.01 * math.log(member.stages[2].conv_channels)
    return round(final - 0.3 / epoch / math.log(member.stem.channels[-1]), 4)


def latency_ms(member: Architecture) -> float:
    return 0.05 * sum(stage.layers + 1 for stage in member.stages) + SHAPE.costs(member).multiply_adds / 1e7


def make_table(folder: Path) -> Path:
    """The three files."""
    space = SearchSpace.load(FOLDER / "space.yaml")
    (folder / "space.yaml").write_text(yaml.safe_dump(space.to_dict()), encoding="utf-8")
    rng, chosen = random.Random(3), dict[str, Architecture]()
    while len(chosen) < MEMBERS:
        member = SHAPE.canonical(space.sample(rng))
        chosen.setdefault(member.digest, member)
    curves = [f"{name}_{epoch}" for name in ("val_accuracy", "train_loss") for epoch in range(1, EPOCHS + 1)]
    trainings, latencies = [], []
    table = Table(space, (), *(np.empty(0),) * 6)  # encodes members
    for number, member in enumerate(chosen.values()):
        indices = " ".join(map(str, table.at.encode(member).values()))
        for seed in range(2 if number < SECOND_SEEDS else 1):
            scores = [accuracy(member, epoch) + 0.002 * seed for epoch in range(1, EPOCHS + 1)]
            trainings.append([number, seed, indices, *scores, *(2 - score for score in scores), scores[-1], 18.0])
        latencies.append([number, latency_ms(member), latency_ms(member)])
    write(folder / "trainings.csv", ["member", "seed", "indices", *curves, "test_accuracy", "seconds"], trainings)
    write(folder / "latencies.csv", ["member", "latency_ms", "median_of_rounds_ms"], latencies)
    return folder


def write(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="ascii") as file:
        csv.writer(file).writerows([head, *rows])


@pytest.fixture(autouse=True)
def _optunas_verbosity() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    yield
    optuna.logging.set_verbosity(verbosity)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_table(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def table(folder: Path) -> Table:
    return Table.load(folder)


# the table ------------------------------------------------------------------------------------------------------------


def test_rows_are_read_as_they_were_written(table: Table) -> None:
    assert len(table.members) == MEMBERS
    for row, member in enumerate(table.members):
        assert table.rows[member.digest] == row
        assert table.accuracies[row].tolist() == [accuracy(member, epoch) for epoch in range(1, EPOCHS + 1)]
        assert table.latencies_ms[row] == pytest.approx(latency_ms(member))
    assert table.pairs.shape == (SECOND_SEEDS, 2)
    assert table.best >= table.hypervolume([0, 1]) >= table.hypervolume([0])


def test_report_names_what_was_asked(table: Table, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--table", str(folder)])
    assert capsys.readouterr().out.strip() == report(table)
    assert f"{MEMBERS} members" in report(table)
    assert "between seeds" in report(table)


def test_missing_files_say_how_they_are_made(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text((FOLDER / "space.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"There is no .*latencies\.csv.*train\.py measure"):
        Table.load(tmp_path)


def test_the_committed_table_is_whole() -> None:
    found = Table.load()
    assert len(found.members) == 400
    assert len(found.pairs) == 24
    assert len(found.rows) == 400
    assert np.all((found.accuracies > 0) & (found.accuracies < 1))
    assert np.all(found.latencies_ms > 0)
    assert np.mean(found.accuracies[:, -1] > found.accuracies[:, 0]) > 0.95


def test_constants_are_those_of_the_training() -> None:
    from benchmarks.osa_bench import train

    assert (EPOCHS, SHAPE.resolution) == (train.EPOCHS, train.RESOLUTION)


# replays --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [method for method in METHODS if method != "gp"])
def test_every_epoch_is_paid_once_and_the_hypervolume_never_falls(table: Table, method: Method) -> None:
    found = replay(method, table, seed=0, share=2.0, most_epochs=120)
    ladder = method in ("default", "two-rungs", "tpe-ladder")
    assert found.full == len(found.steps) <= found.candidates <= MEMBERS
    for before, after in itertools.pairwise(found.steps):
        assert after.epochs > before.epochs
        assert after.seconds == pytest.approx(2.0 * after.epochs)  # 18 s for 9 epochs
        assert after.share >= before.share
    spent = found.steps[-1].epochs
    assert spent <= 120 + EPOCHS
    if ladder:
        assert found.full <= max(1, 0.2 * found.candidates)
        assert RUNGS[0] * found.candidates <= spent + RUNGS[-1]
    else:
        assert spent == EPOCHS * found.full


@pytest.mark.parametrize("method", ["random", "no-ladder"])
def test_an_exhausted_table_ends_the_search_with_all_there_is(table: Table, method: Method) -> None:
    found = replay(method, table, seed=1, share=2.0)
    assert found.candidates == found.full == MEMBERS
    assert found.steps[-1].share == pytest.approx(1.0)


def test_equal_seeds_search_alike_and_end_at_the_share(table: Table) -> None:
    first, second = (replay("default", table, seed=2, share=0.5) for _ in range(2))
    assert first.steps == second.steps
    assert first.steps[-1].share >= 0.5
    assert all(step.share < 0.5 for step in first.steps[:-1])


# the comparison -------------------------------------------------------------------------------------------------------


def trace(method: Method, seed: int, *shares: float) -> Trace:
    steps = tuple(Step(9 * number, 20.0 * number, share) for number, share in enumerate(shares, start=1))
    return Trace(method, seed, steps, candidates=10, full=len(shares), deciding_s=1.0)


def test_runs_that_never_reach_a_share_count_as_infinite() -> None:
    found = trace("tpe", 0, 0.5, 0.92)
    assert found.until(0.9) == (18.0, 40.0)
    assert found.until(0.95) == (math.inf, math.inf)
    runs = [trace("tpe", 0, 0.95), trace("tpe", 1, 0.5, 0.95), trace("tpe", 2, 0.1)]
    line = efficiency.table_of(runs).splitlines()[-1]
    assert line.startswith(
        "| tpe | 3 | 18 (18 to never) | 18 (18 to never) | never (never to never) | 40 (40 to never)"
    )


def test_runs_are_kept_and_not_repeated(table: Table, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    assert efficiency.read_runs(path, table.fingerprint) == []
    kept = [trace("random", 0, 0.5), trace("tpe", 1, 0.7, 0.9)]
    efficiency.write_runs(path, table.fingerprint, kept)
    assert efficiency.read_runs(path, table.fingerprint) == sorted(kept, key=lambda one: METHODS.index(one.method))
    with pytest.raises(UsageError, match="runs of another table"):
        efficiency.read_runs(path, "another")


def test_the_command_goes_on_where_it_stopped(
    table: Table, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.json"
    options = ["--methods", "random", "--seeds", "1", "--processes", "1", "--table", str(folder), "--json", str(path)]
    efficiency.main(options)
    first = capsys.readouterr()
    assert "random, seed 0" in first.err
    efficiency.main(options)
    again = capsys.readouterr()
    assert again.err == ""
    assert again.out == first.out
