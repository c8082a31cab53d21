"""Several processes work on one study, on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from osanas.errors import EnvironmentFailure, StudyError
from osanas.results.documents import pareto_document
from osanas.results.places import open_study
from osanas.store.database import parse_url
from osanas.store.leases import Pace
from osanas.store.store import Store
from osanas.study.events import Event
from tests import fakes, postgres
from tests.fakes import FEW, SMALL, Job, TableEvaluator, check_study, finish, launch, run, search, start


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def any_url(request: pytest.FixtureRequest) -> str:
    """A database that is not there, or empty."""
    return str(request.getfixturevalue("url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
def job(folder: Path, any_url: str) -> Job:
    space = {**SMALL, "start_from": [start(), start(stage3=2), start(stage3=3), start(stage5=2)]}
    return Job(str(folder), 10, space, any_url, log=str(folder / "log"), epoch_s=0.02)


def _all_succeed(processes: list[subprocess.Popen[str]]) -> None:
    for code, _, errors in [finish(process) for process in processes]:
        assert code == 0, errors
        assert "Traceback" not in errors


@pytest.mark.parametrize(("workers", "sampler"), [(2, "random"), pytest.param(3, "tpe", marks=pytest.mark.slow)])
def test_workers_together_reach_exactly_the_total(job: Job, any_url: str, workers: int, sampler: str) -> None:
    """All create the database at once, and begin with the same starting points."""
    _all_succeed([launch(replace(job, sampler=sampler)) for _ in range(workers)])
    check_study(any_url, 10, log=Path("log"))


@pytest.mark.slow
def test_workers_exhaust_a_space_together(job: Job, any_url: str) -> None:
    """Nearly every proposal is a duplicate, often of a network that another worker trains: it waits for its result."""
    _all_succeed([launch(replace(job, space=FEW, trials=40, seed=seed, epoch_s=0.1)) for seed in range(2)])
    check_study(any_url, 6, log=Path("log"))


@pytest.mark.slow
@pytest.mark.parametrize("rungs", [(2,), pytest.param((1, 2, 4), marks=pytest.mark.slow)])
def test_a_killed_worker_is_replaced_by_the_one_that_lives(job: Job, any_url: str, rungs: tuple[int, ...]) -> None:
    job = replace(job, rungs=rungs)
    dying = launch(replace(job, die=("after an epoch", 3)))
    living = launch(job)
    assert finish(dying)[0] == 9
    _all_succeed([living])
    check_study(any_url, 10, log=Path("log"))


@pytest.mark.slow
def test_another_sampler_beside(folder: Path, url: str) -> None:
    """GP and NSGA-II read the running and the duplicate trials of another worker as well."""
    job = Job(str(folder), 12, SMALL, url, log=str(folder / "log"))
    _all_succeed([launch(replace(job, sampler=sampler)) for sampler in ("gp", "nsga2")])
    check_study(url, 12, log=Path("log"))


def test_a_duplicate_of_a_running_network_waits(folder: Path, url: str) -> None:
    """One worker holds the last network that is left; another's proposals of it get its result."""
    space = {**start(), "name": "one"}
    slow = launch(Job(str(folder), 1, space, url, epoch_s=0.4))
    assert slow.stdout is not None
    assert slow.stdout.readline() == "started\n"
    assert slow.stdout.readline() == "CandidateStarted\n"
    store = Store.open(url)
    record = store.study("s")
    (running,) = store.evaluations(record.id)
    study = fakes.open_optuna(url)
    trial = study.ask()
    store.add_duplicate(record.id, trial.number, running.evaluation)
    waiting = store.candidates(record.id)[1]
    assert (waiting.status, waiting.reason, waiting.accuracy) == ("waiting", "the network of trial 0", None)
    _all_succeed([slow])
    duplicate = store.candidates(record.id)[1]
    assert duplicate.status == "duplicate"
    assert study.trials[1].values[0] == duplicate.accuracy == fakes.accuracy_of(duplicate.architecture)
    check_study(url, 1)


@pytest.mark.slow
def test_many_processes_create_a_database_at_once(folder: Path, any_url: str) -> None:
    """Each makes another study in it, so none can wait for the tables of another."""
    job = Job(str(folder), 1, FEW, any_url)
    _all_succeed([launch(replace(job, options={"study": f"s{number}"})) for number in range(5)])
    assert len(Store.open(any_url).summaries()) == 5


def test_a_second_worker_waits_for_the_last_trial_of_another(folder: Path, url: str) -> None:
    slow = launch(Job(str(folder), 1, SMALL, url, epoch_s=0.5))
    assert slow.stdout is not None
    assert [slow.stdout.readline() for _ in range(2)] == ["started\n", "CandidateStarted\n"]
    events: list[str] = []
    search(Job(str(folder), 1, SMALL, url), listener=lambda event: events.append(type(event).__name__))
    assert events.count("Waiting") >= 2
    assert "CandidateStarted" not in events
    assert slow.poll() is not None or finish(slow)[0] == 0
    check_study(url, 1)


