"""A fast evaluator that answers from a formula, real processes that search with it, and what must hold afterwards.

Run as a module it is such a process: ``python -m tests.fakes '<JSON of a Job>'``.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna

from osanas.engine import api
from osanas.engine import optuna_study as adapter
from osanas.engine.checkpoints import Checkpoints
from osanas.engine.next_step import Patience
from osanas.engine.repeats import confirming_repeat
from osanas.errors import OsanasError, TrainingStopped
from osanas.evaluation.evaluator import CandidateCosts, MeasurementKeys
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.results.front import front_of
from osanas.results.study import StudyView
from osanas.store.database import parse_url
from osanas.store.leases import Lease, Pace
from osanas.store.store import Store
from osanas.strategy.features import Features
from osanas.strategy.history import history_of
from osanas.strategy.known_cost import KnownCost
from osanas.strategy.ladder import next_promotion
from osanas.study.config import StudyConfig
from osanas.study.events import Event, SearchStarted
from osanas.study.objectives import ACCURACY, Score
from osanas.study.records import CurvePoint, StudyRecord, Trained

ROOT = Path(__file__).parent.parent

SMALL: dict[str, Any] = {
    "name": "small",
    "stem": {"channels": [8, 8, {"choices": [8, 16]}], "downsample": "pool"},
    "stages": [
        {"conv_channels": {"choices": [4, 8]}, "out_channels": 16, "layers": 1, "modules": 1},
        {"conv_channels": 8, "out_channels": {"choices": [16, 24]}, "layers": {"low": 1, "high": 3}, "modules": 1},
        {"conv_channels": {"choices": [4, 8, 12]}, "out_channels": 24, "layers": 1, "modules": 1},
        {"conv_channels": 8, "out_channels": 32, "layers": {"low": 1, "high": 2}, "modules": 1},
    ],
    "conv": "dense",
    "attention": "none",
    "identity": False,
}
"""144 members, each another network; no starting points."""

FEW: dict[str, Any] = {
    **SMALL,
    "name": "few",
    "stem": {"channels": [8, 8, 8], "downsample": "pool"},
    "stages": [
        {"conv_channels": 4, "out_channels": 16, "layers": 1, "modules": 1},
        {"conv_channels": 8, "out_channels": 16, "layers": {"low": 1, "high": 2}, "modules": 1},
        {"conv_channels": 8, "out_channels": 24, "layers": 1, "modules": {"low": 1, "high": 2}},
        {"conv_channels": 8, "out_channels": 32, "layers": 1, "modules": 1},
    ],
    "identity": {"choices": [False, True]},
}
"""8 members that are 6 networks, of 36 to 52 units of cost."""

Failure = Callable[[Architecture, int], BaseException | None]
"""From an architecture and the count of trainings begun so far (0 for the first): what its training raises."""


def start(**stages: int) -> dict[str, Any]:
    """A starting point of ``SMALL`` and ``FEW`` with the lowest values but for the layers of some stages.

    Args:
        stages: Layers by name: ``stage3=2``.
    """
    lowest = SearchSpace.from_dict(SMALL).smallest().to_dict()
    for name, layers in stages.items():
        lowest["stages"][int(name.removeprefix("stage")) - 2]["layers"] = layers
    return lowest


def accuracy_of(architecture: Architecture, epochs: int = 2, repeat: int = 0) -> float:
    """After some epochs: it rises towards 0.5 to 0.9, slower or faster, as if at random; a repeat differs by 0.02."""
    digest = hashlib.sha256(architecture.digest.encode()).hexdigest()
    final, slowness = 0.5 + 0.4 * int(digest[:6], 16) / 16**6, 0.1 + int(digest[6:12], 16) / 16**6
    luck = hashlib.sha256(f"{digest} {repeat}".encode()).digest()[0] / 255 - 0.5 if repeat else 0.0
    return final * epochs / (epochs + slowness) + 0.04 * luck


def costs_of(architecture: Architecture) -> CandidateCosts:
    """Grow with widths and layers."""
    size = sum(stage.conv_channels * stage.layers * stage.modules for stage in architecture.stages)
    size += architecture.stem.channels[2]
    return CandidateCosts(size * 100, size * 10**9, size * 10, size / 100, size / 50, "estimated")


@dataclass
class TableEvaluator:
    """Measurer and trainer in one: answers at once, or after a delay.

    Attributes:
        epoch_s: How long an epoch takes.
        log: Gets a line ``start <digest> <epochs done>`` and one ``end <digest> <epochs>`` for each training, from all
            processes.
        failure: What to raise after the first epoch.
        energy_source: None means that there is no meter.
        settings: More of its identity.
        search_key: Of what is measured for every candidate: the figures of ``costs_of``, whatever the key.
        final_key: Of what is measured in full, which adds ``final_ms`` to the latency.
        trained: Digests in the order of their trainings.
    """

    epoch_s: float = 0.0
    log: Path | None = None
    failure: Failure | None = None
    energy_source: str | None = "estimated"
    settings: Mapping[str, Any] = field(default_factory=dict)
    search_key: str = "table"
    final_key: str = "table"
    final_ms: float = 0.0
    measured: list[str] = field(default_factory=list)
    measured_in_full: list[str] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)
    score: Score = ACCURACY
    reference_ms: Callable[[], float] | None = None

    def keys(self) -> MeasurementKeys:
        return MeasurementKeys.of(self.search_key, self.final_key)

    def notes(self) -> tuple[str, ...]:
        return ()

    def identity(self) -> dict[str, Any]:
        return {"table": "digest", "energy_source": self.energy_source, **self.settings}

    def shape(self) -> NetworkShape:
        return NetworkShape(8, 1, 10, 1)

    def device(self) -> dict[str, Any]:
        return {"kind": "table", "name": "table"}

    def measure(
        self, architecture: Architecture, *, in_full: bool = False, stored: Mapping[str, Any] | None = None
    ) -> CandidateCosts:
        if stored is not None:
            known = {name: stored[name] for name in ("latency_ms", "energy_mj", "energy_source")}
            return replace(costs_of(architecture), **known)
        return self.measure_final(architecture) if in_full else self.measure_search(architecture)

    def measure_search(self, architecture: Architecture) -> CandidateCosts:
        self.measured.append(architecture.digest)
        return costs_of(architecture)

    def measure_final(self, architecture: Architecture) -> CandidateCosts:
        self.measured_in_full.append(architecture.digest)
        costs = costs_of(architecture)
        assert costs.latency_ms is not None
        return replace(costs, latency_ms=costs.latency_ms + self.final_ms)

    def train(
        self,
        architecture: Architecture,
        *,
        epochs: int,
        checkpoint: Path | None,
        on_epoch: Callable[[CurvePoint], None],
        should_stop: Callable[[], bool],
        repeat: int = 0,
    ) -> Trained:
        failure = self.failure(architecture, len(self.trained)) if self.failure else None
        done = int(checkpoint.read_text()) if checkpoint is not None and checkpoint.exists() else 0
        self.trained.append(architecture.digest)
        self._note("start", architecture, done)
        for epoch in range(done + 1, epochs + 1):
            end = time.monotonic() + self.epoch_s
            while True:
                if should_stop():
                    raise TrainingStopped("told to stop")
                if time.monotonic() >= end:
                    break
                time.sleep(0.005)
            accuracy = accuracy_of(architecture, epoch, repeat)
            on_epoch(CurvePoint(epoch, 1.0 - accuracy, 1.5 - accuracy, accuracy, 0.1))
            if checkpoint is not None:
                checkpoint.parent.mkdir(parents=True, exist_ok=True)
                checkpoint.with_suffix(f".{os.getpid()}").write_text(str(epoch))
                checkpoint.with_suffix(f".{os.getpid()}").replace(checkpoint)
            if failure is not None:
                raise failure
        self._note("end", architecture, epochs)
        return Trained(accuracy_of(architecture, epochs, repeat), 0.1 * epochs)

    def _note(self, what: str, architecture: Architecture, epoch: int) -> None:
        if self.log is not None:
            with self.log.open("a") as file:  # one short write: lines of several processes do not mix
                file.write(f"{what} {architecture.digest} {epoch}\n")


# processes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What a worker process does.

    Attributes:
        folder: Its working directory; several workers on one machine share it.
        die: At which point to end without any clean-up (a key of ``DEATHS``), and at which time it is reached.
        lines: Whether to print a line when the search has begun and after each candidate.
    """

    folder: str
    trials: int
    space: dict[str, Any] = field(default_factory=lambda: SMALL)
    storage: str | None = None
    sampler: str = "random"
    rungs: tuple[int, ...] = (2,)
    seed: int = 0
    epoch_s: float = 0.0
    log: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    die: tuple[str, int] | None = None
    max_file_bytes: int | None = None


