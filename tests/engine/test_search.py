from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest

import osanas
from osanas.engine.next_step import Patience
from osanas.errors import CandidateError, ConfigError, SearchFailed, StudyError, UsageError
from osanas.evaluation.evaluator import CandidateCosts
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.space import SearchSpace
from osanas.results.places import open_study
from osanas.store.store import Store
from osanas.study.config import StudyConfig
from osanas.study.events import CandidateDone, EpochDone, Event
from osanas.study.objectives import Objective
from osanas.study.records import Candidate, Trained
from tests.fakes import FEW, SMALL, Job, TableEvaluator, accuracy_of, check_study, costs_of, open_optuna, search, start

LIMIT_KEYS = {"max_latency_ms", "max_energy_mj", "max_parameters", "max_multiply_adds"}
COMPLETE, FAIL = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL


@pytest.fixture
def job(folder: Path, url: str) -> Job:
    return Job(str(folder), 6, SMALL, url)


# samplers -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "gp", "random"])
@pytest.mark.parametrize(
    "objectives",
    [
        pytest.param(("accuracy",), marks=pytest.mark.slow),
        ("accuracy", "latency_ms"),
        pytest.param(("accuracy", "latency_ms", "energy_mj"), marks=pytest.mark.slow),
    ],
)
def test_every_sampler_with_one_to_three_objectives_and_limits(
    job: Job, url: str, sampler: str, objectives: Sequence[Objective]
) -> None:
    """More trials than a sampler draws at random first (10)."""
    options = {"objectives": objectives, "max_latency_ms": 0.5}
    with warnings.catch_warnings(action="error"):
        view = search(replace(job, sampler=sampler, options=options))
    check_study(url, 6)
    trials = open_optuna(url).trials
    assert len(trials) >= 12
    assert any(candidate.status == "infeasible" for candidate in view.candidates())
    assert all(set(trial.constraints) == LIMIT_KEYS for trial in trials)
    assert view.objectives == tuple(objectives)


@pytest.mark.slow
@pytest.mark.parametrize(
    "objectives", [("accuracy",), ("accuracy", "latency_ms"), ("accuracy", "latency_ms", "energy_mj")]
)
def test_the_known_cost_sampler_stays_within_the_limits_that_it_can_predict(
    job: Job, url: str, objectives: Sequence[Objective]
) -> None:
    """More candidates than it draws before its models answer (10); most of the space is too slow."""
    options = {"objectives": objectives, "max_latency_ms": 0.45}
    with warnings.catch_warnings(action="error"):
        view = search(replace(job, trials=16, sampler="known-cost", options=options))
    check_study(url, 16)
    statuses = [candidate.status for candidate in view.candidates()]
    assert "duplicate" not in statuses
    if "latency_ms" in objectives:
        first = next(n for n in range(len(statuses)) if statuses[:n].count("complete") == 10)
        assert statuses[:first].count("infeasible") > 10
        assert statuses[first:].count("infeasible") <= 2


@pytest.mark.slow
def test_a_sampler_learns_where_candidates_are_infeasible(job: Job, url: str) -> None:
    """As it would not from PRUNED trials: GPSampler sees only complete ones."""
    options = {"objectives": ["accuracy", "latency_ms"], "max_latency_ms": 0.46}
    view = search(replace(job, sampler="gp", trials=8, seed=3, options=options))
    feasible = [candidate.status != "infeasible" for candidate in view.candidates()]
    assert len(feasible) > 14
    assert sum(feasible[:10]) <= 4  # at random
    assert sum(feasible[10:]) / len(feasible[10:]) >= 0.5


# what is told and kept ----------------------------------------------------------------------------------------------


def test_an_infeasible_candidate_is_told_with_its_costs_and_never_trained(job: Job, url: str) -> None:
    evaluator = TableEvaluator()
    view = search(replace(job, options={"max_latency_ms": 0.6}), evaluator)
    infeasible = [candidate for candidate in view.candidates() if candidate.status == "infeasible"]
    assert infeasible
    trials = open_optuna(url).trials
    for candidate in infeasible:
        assert candidate.accuracy is None
        assert candidate.digest not in evaluator.trained
        assert candidate.latency_ms is not None
        assert candidate.reason == f"latency_ms {candidate.latency_ms:,.6g} over the limit 0.6"
        trial = trials[candidate.trial]
        assert trial.state == COMPLETE
        assert trial.values == [0.0, candidate.latency_ms, candidate.energy_mj]
        assert trial.constraints == {
            "max_latency_ms": pytest.approx(candidate.latency_ms / 0.6 - 1.0),
            "max_energy_mj": -1.0,
            "max_parameters": -1.0,
            "max_multiply_adds": -1.0,
        }
        assert trial.user_attrs["status"] == "infeasible"
    assert not {candidate.digest for candidate in view.pareto()} & {candidate.digest for candidate in infeasible}


