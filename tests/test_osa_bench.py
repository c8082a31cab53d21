"""OSA-bench, its replay, its evaluator, and the comparison of searches: on small tables made here from a formula."""

from __future__ import annotations

import csv
import itertools
import json
import math
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import yaml
from scipy.special import expit, logit

import osanas
from benchmarks import search_efficiency as efficiency
from benchmarks.osa_bench import bench as osa
from benchmarks.osa_bench.bench import EPOCHS, FOLDER, SHAPE, Matrix, OsaBench, Regression, Table, features
from benchmarks.osa_bench.evaluator import BenchEvaluator
from benchmarks.osa_bench.replay import Method, Trace, replay
from osanas.errors import TrainingStopped, UsageError
from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.pareto import hypervolume
from osanas.study.records import CurvePoint
from tests.fakes import SMALL

MEMBERS = 70
SECOND_SEEDS = 40
SEED_NOISE = 0.06
OWN = 0.05
SPACE = FOLDER / "space.yaml"


def true_logits(member: Architecture) -> Matrix:
    """Wider late stages learn better, narrow stems start slower."""
    final = 1.2 + 0.25 * math.log(member.stages[-1].out_channels) + 0.1 * math.log(member.stages[2].conv_channels)
    start = 0.4 * math.log(member.stem.channels[-1])
    curve = [final - (3.0 - start) / epoch for epoch in range(1, EPOCHS + 1)]
    return np.array([*curve, curve[-1] - 0.1])


def true_latency_ms(member: Architecture) -> float:
    return 0.05 * sum(stage.layers + 1 for stage in member.stages) + SHAPE.costs(member).multiply_adds / 1e7