def launch(job: Job) -> subprocess.Popen[str]:
    """Starts a worker process."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fakes", json.dumps(asdict(job))],
        cwd=job.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], timeout_s: float = 90.0) -> tuple[int, str, str]:
    """Waits for a worker process: exit code, output, errors."""
    output, errors = process.communicate(timeout=timeout_s)
    return process.returncode, output, errors


def run(job: Job) -> tuple[int, str, str]:
    """A worker process from start to end."""
    return finish(launch(job))


def space_of(document: Mapping[str, Any]) -> SearchSpace:
    """The space of a job."""
    return SearchSpace.from_dict(dict(document))


def config_of(job: Job) -> StudyConfig:
    """The configuration of a job; it repeats no training unless its options say so."""
    options = {"trials": job.trials, "sampler": job.sampler, "rungs": list(job.rungs), "seed": job.seed, "confirm": 0}
    return StudyConfig.model_validate({"space": space_of(job.space).name, "study": "s", **options, **job.options})


PACE = Pace(poll_s=0.05)
"""Workers that wait for each other look soon."""


def search(
    job: Job,
    evaluator: TableEvaluator | None = None,
    listener: Callable[[Event], None] | None = None,
    patience: Patience | None = None,
    pace: Pace = PACE,
) -> StudyView:
    """The same in this process. The working directory should be the job's."""
    chosen = evaluator or TableEvaluator(job.epoch_s, None if job.log is None else Path(job.log))
    return api.run_search(
        config_of(job),
        storage=job.storage,
        listener=listener or (lambda _: None),
        space=space_of(job.space),
        measurer=chosen,
        trainer=chosen,
        pace=pace,
        patience=patience,
    )