def test_duplicates_are_told_with_the_stored_values(job: Job, url: str) -> None:
    evaluator = TableEvaluator()
    view = search(replace(job, space=FEW, trials=6), evaluator)
    duplicates = [candidate for candidate in view.candidates() if candidate.status == "duplicate"]
    assert duplicates
    assert len(evaluator.trained) == len(set(evaluator.trained)) == 6
    trials = open_optuna(url).trials
    for candidate in duplicates:
        trial = trials[candidate.trial]
        assert trial.state == COMPLETE
        assert trial.values == [accuracy_of(candidate.architecture), candidate.latency_ms, candidate.energy_mj]
        original = int(trial.user_attrs["status"].removeprefix("duplicate of "))
        assert view.candidate(original).status == "complete"
        assert candidate.reason == f"the network of trial {original}"
        assert view.curve(candidate.trial) == view.curve(original)


def test_equal_networks_of_different_parameters_are_one_candidate(job: Job, url: str) -> None:
    """Without a second module identity changes nothing."""
    search(replace(job, space=FEW, trials=1))
    study = open_optuna(url)
    for identity in (0, 1):
        study.enqueue_trial({"stage3.layers": 0, "stage4.modules": 0, "identity": identity})
    search(replace(job, space=FEW))
    by_digest: dict[str, set[str]] = {}
    for trial in study.trials:
        by_digest.setdefault(trial.user_attrs["digest"], set()).add(str(sorted(trial.params.items())))
    assert max(map(len, by_digest.values())) == 2


def test_after_twenty_duplicates_an_unseen_member_is_drawn(job: Job, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(optuna.samplers.BaseSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return {}

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            return {}

        def sample_independent(self, study: Any, trial: Any, name: Any, distribution: Any) -> int:
            return 0

    monkeypatch.setattr("osanas.engine.samplers.make_sampler", lambda *_: Stuck())
    view = search(replace(job, trials=3), patience=Patience(duplicates_before_random=4))
    check_study(url, 3)
    statuses = [candidate.status for candidate in view.candidates()]
    assert statuses == ["complete", *["duplicate"] * 4, "complete", *["duplicate"] * 2, "complete"]


@pytest.mark.filterwarnings("ignore:PedAnova")
def test_optuna_alone_shows_the_study(job: Job, url: str) -> None:
    view = search(job)
    study = open_optuna(url)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    assert study.metric_names == ["accuracy", "latency_ms", "energy_mj"]
    space = SearchSpace.from_dict(SMALL)
    for trial in study.trials:
        candidate = view.candidate(trial.number)
        assert NetworkShape(8, 1, 10, 1).canonical(space.decode(trial.params)) == candidate.architecture
        assert trial.user_attrs["epochs"] == 2
        assert trial.user_attrs["parameters"] == candidate.parameters
        assert trial.user_attrs["multiply_adds"] == candidate.multiply_adds
        assert trial.user_attrs["architecture"] == str(candidate.architecture)
    front = {trial.number for trial in study.best_trials}
    assert {candidate.trial for candidate in view.pareto()} <= front
    assert optuna.importance.get_param_importances(study, target=lambda trial: -trial.values[0])


def test_the_dashboard_opens_the_study(job: Job, url: str) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="the dashboard extra is not installed")
    search(job)
    application = dashboard.wsgi(url)
    found: list[str] = []

    def answer(status: str, headers: Any, _: Any = None) -> None:
        found.append(status)

    request = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/studies",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
        "wsgi.errors": None,
    }
    body = b"".join(application(request, answer)).decode()
    assert found == ["200 OK"]
    assert '"study_name": "s"' in body


# failures -----------------------------------------------------------------------------------------------------------


def test_a_candidates_failure_is_recorded_and_the_search_goes_on(job: Job, url: str) -> None:
    def failure(_: Architecture, count: int) -> BaseException | None:
        return {1: CandidateError("diverged", "The loss is nan in epoch 1."), 3: RuntimeError("shapes\n  differ")}.get(
            count
        )

    view = search(job, TableEvaluator(failure=failure))
    check_study(url, 6)
    failed = [candidate for candidate in view.candidates() if candidate.status == "failed"]
    assert [candidate.reason for candidate in failed] == ["The loss is nan in epoch 1.", "RuntimeError: shapes differ"]
    for candidate in failed:
        trial = open_optuna(url).trials[candidate.trial]
        assert trial.state == FAIL
        assert trial.user_attrs["reason"] == candidate.reason
        assert candidate.accuracy is None
        assert candidate.latency_ms is not None