# PostgreSQL ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_kill_9_on_postgresql(folder: Path, postgres_url: str) -> None:
    job = Job(str(folder), 6, SMALL, postgres_url, log=str(folder / "log"))
    for point in ("after the trial of a claim", "after asking", "after the result"):
        assert run(replace(job, die=(point, 1), space={**SMALL, "start_from": [start()]}))[0] == 9
    search(job)
    check_study(postgres_url, 6, log=Path("log"))


def test_large_counts_fit(folder: Path, postgres_url: str) -> None:
    """VoVNet-39 has 15.6 thousand million multiply-adds, beyond 32 bits."""
    view = search(Job(str(folder), 2, SMALL, postgres_url))
    assert all((candidate.multiply_adds or 0) > 2**34 for candidate in view.candidates())


def test_a_password_is_stored_and_printed_nowhere(
    folder: Path, postgres_url: str, postgres_server: postgres.Server, capfd: pytest.CaptureFixture[str]
) -> None:
    events: list[Event] = []
    view = search(Job(str(folder), 2, SMALL, postgres_url), listener=events.append)
    assert postgres.PASSWORD in postgres_url
    assert postgres.PASSWORD not in repr(events)
    assert "***" in repr(events[0])
    assert postgres.PASSWORD not in repr([vars(record) for record in (view.record, *view.candidates())])
    engine = Store.open(postgres_url).engine
    with engine.connect() as connection:
        for table in sa.inspect(engine).get_table_names():
            assert postgres.PASSWORD not in repr(connection.execute(sa.text(f'SELECT * FROM "{table}"')).all())
    assert postgres.PASSWORD not in "".join(capfd.readouterr())


def test_a_server_that_is_away_is_an_environment_failure(folder: Path, postgres_server: postgres.Server) -> None:
    with pytest.raises(EnvironmentFailure, match="nowhere") as caught:
        Store.open(postgres_server.address("nowhere"), create=True)
    gone = f"postgresql://osanas:{postgres.PASSWORD}@/d?host={folder}"
    with pytest.raises(EnvironmentFailure) as lost:
        Store.open(gone, create=True)
    for error in (caught.value, lost.value):
        assert error.exit_code == 3
        assert "Check that it runs" in error.fix
        assert postgres.PASSWORD not in str(error)


@pytest.mark.parametrize("stays_away", [False, True])
def test_a_server_that_goes_away_in_the_middle(
    folder: Path, postgres_server: postgres.Server, stays_away: bool
) -> None:
    """While a candidate trains: sessions that are cut are opened again; a database that stays closed ends the run."""
    soon = Pace(poll_s=0.05, database_s=1.0, closing_s=0.5)
    url = postgres_server.new_database()
    name = parse_url(url).database
    cuts: list[str] = []

    def listener(event: Event) -> None:
        if type(event).__name__ == "CandidateStarted" and len(cuts) < 2:
            cuts.append(name or "")
            if stays_away and len(cuts) == 2:
                postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            postgres_server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    job = Job(str(folder), 4, SMALL, url, log=str(folder / "log"))
    if not stays_away:
        search(job, listener=listener, pace=soon)
        assert len(cuts) == 2
    else:
        with pytest.raises(EnvironmentFailure) as caught:
            search(job, listener=listener, pace=soon)
        assert caught.value.exit_code == 3
        postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        # the lease could not be given back; its process still lives here, as it would not after a real run
        store = Store.open(url)
        store.write(lambda session: session.execute(sa.text("DELETE FROM osanas_leases")))
        search(job)
    check_study(url, 4, log=Path("log"))


def test_a_foreign_database_is_left_alone(postgres_url: str, postgres_server: postgres.Server) -> None:
    postgres_server.execute("CREATE TABLE mine (id int)", parse_url(postgres_url).database or "")
    with pytest.raises(StudyError, match=r"is not one of osanas: it holds other tables \(mine\)"):
        Store.open(postgres_url, create=True)
    with psycopg.connect(
        host=str(postgres_server.folder), user="osanas", dbname=parse_url(postgres_url).database
    ) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert found == [("mine",)]


def test_the_same_call_works_on_both(folder: Path, url: str, postgres_url: str) -> None:
    """One worker with one seed finds the same candidates on each database."""
    views: list[Any] = [
        search(Job(str(folder), 5, SMALL, address, sampler="tpe"), TableEvaluator()) for address in (url, postgres_url)
    ]
    found = [[replace(c, started_at=None, finished_at=None) for c in view.candidates()] for view in views]
    assert found[0] == found[1]
    assert pareto_document(views[0]) == pareto_document(views[1])
    assert [view.name for view in views] == ["s", "s"]
    assert open_study("s", postgres_url).candidates() == views[1].candidates()