def main() -> int:
    document = json.loads(sys.argv[1])
    die = None if document["die"] is None else tuple(document["die"])
    job = Job(**{**document, "die": die, "rungs": tuple(document["rungs"])})
    if job.max_file_bytes is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (job.max_file_bytes, job.max_file_bytes))
    if job.die is not None:
        owner, name, before = DEATHS[job.die[0]]
        _die_at(owner, name, job.die[1], before=before)

    def listener(event: Event) -> None:
        sys.stdout.write("started\n" if isinstance(event, SearchStarted) else f"{type(event).__name__}\n")
        sys.stdout.flush()

    try:
        search(job, listener=listener)
    except OsanasError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


DEATHS: dict[str, tuple[Any, str, bool]] = {
    "before the optuna study": (optuna, "create_study", True),
    "after the optuna study": (optuna, "create_study", False),
    "while asking": (optuna.trial.Trial, "_suggest", False),
    "after asking": (adapter, "ask", False),
    "before the trial of a claim": (adapter, "add_running", True),
    "after the trial of a claim": (adapter, "add_running", False),
    "after the trial is assigned": (Lease, "assign_trial", False),
    "after claiming": (Lease, "claim", False),
    "after reopening": (Lease, "reopen", False),
    "after the costs": (Store, "save_costs", False),
    "before the checkpoints are tidied": (Checkpoints, "tidy", True),
    "after an epoch": (Store, "save_epoch", False),
    "before the result": (Lease, "finish", True),
    "after the result": (Lease, "finish", False),
    "while telling": (optuna.study.Study, "tell", True),
    "after telling": (optuna.study.Study, "tell", False),
}
"""Functions around whose call a process can end: owner, name, whether before the call."""


def _die_at(owner: Any, name: str, nth: int, *, before: bool) -> None:
    original = getattr(owner, name)
    calls = iter(range(1, 10**9))

    def dying(*args: Any, **kwargs: Any) -> Any:
        last = next(calls) == nth
        if last and before:
            os._exit(9)
        result = original(*args, **kwargs)
        if last:
            os._exit(9)
        return result

    setattr(owner, name, dying)


# what must hold -----------------------------------------------------------------------------------------------------


def open_optuna(url: str, name: str = "s") -> optuna.study.Study:
    """The study as Optuna alone sees it."""
    address = parse_url(url).render_as_string(hide_password=False)
    return optuna.load_study(study_name=name, storage=address)