@pytest.mark.parametrize("error", [CandidateError("out_of_memory", "It needs 3 GB."), MemoryError(), ValueError("x")])
def test_five_equal_failures_in_a_row_stop_the_search(job: Job, url: str, error: BaseException) -> None:
    with pytest.raises(SearchFailed, match="5 candidates in a row failed for the same reason: ") as caught:
        search(job, TableEvaluator(failure=lambda *_: error))
    assert caught.value.exit_code == 1
    assert "run the same command" in caught.value.fix
    store = Store.open(url)
    evaluations = store.evaluations(store.study("s").id)
    assert [evaluation.status for evaluation in evaluations] == ["failed"] * 5
    assert all(trial.state == FAIL for trial in open_optuna(url).trials)


def test_alternating_reasons_do_not_stop_it(job: Job, url: str) -> None:
    def failure(_: Architecture, count: int) -> BaseException | None:
        return CandidateError("diverged" if count % 2 else "build", "It fails.") if count < 12 else None

    search(job, TableEvaluator(failure=failure))
    check_study(url, 6)


def test_a_success_between_failures_does_not_stop_it(job: Job, url: str) -> None:
    search(job, TableEvaluator(failure=lambda _, count: None if count % 5 == 4 else MemoryError()))
    check_study(url, 6)


@pytest.mark.parametrize("accuracy", [math.nan, math.inf])
def test_a_figure_that_is_no_number_is_a_failure(job: Job, url: str, accuracy: float) -> None:
    class Odd(TableEvaluator):
        def train(self, architecture: Architecture, **options: Any) -> Trained:
            done = super().train(architecture, **options)
            return Trained(accuracy, 0.1) if len(self.trained) == 2 else done

    view = search(job, Odd())
    check_study(url, 6)
    failed = [candidate for candidate in view.candidates() if candidate.status == "failed"]
    assert [candidate.reason for candidate in failed] == [f"Its accuracy is {accuracy}."]


def test_a_cost_that_cannot_be_measured_is_no_zero(job: Job, url: str) -> None:
    class Unmetered(TableEvaluator):
        def measure_search(self, architecture: Architecture) -> CandidateCosts:
            return replace(costs_of(architecture), energy_mj=None)

    view = search(replace(job, options={"objectives": ["accuracy", "latency_ms"]}), Unmetered())
    check_study(url, 6)
    assert {candidate.energy_mj for candidate in view.candidates()} == {None}
    with pytest.raises(SearchFailed, match="energy_mj could not be measured, limit 3"):
        search(replace(job, storage=f"{url}2", space=FEW, options={"max_energy_mj": 3.0}), Unmetered())


def test_nothing_within_the_limits_names_the_closest(job: Job, url: str) -> None:
    evaluator = TableEvaluator()
    with pytest.raises(SearchFailed, match="12 candidates in a row broke a limit before training") as caught:
        search(replace(job, options={"max_latency_ms": 0.2}), evaluator, patience=Patience(infeasible_in_a_row=12))
    assert evaluator.trained == []
    candidates = open_study("s", url).candidates()
    assert len(candidates) == 12
    # beside the candidates the yardstick of the hypervolume
    assert len(set(evaluator.measured)) == len(evaluator.measured) == 13
    nearest = min(candidates, key=lambda c: (c.latency_ms or 0.0, c.trial))
    expected = f"The closest was trial {nearest.trial}: latency_ms {nearest.latency_ms:,.6g} over the limit 0.2."
    assert expected in str(caught.value)
    assert caught.value.fix.startswith("Relax the limit")


def test_the_closest_is_none_that_fits_by_now(job: Job, url: str) -> None:
    soon = Patience(infeasible_in_a_row=5)
    with pytest.raises(SearchFailed):
        search(replace(job, options={"max_latency_ms": 0.2}), patience=soon)
    with pytest.raises(SearchFailed, match=r"The closest was trial \d+: parameters [\d,]+ over the limit 10\."):
        search(replace(job, options={"max_parameters": 10}), patience=soon)


def test_a_space_without_a_feasible_member_ends_with_the_closest(job: Job) -> None:
    with pytest.raises(SearchFailed, match="ended without a trained candidate") as caught:
        search(replace(job, space=FEW, options={"max_latency_ms": 0.3}))
    assert "The closest was trial" in caught.value.problem
    assert "latency_ms 0.36 over the limit 0.3" in caught.value.problem


# the Python interface -----------------------------------------------------------------------------------------------