def make_table(folder: Path, space: SearchSpace, members: int = MEMBERS, second_seeds: int = SECOND_SEEDS) -> Path:
    """The three files, with noise between members and between seeds that is equal at all epochs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "space.yaml").write_text(yaml.safe_dump(space.to_dict()), encoding="utf-8")
    rng, noise = random.Random(3), np.random.default_rng(3)
    chosen: dict[str, Architecture] = {}
    while len(chosen) < members:
        member = SpaceAt(space, SHAPE).sample(rng)
        chosen.setdefault(member.digest, member)
    own = {number: OWN * noise.standard_normal() for number in range(members)}
    rows = []
    for seed, count in ((0, members), (1, second_seeds)):
        for number, member in enumerate(itertools.islice(chosen.values(), count)):
            drawn = own[number] + SEED_NOISE * noise.standard_normal() + 0.01 * noise.standard_normal(EPOCHS + 1)
            indices = " ".join(str(index) for index in SpaceAt(space, SHAPE).encode(member).values())
            rows.append([number, seed, indices, *(f"{value:.5f}" for value in expit(true_logits(member) + drawn))])
    write(folder / "trainings.csv", ["member", "seed", "indices", *osa.ACCURACY_COLUMNS], rows)
    latencies = [[number, f"{true_latency_ms(member):.5f}"] for number, member in enumerate(chosen.values())]
    write(folder / "latencies.csv", ["member", "latency_ms"], latencies)
    return folder


def write(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="ascii") as file:
        csv.writer(file).writerows([head, *rows])


@pytest.fixture(autouse=True)
def _optunas_verbosity() -> Iterator[None]:
    """A replay silences Optuna for good."""
    before = optuna.logging.get_verbosity()
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_table(tmp_path_factory.mktemp("table"), SearchSpace.load(SPACE))


@pytest.fixture(scope="module")
def bench(folder: Path) -> OsaBench:
    return OsaBench.load(folder)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> OsaBench:
    """A bench of 144 members, few enough to repeat and to exhaust."""
    return OsaBench.load(make_table(tmp_path_factory.mktemp("small"), SearchSpace.from_dict(SMALL), members=40))


def random_members(bench: OsaBench, count: int, seed: int = 9) -> list[Architecture]:
    rng = random.Random(seed)
    return [bench.at.sample(rng) for _ in range(count)]


# the model ----------------------------------------------------------------------------------------------------------


def test_rows_are_answered_exactly(bench: OsaBench, folder: Path) -> None:
    with (folder / "trainings.csv").open(encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    names = [dimension.name for dimension in bench.space.dimensions]
    for row in (rows[0], rows[MEMBERS - 1], rows[MEMBERS], rows[-1]):  # of both seeds
        member = bench.space.decode(dict(zip(names, map(int, row["indices"].split()), strict=True)))
        seed = int(row["seed"])
        stored = [float(row[name]) for name in osa.ACCURACY_COLUMNS]
        assert bench.curves([member], seed)[0].tolist() == stored[:EPOCHS]
        assert bench.test_accuracies([member], seed).tolist() == stored[EPOCHS:]
    assert bench.latencies_ms(bench.table.members).tolist() == bench.table.latencies_ms.tolist()


def test_equal_questions_have_equal_answers(bench: OsaBench, folder: Path) -> None:
    members = [*random_members(bench, 30), *bench.table.members[:3]]
    other = OsaBench.load(folder)
    one_by_one = [other.curves([member], 5)[0] for member in reversed(members)][::-1]
    np.testing.assert_allclose(bench.curves(members, 5), one_by_one, rtol=0, atol=1e-12)
    np.testing.assert_allclose(bench.latencies_ms(members), other.latencies_ms(members), rtol=0, atol=1e-12)
    assert bench.table.fingerprint == other.table.fingerprint
    assert np.all(bench.curves(members, 5) != bench.curves(members, 6))


def test_answers_follow_the_table(bench: OsaBench) -> None:
    members = random_members(bench, 300)
    truth = np.array([true_logits(member) for member in members])
    answered = logit(bench.curves(members, 0))
    errors = answered - truth[:, :EPOCHS]
    assert np.abs(errors.mean(axis=0)).max() < 0.05
    assert np.all(errors.std(axis=0) < 2 * math.hypot(SEED_NOISE, OWN))
    assert osa.spearman(truth[:, EPOCHS - 1], answered[:, -1]) > 0.75
    ratios = bench.latencies_ms(members) / np.array([true_latency_ms(member) for member in members])
    assert np.abs(np.log(ratios)).mean() < 0.05


def test_noise_of_seeds_is_the_tables(bench: OsaBench) -> None:
    members = random_members(bench, 300)
    differences = logit(bench.curves(members, 2)) - logit(bench.curves(members, 3))
    deviations = np.sqrt(np.mean(differences**2, axis=0) / 2)
    pairs = logit(bench.table.pairs[:, 0]) - logit(bench.table.pairs[:, 1])
    expected = np.sqrt(np.mean(pairs**2, axis=0) / 2)[:EPOCHS]
    np.testing.assert_allclose(deviations, expected, rtol=0.15)
    # in the table it is equal at all epochs, and so it is here
    assert np.corrcoef(differences[:, 0], differences[:, -1])[0, 1] > 0.85


def test_rows_are_no_better_or_worse_than_others(bench: OsaBench) -> None:
    """Other seeds of a member with rows lie between what its rows say and what its neighbours say."""
    rows = bench.table.members
    elsewhere = logit(bench.curves(rows, 7))[:, -1]
    observed = logit(bench.table.first[:, EPOCHS - 1])
    predicted = observed - Regression(features(bench.at, rows), logit(bench.table.first)).held_out[:, EPOCHS - 1]
    assert abs((elsewhere - predicted).mean()) < 0.04
    surprise = observed - predicted
    kept = float(np.dot(surprise, elsewhere - predicted) / np.dot(surprise, surprise))
    assert 0.1 < kept < 0.95
    others = logit(bench.curves(random_members(bench, 300), 7))[:, -1]
    assert abs(others.std() - elsewhere.std()) < 0.3 * elsewhere.std()


def test_held_out_residuals_are_those_of_leaving_a_row_out(bench: OsaBench) -> None:
    inputs, outputs = features(bench.at, bench.table.members), logit(bench.table.first)
    regression = Regression(inputs, outputs)
    process = regression._process
    kernel = process.kernel_(process.X_train_)
    for row in (0, 17, MEMBERS - 1):
        rest = np.arange(MEMBERS) != row
        weights = np.linalg.solve(kernel[np.ix_(rest, rest)], (outputs - outputs.mean(axis=0))[rest])
        predicted = kernel[row, rest] @ weights + outputs.mean(axis=0)
        np.testing.assert_allclose(regression.held_out[row], outputs[row] - predicted, rtol=1e-6, atol=1e-8)


def test_reference_is_of_the_table_alone(bench: OsaBench) -> None:
    before = bench.reference
    replay("random", bench, seed=1, budget_epochs=45)
    accuracies = bench.table.first[:, EPOCHS - 1]
    assert bench.reference == before == (np.quantile(accuracies, 0.05), 1.1 * bench.table.latencies_ms.max())


def test_report_names_what_was_asked(bench: OsaBench) -> None:
    text = osa.report(bench)
    assert f"{MEMBERS} members of 905,969,664, {SECOND_SEEDS} of them with a second seed" in text
    assert text.count("rank correlation") == 3
    assert "after 1 " in text
    assert "multiply-adds" in text


def test_missing_files_say_how_they_are_made(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_bytes(SPACE.read_bytes())
    with pytest.raises(UsageError, match=r"There is no .*trainings\.csv\. Run 'python .*train\.py train'"):
        OsaBench.load(tmp_path)


def test_too_small_a_table_is_refused(tmp_path: Path) -> None:
    space = SearchSpace.load(SPACE)
    make_table(tmp_path, space, second_seeds=4)
    with pytest.raises(UsageError, match=r"holds 70 members .* 4 of them with a second seed: too few\. Run train\.py"):
        OsaBench.load(tmp_path)


# replay -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "budget"),
    [
        ("random", 15 * EPOCHS + 4),
        ("tpe", 15 * EPOCHS + 4),
        ("nsga2", 15 * EPOCHS + 4),
        pytest.param("known-cost", 15 * EPOCHS + 4, marks=pytest.mark.slow),
        ("default", 40),
    ],
)
def test_every_epoch_is_paid_once(bench: OsaBench, method: Method, budget: int) -> None:
    trace = replay(method, bench, seed=3, budget_epochs=budget)
    behind: dict[str, int] = {}
    spent = 0
    for one in trace.trainings:
        digest = one.architecture.digest
        assert one.rung > behind.get(digest, 0)
        spent += one.rung - behind.get(digest, 0)
        behind[digest] = one.rung
        assert one.spent == spent <= budget
        assert one.accuracy == bench.curves([one.architecture], 3)[0, one.rung - 1]
        assert one.latency_ms == bench.latencies_ms([one.architecture])[0]
    assert budget - spent < EPOCHS
    if method == "default":
        assert {one.rung for one in trace.trainings} == {1, 3, EPOCHS}
    else:
        assert {one.rung for one in trace.trainings} == {EPOCHS}


def test_ladder_promotes_the_proposals_of_tpe(bench: OsaBench) -> None:
    trace = replay("ladder", bench, seed=0, budget_epochs=60)
    assert {one.rung for one in trace.trainings} == {1, 3, EPOCHS}
    firsts = [one.architecture for one in trace.trainings if one.rung == 1]
    alone = replay("tpe", bench, seed=0, budget_epochs=10 * EPOCHS)  # tpe's first ten are random
    assert firsts[:10] == [one.architecture for one in alone.trainings]


def test_equal_seeds_search_alike(bench: OsaBench) -> None:
    def steps(trace: Trace) -> list[tuple[int, str]]:
        return [(one.spent, one.architecture.digest) for one in trace.trainings]

    first, again, other = (steps(replay("tpe", bench, seed=seed, budget_epochs=135)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.slow
def test_duplicates_cost_nothing(small: OsaBench) -> None:
    trace = replay("tpe", small, seed=0, budget_epochs=70 * EPOCHS)
    digests = [one.architecture.digest for one in trace.trainings]
    assert trace.duplicates > 0
    assert len(set(digests)) == len(digests) == 70
    assert trace.trainings[-1].spent == 70 * EPOCHS


def test_an_exhausted_space_ends_the_search(small: OsaBench) -> None:
    trace = replay("random", small, seed=0, budget_epochs=10_000)
    assert len(trace.trainings) == small.space.size == 144


def test_hypervolume_is_that_of_full_trainings_so_far(bench: OsaBench) -> None:
    trace = replay("default", bench, seed=1, budget_epochs=70)
    volumes = trace.hypervolumes()
    assert len(volumes) == sum(one.rung == EPOCHS for one in trace.trainings) >= 2
    assert [volume for _, volume in volumes] == sorted(volume for _, volume in volumes)
    for spent, volume in volumes:
        full = [(o.accuracy, o.latency_ms) for o in trace.trainings if o.rung == EPOCHS and o.spent <= spent]
        assert volume == pytest.approx(hypervolume(full, ("maximize", "minimize"), bench.reference))
        assert trace.hypervolume(spent) == volume
        assert {one.rung for one in trace.front(spent)} == {EPOCHS}
    assert trace.hypervolume(volumes[0][0] - 1) == 0.0
    assert trace.epochs_to(volumes[-1][1]) == next(at for at, volume in volumes if volume == volumes[-1][1])
    assert trace.epochs_to(math.inf) is None


# as an evaluator ----------------------------------------------------------------------------------------------------


def never() -> bool:
    return False


def trained(evaluator: BenchEvaluator, member: Architecture, epochs: int, checkpoint: Path | None) -> list[CurvePoint]:
    points: list[CurvePoint] = []
    result = evaluator.train(member, epochs=epochs, checkpoint=checkpoint, on_epoch=points.append, should_stop=never)
    assert result.score == evaluator.bench.curves([member], evaluator.seed)[0, epochs - 1]
    return points


@pytest.mark.slow
def test_a_search_finds_what_the_bench_answers(
    small: OsaBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bench = BenchEvaluator(small, seed=4)
    study = osanas.search(
        small.space, 12, measurer=bench, trainer=bench, objectives=["accuracy", "latency_ms"], epochs=EPOCHS
    )
    candidates = [one for one in study.candidates() if one.accuracy is not None and one.epochs == EPOCHS]
    assert candidates
    for one in candidates:
        assert one.accuracy == pytest.approx(small.curves([one.architecture], 4)[0, -1])
        assert one.latency_ms == pytest.approx(small.latencies_ms([one.architecture])[0])
        assert one.energy_mj is None


def test_training_goes_on_from_its_checkpoint(bench: OsaBench, tmp_path: Path) -> None:
    evaluator = BenchEvaluator(bench, seed=2)
    member = random_members(bench, 1)[0]
    checkpoint = tmp_path / "checkpoints" / "state"
    first = trained(evaluator, member, 3, checkpoint)
    then = trained(evaluator, member, EPOCHS, checkpoint)
    assert [point.epoch for point in first] == [1, 2, 3]
    assert [point.epoch for point in then] == [4, 5, 6, 7, 8, 9]
    assert [point.score for point in first + then] == bench.curves([member], 2)[0].tolist()
    assert trained(evaluator, member, EPOCHS, None) == first + then


def test_stopping_and_asking_for_too_much(bench: OsaBench) -> None:
    evaluator = BenchEvaluator(bench)
    ask: dict[str, Any] = {"checkpoint": None, "on_epoch": lambda point: None}
    with pytest.raises(TrainingStopped):
        evaluator.train(bench.table.members[0], epochs=1, should_stop=lambda: True, **ask)
    with pytest.raises(UsageError, match=r"end after 9 epochs; 10 were asked for\. Search with at most 9 epochs\."):
        evaluator.train(bench.table.members[0], epochs=10, should_stop=never, **ask)


# the comparison -----------------------------------------------------------------------------------------------------


def a_run(method: Method, seed: int, *volumes: float, tested: float = 1.0) -> efficiency.Run:
    """A run whose hypervolume after each full training is given."""
    points = [((place + 1) * EPOCHS, volume) for place, volume in enumerate(volumes)]
    share = efficiency.SLOW.get(method, 1.0)
    all_tested = [tested / 4, tested / 2, tested]
    reached = [value for value, at in zip(all_tested, efficiency.SHARES, strict=True) if at <= share]
    return efficiency.Run(method, seed, share, points, reached, 0, 1.0)


def test_runs_that_never_reach_the_target_count_as_infinite() -> None:
    runs = [a_run("tpe", seed, 0.1, 0.2, 0.4) for seed in range(3)]
    runs += [a_run("default", 0, 0.4, 0.5, 0.5), a_run("default", 1, 0.1, 0.4, 0.4), a_run("default", 2, 0.1, 0.1, 0.1)]
    assert efficiency.quartiles([9.0, 18.0, math.inf]) == [18.0, 18.0, math.inf]
    lines = {line.split()[0]: line.split() for line in efficiency.efficiency_table(runs, 27).splitlines()[2:]}
    assert lines["tpe"][1:7] == ["27", "27", "to", "27", "3/3", "1.0x"]
    assert lines["default"][1:7] == ["18", "18", "to", "never", "2/3", "1.5x"]


def test_networks_are_compared_with_the_baselines_last() -> None:
    runs = [a_run("tpe", 0, 0.2, 0.4, tested=0.8), a_run("random", 0, 0.2, 0.3, tested=0.6)]
    rows = {line.split()[0]: line for line in efficiency.network_table(runs, 18).splitlines()[2:]}
    assert [part for part in rows["tpe"].split() if "." in part and "(" not in part and ")" not in part] == [
        "0.0",
        "25.0",
        "0.0",
        "50.0",
        "100.0",
        "100.0",
    ]
    assert "75.0 (75.0 to 75.0)" in rows["random"]


def test_methods_that_decide_slowly_stop_early() -> None:
    runs = [a_run("tpe", 0, 0.2, 0.4), a_run("default", 0, 0.4)]
    row = efficiency.network_table(runs, 18).splitlines()[-1].split()
    assert row[0] == "default"
    assert row[-2:] == ["-", "-"]


def test_fronts_are_tested_with_another_seed(bench: OsaBench) -> None:
    trace = replay("random", bench, seed=0, budget_epochs=90)
    members = trace.front()
    accuracies = bench.test_accuracies([one.architecture for one in members], efficiency.RETRAINING)
    points = [(float(accuracy), one.latency_ms) for accuracy, one in zip(accuracies, members, strict=True)]
    expected = hypervolume(points, ("maximize", "minimize"), bench.reference)
    assert efficiency.tested(trace, bench, 90) == pytest.approx(expected)
    assert efficiency.tested(trace, bench, 8) == 0.0


@pytest.mark.slow
def test_runs_are_kept_and_not_repeated(
    folder: Path, bench: OsaBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "runs.json"
    command = ["--methods", "random", "--trials", "4", "--processes", "1", "--json", str(kept), "--table", str(folder)]
    efficiency.main([*command, "--seeds", "1"])
    first = capsys.readouterr()
    assert "random, seed 0" in first.err
    assert "tpe, seed 0" in first.err  # its hypervolume is the target
    efficiency.main([*command, "--seeds", "1"])
    again = capsys.readouterr()
    assert again.err == ""
    assert again.out == first.out
    document = json.loads(kept.read_text(encoding="utf-8"))
    assert document["setting"] == {
        "table": bench.table.fingerprint,
        "reference": list(bench.reference),
        "budget_epochs": 36,
    }
    with pytest.raises(UsageError, match=r"runs of another table or budget.*Name another file with --json"):
        efficiency.main([*command, "--seeds", "1", "--trials", "5"])


def test_the_figure_needs_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match="needs matplotlib"):
        efficiency.draw([a_run("tpe", 0, 0.1)], 9, tmp_path / "figure.svg")


def test_the_figure_has_a_line_a_method(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib, which only this figure needs, is not installed")
    path = tmp_path / "figure.svg"
    efficiency.draw([a_run("tpe", 0, 0.1, 0.2), a_run("default", 0, 0.2, 0.3)], 18, path)
    assert path.read_text(encoding="utf-8").count("FillBetweenPolyCollection") == 2


# what is committed --------------------------------------------------------------------------------------------------


def test_constants_are_those_of_the_training() -> None:
    from benchmarks.osa_bench import train

    assert (EPOCHS, osa.SHAPE.resolution) == (train.EPOCHS, train.RESOLUTION)
    assert set(osa.ACCURACY_COLUMNS) < set(train.TRAINING_COLUMNS)


committed = pytest.mark.skipif(
    not (FOLDER / "trainings.csv").exists() or not (FOLDER / "latencies.csv").exists(),
    reason="the table of OSA-bench is not in this checkout (benchmarks/osa_bench/train.py makes it)",
)


@committed
def test_the_committed_table_is_whole() -> None:
    from benchmarks.osa_bench import train

    space = SearchSpace.load(SPACE)
    everyone = {number: indices for number, indices, _ in itertools.islice(train.members(space), train.MEMBERS)}
    with (FOLDER / "trainings.csv").open(encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    keys = [(int(row["member"]), int(row["seed"])) for row in rows]
    expected = {(member, 0) for member in everyone} | {(member, 1) for member in range(train.SECOND_SEEDS)}
    assert sorted(keys) == sorted(expected)
    for row in rows:
        assert [int(index) for index in row["indices"].split()] == list(everyone[int(row["member"])].values())
        assert all(0.05 < float(row[name]) < 0.95 for name in osa.ACCURACY_COLUMNS)
    with (FOLDER / "latencies.csv").open(encoding="ascii") as file:
        latencies = list(csv.DictReader(file))
    assert sorted(int(row["member"]) for row in latencies) == sorted(everyone)
    assert all(0 < float(row["latency_ms"]) <= float(row["median_of_rounds_ms"]) for row in latencies)


@pytest.mark.slow
@committed
def test_the_committed_table_is_worth_searching() -> None:
    """The model ranks unseen members, and members differ by more than seeds do."""
    table = Table.load()
    inputs = features(table.at, table.members)
    predicted = osa.cross_validated(inputs, logit(table.first), folds=5)[:, EPOCHS - 1]
    assert osa.spearman(predicted, table.first[:, EPOCHS - 1]) > 0.7
    latencies = np.log(table.latencies_ms)
    # much less says that the processor was busy with something else while they were measured
    assert osa.spearman(osa.cross_validated(inputs, latencies[:, None], folds=5)[:, 0], latencies) > 0.95
    noise = np.sqrt(np.mean((table.pairs[:, 0] - table.pairs[:, 1])[:, EPOCHS - 1] ** 2) / 2)
    assert table.first[:, EPOCHS - 1].std() > 1.5 * noise