def check_study(url: str, total: int, *, log: Path | None = None) -> None:
    """Asserts what must hold of a study that reached its total, whatever happened on the way.

    Args:
        url: Its database.
        total: Trained candidates that it should have.
        log: The log of all its evaluators.
    """
    store = Store.open(url)
    record = store.study("s")
    evaluations = store.evaluations(record.id)
    rungs = record.identity["rungs"]
    complete = [evaluation for evaluation in evaluations if evaluation.is_complete]
    own = [evaluation for evaluation in complete if evaluation.repeat == 0]
    assert sum(evaluation.epochs == rungs[0] for evaluation in own) == total
    assert all(evaluation.status != "running" for evaluation in evaluations)
    assert len({(one.digest, one.epochs, one.repeat) for one in evaluations}) == len(evaluations)
    trained = {(evaluation.digest, evaluation.epochs): evaluation for evaluation in own}
    candidates = store.candidates(record.id)
    assert len({candidate.trial for candidate in candidates}) == len(candidates)
    for candidate in candidates:
        assert candidate.status != "waiting"
        if candidate.accuracy is not None:
            assert candidate.accuracy == accuracy_of(candidate.architecture, candidate.epochs, candidate.repeat)
    for evaluation in complete:  # each goes on where the rung below ended, a repeat begins anew
        place = rungs.index(evaluation.epochs)
        begun = 0 if place == 0 or evaluation.repeat else trained[evaluation.digest, rungs[place - 1]].epochs
        done = [point.epoch for point in store.curve(evaluation.evaluation)]
        assert done in (list(range(begun + 1, evaluation.epochs + 1)), list(range(1, evaluation.epochs + 1)))
    check_promotions(store, record)
    store.close()

    trials = {trial.number: trial for trial in open_optuna(url).trials}
    assert all(trial.state.is_finished() for trial in trials.values()), trials
    known = {candidate.trial: candidate for candidate in candidates}
    for number, trial in trials.items():
        if number not in known:  # cut off between asking and claiming
            assert trial.state == optuna.trial.TrialState.FAIL
            assert trial.user_attrs["reason"]
            continue
        candidate = known.pop(number)
        if trial.state == optuna.trial.TrialState.FAIL:
            assert candidate.accuracy is None
            continue
        infeasible = any(excess > 0 for excess in trial.constraints.values())
        if candidate.status in ("complete", "infeasible"):
            assert infeasible == (candidate.status == "infeasible")
        accuracy = 0.0 if infeasible else candidate.accuracy  # of a duplicate: told before limits were relaxed
        figures = {"accuracy": accuracy, **candidate.costs}
        assert trial.values == [figures[name] for name in record.objectives]
        assert trial.user_attrs.get("promoted_from") == candidate.promoted_from
        assert trial.user_attrs["epochs"] == candidate.epochs
        if candidate.trial == number and candidate.status == "complete":
            assert trial.user_attrs.get("repeat", 0) == candidate.repeat
    assert not known
    if log is not None:
        check_log(log, [(evaluation.digest, evaluation.epochs) for evaluation in complete])


def check_promotions(store: Store, record: StudyRecord) -> None:
    """Asserts that promotions name where they come from and have its costs, and that no training is due any more."""
    by_number = {candidate.trial: candidate for candidate in store.candidates(record.id)}
    for candidate in by_number.values():
        is_first = candidate.epochs == record.identity["rungs"][0] or candidate.repeat > 0
        assert (candidate.promoted_from is None) == is_first
        if candidate.promoted_from is not None:
            lower = by_number[candidate.promoted_from]
            assert (lower.digest, lower.status) == (candidate.digest, "complete")
            assert lower.epochs < candidate.epochs
            assert (lower.costs, lower.measurement_key) == (candidate.costs, candidate.measurement_key)
    history = history_of(store.evaluations(record.id), record)
    evaluator = TableEvaluator()
    features = Features(SpaceAt(SearchSpace.from_dict(record.identity["space"]), evaluator.shape()))
    assert next_promotion(history, KnownCost(features), may_begin=False) is None
    if record.config.confirm:
        members = front_of(list(by_number.values()), record).candidates
        evaluations = store.evaluations(record.id)
        assert confirming_repeat(members, evaluations, record.config.confirm, record.limits) is None


def check_log(log: Path, complete: Sequence[tuple[str, int]]) -> None:
    """Asserts that each network was trained to the end of each of its rungs once, and nothing else was."""
    lines = [line.split() for line in log.read_text().splitlines()]
    assert Counter((digest, int(epochs)) for what, digest, epochs in lines if what == "end") == Counter(complete)


if __name__ == "__main__":
    sys.exit(main())