def test_the_public_function(folder: Path) -> None:
    done: list[Candidate] = []
    view = osanas.search(
        {**SMALL, "start_from": [start()]},
        5,
        measurer=TableEvaluator(),
        trainer=TableEvaluator(),
        data="cifar10",
        sampler="random",
        objectives=["accuracy", "latency_ms"],
        rungs=[3],
        seed=1,
        on_candidate=done.append,
    )
    assert view.name == "small-cifar10"
    assert (folder / "studies" / "small-cifar10" / "study.db").is_file()
    assert view.candidates() == done
    assert {candidate.epochs for candidate in done} == {3}
    opened = osanas.open_study("small-cifar10")
    assert opened.pareto() == view.pareto() != []
    frame = opened.to_dataframe()
    assert list(frame["trial"]) == list(range(len(done)))
    assert sum(frame["repeat"] == 0) == 5
    assert all(frame["repeat"] <= 1)
    assert frame["accuracy"].notna().all()


def test_arguments_go_before_the_configuration(url: str) -> None:
    config = StudyConfig(study="s", trials=9, epochs=4, objectives=("accuracy",))
    view = osanas.search(
        SearchSpace.from_dict(SMALL),
        2,
        config=config,
        measurer=TableEvaluator(),
        trainer=TableEvaluator(),
        storage=url,
        epochs=1,
    )
    assert (view.record.config.trials, view.record.config.rungs, view.objectives) == (2, (1,), ("accuracy",))


def test_wrong_arguments_are_all_reported() -> None:
    with pytest.raises(ConfigError) as caught:
        osanas.search("tiny", 0, epochs=-1, sampler="tpa", measurer=TableEvaluator(), trainer=TableEvaluator())  # type: ignore[arg-type]
    assert {problem.key for problem in caught.value.problems} == {"trials", "epochs", "sampler"}
    assert "Did you mean 'tpe'?" in str(caught.value)


def test_an_unknown_space(url: str) -> None:
    with pytest.raises(UsageError, match="Did you mean 'tiny'"):
        osanas.search("tinny", 2, measurer=TableEvaluator(), trainer=TableEvaluator(), storage=url)


def test_energy_without_a_meter_is_refused_before_anything(job: Job, url: str) -> None:
    with pytest.raises(UsageError, match="there is no meter and no estimate"):
        search(replace(job, options={"objectives": ["accuracy", "energy_mj"]}), TableEvaluator(energy_source=None))
    with pytest.raises(UsageError, match="--energy none"):
        search(replace(job, options={"objectives": ["energy_mj"], "energy": "none"}))
    view = search(replace(job, options={"energy": "none"}), TableEvaluator(energy_source=None))
    assert view.objectives == ("accuracy", "latency_ms")


def test_unknown_studies(job: Job, url: str) -> None:
    with pytest.raises(StudyError, match=r"There is no database .*studies/nothing/study\.db"):
        open_study("nothing")
    search(replace(job, trials=1))
    with pytest.raises(StudyError, match=r"There is no study 'S2'"):
        open_study("S2", url)
    with pytest.raises(StudyError, match="has no trial 99") as caught:
        open_study("s", url).candidate(99)
    assert "Its trials are 0 to 0." in caught.value.fix


def test_an_optuna_study_of_another_program_is_not_used(job: Job, url: str) -> None:
    study = optuna.create_study(storage=url, study_name="s", directions=["maximize", "minimize", "minimize"])
    study.add_trial(optuna.create_trial(values=[1.0, 1.0, 1.0]))
    with pytest.raises(StudyError, match="another program's Optuna study named 's'"):
        search(job)
    view = search(replace(job, options={"study": "mine"}))
    assert len(view.candidates()) >= 6
    assert len(study.trials) == 1


def test_several_studies_in_one_database(job: Job, url: str) -> None:
    first = search(job)
    other = search(replace(job, space=FEW, trials=3, options={"study": "other"}))
    assert len({candidate.digest for candidate in other.candidates()}) == 3
    assert first.candidates() == open_study("s", url).candidates()
    summaries = Store.open(url).summaries()
    assert [(summary.name, summary.counts["complete"]) for summary in summaries] == [("s", 6), ("other", 3)]


def test_events(job: Job) -> None:
    events: list[Event] = []
    view = search(job, listener=events.append)
    done = [event for event in events if isinstance(event, CandidateDone)]
    assert [event.candidate for event in done] == view.candidates()
    assert [event.trained for event in done if event.candidate.status == "complete"] == [1, 2, 3, 4, 5, 6]
    assert {event.target for event in done} == {6}
    assert done[-1].front_size == len(view.pareto())
    assert done[-1].hypervolume == view.front().hypervolume
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert [(event.point.epoch, event.epochs) for event in epochs] == [(1, 2), (2, 2)] * 6


def test_no_connection_and_no_noise_are_left(job: Job, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    view = search(job)
    view._store.close()
    assert [file.path for file in psutil.Process().open_files() if file.path.startswith(str(folder))] == []
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
