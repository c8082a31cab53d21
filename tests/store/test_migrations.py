"""Databases of an older osanas, made by the statements of that time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace
from osanas.results.study import StudyView
from osanas.store.migrations import migrate
from osanas.store.references import References
from osanas.store.store import Store
from osanas.store.tables import SCHEMA_VERSION, Base
from osanas.study.config import StudyConfig
from tests import postgres
from tests.fakes import FEW, SMALL, Job, check_study, search

MEMBER: Architecture = SearchSpace.from_dict(SMALL).smallest()
OLD = {name: (Path(__file__).parent / f"version_1_{name}.sql").read_text() for name in ("sqlite", "postgresql")}


SCHEMA_3 = {name: (Path(__file__).parent / f"version_3_{name}.sql").read_text() for name in ("sqlite", "postgresql")}
"""A search for 5 networks of ``FEW`` with rungs of 1 and 2 epochs, killed in the training of its last."""


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of version 1 with a study of one trained candidate."""
    address = f"sqlite:///{tmp_path / 's.db'}"
    if request.param == "postgresql":
        address = request.getfixturevalue("server").new_database()
    engine = sa.create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    statements = OLD[request.param].split(";")
    with engine.begin() as connection:
        for statement in statements:
            if "CREATE" in statement:
                connection.exec_driver_sql(statement)
        tables = sa.MetaData()
        tables.reflect(connection)

        def insert(table: str, **values: object) -> None:
            connection.execute(sa.insert(tables.tables[table]).values(**values))

        insert("osanas_schema", version=1)
        now = time.time()
        identity = {"objectives": ["accuracy", "latency_ms"], "energy_source": None, "epochs": 5}
        config = {**StudyConfig(sampler="tpe").to_dict(), "epochs": 5}
        del config["rungs"]
        insert(
            "osanas_studies", id=1, name="s", identity=identity, config=config, device={}, created_at=now, revision=0
        )
        insert("osanas_candidates", id=1, study_id=1, digest=MEMBER.digest, architecture=MEMBER.to_dict(), parameters=1)
        insert(
            "osanas_evaluations", id=1, study_id=1, candidate_id=1, epochs=5, trial=0, status="complete", accuracy=0.9,
            latency_ms=2.0, started_at=now,
        )  # fmt: skip
        insert("osanas_measurements", id=1, key_digest="m1:a", network="n", key={}, result={"i": 1}, measured_at=now)
    engine.dispose()
    return address


@pytest.fixture(params=["sqlite", "postgresql"])
def cut_off(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of version 3 with a search that was cut off."""
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "s.db")) as connection, connection:
            connection.executescript(SCHEMA_3["sqlite"])
        return f"sqlite:///{tmp_path / 's.db'}"
    running: postgres.Server = request.getfixturevalue("server")
    address = running.new_database()
    running.execute(SCHEMA_3["postgresql"], database=address.partition("@/")[2].partition("?")[0])
    return address


def test_an_older_database_is_brought_up_to_date_and_keeps_everything(url: str) -> None:
    store = Store.open(url)  # reading is enough
    view = StudyView(store, "s")
    (candidate,) = view.pareto()
    assert (candidate.accuracy, candidate.latency_ms, candidate.measurement_key) == (0.9, 2.0, None)
    assert (view.record.search_key, view.record.final_key) == (None, None)
    assert view.front().measured == "search"
    assert (view.rungs, view.record.config.rungs, view.record.config.sampler) == ((5,), (5,), "tpe")
    assert "epochs" not in view.record.identity
    assert view.savings().epochs_saved == 0
    kept = store.measurement_record("m1:a", "n")
    assert kept is not None
    assert kept.result == {"i": 1}
    with store.read() as session:
        assert session.scalar(sa.text("SELECT version FROM osanas_schema")) == SCHEMA_VERSION
    store.register_study("s", view.record.identity, view.record.config, {}, search_key="m1:k", final_key="m1:f")
    again = StudyView(Store.open(url), "s")
    assert (again.record.search_key, again.record.final_key) == ("m1:k", "m1:f")
    assert (again.pareto(), again.front().other_key) == ([], 1)
    references = References(store, 1, "m1:k")
    references.add(1.5, is_drift=True)
    references.add(1.0, is_drift=False)
    assert references.good_ms() == [1.0]
    references.flag_drift([("m1:a", "n")])
    assert store.measurements("m1:a", ["n"])["n"].flags == ("drift",)


def test_the_columns_are_those_of_a_new_database(url: str) -> None:
    engine = Store.open(url).engine
    for name, table in Base.metadata.tables.items():
        assert {column["name"] for column in sa.inspect(engine).get_columns(name)} == set(table.columns.keys()), name


def test_the_keys_are_those_of_a_new_database(cut_off: str, tmp_path: Path) -> None:
    def keys(url: str) -> dict[str, object]:
        found = sa.inspect(Store.open(url, create=True).engine)
        return {
            name: (
                {tuple(key["column_names"]) for key in found.get_unique_constraints(name)},
                {(key["referred_table"], *key["constrained_columns"]) for key in found.get_foreign_keys(name)},
                {column["name"] for column in found.get_columns(name) if not column["nullable"]},
            )
            for name in Base.metadata.tables
        }

    assert keys(cut_off) == keys(f"sqlite:///{tmp_path / 'new.db'}")


def test_an_older_search_goes_on_and_repeats_trainings(cut_off: str, tmp_path: Path) -> None:
    before = StudyView(Store.open(cut_off), "s").candidates()
    assert {one.repeat for one in before} == {0}
    assert [one.status for one in before].count("running") == 1
    job = Job(str(tmp_path), 5, FEW, cut_off, rungs=(1, 2), options={"confirm": 1})
    after = {one.trial: one for one in search(job).candidates()}
    assert all(after[one.trial] == one for one in before if one.status not in ("running", "waiting"))
    assert {one.repeat for one in after.values()} == {0, 1}
    check_study(cut_off, 5)


@pytest.mark.parametrize("statement", ["CREATE TABLE _alembic_tmp", "INSERT INTO _alembic_tmp", "DROP", "ALTER"])
def test_a_copied_table_appears_whole_or_not_at_all(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA_3["sqlite"])
    engine = sa.create_engine(f"sqlite:///{path}")
    seen: list[str] = []

    @sa.event.listens_for(engine, "after_cursor_execute")
    def _lost(*args: object) -> None:
        seen.append(str(args[2]).strip())
        if seen[-1].startswith(statement):
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError), engine.begin() as cut:
        migrate(cut, 3, 4)
    engine.dispose()
    evaluations = StudyView(Store.open(f"sqlite:///{path}"), "s").evaluations()
    assert len(evaluations) == 7


def test_several_that_open_it_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: Store.open(url), range(4)))
    assert [len(StudyView(store, "s").candidates()) for store in stores] == [1] * 4


def test_a_migration_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(OLD["sqlite"])
        connection.execute("INSERT INTO osanas_schema VALUES (1)")
        connection.execute("ALTER TABLE osanas_studies ADD COLUMN search_key VARCHAR(80)")
        connection.execute("DROP TABLE osanas_leases")
    engine = Store.open(f"sqlite:///{path}").engine
    assert {"search_key", "final_key"} <= {
        column["name"] for column in sa.inspect(engine).get_columns("osanas_studies")
    }
    assert sa.inspect(engine).has_table("osanas_leases")
    with engine.begin() as again:
        migrate(again, 1, SCHEMA_VERSION)  # nothing is left to do
