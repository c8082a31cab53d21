from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import filelock
import optuna
import psycopg
import pytest
import sqlalchemy as sa

from osanas.engine.optuna_study import optuna_study
from osanas.errors import EnvironmentFailure, MissingExtraError, OsanasError, StudyError, UsageError
from osanas.store.database import (
    creation_lock,
    database_failure,
    masked,
    open_engine,
    parse_url,
    sqlite_path,
)
from osanas.store.store import Store
from osanas.store.tables import Base
from tests.fakes import ROOT, SMALL, Job, run, search

SECRET = "pa55-w0rd"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "s.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


# addresses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_bare_postgresql_address_gets_the_installed_driver(scheme: str) -> None:
    assert parse_url(f"{scheme}://u@h/d").drivername == "postgresql+psycopg"


@pytest.mark.parametrize("text", ["study.db", "", "://", "postgresql://h:port/d", f"postgresql://u:x@y:{SECRET}@h/d"])
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UsageError, match="The value of --storage is no database URL") as caught:
        parse_url(text)
    assert "sqlite:///study.db" in caught.value.fix
    assert "%40" in caught.value.fix
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="in memory cannot hold a study"):
        parse_url(text)


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://u:{SECRET}@h/d",
        f"postgresql://u:{SECRET}/x@host/d",
        f"postgresql://h/d?user=u&password={SECRET}",
        f"postgresql://u:{SECRET}@h/d?sslmode=require&sslpassword={SECRET}",
        f"mysql://u:{SECRET}@h/d?passwd={SECRET}",
    ],
)
def test_passwords_are_masked(text: str) -> None:
    shown = masked(parse_url(text))
    assert SECRET not in shown
    assert "***" in shown
    assert ("sslmode=require" in shown) == ("sslmode" in text)


def test_other_parts_of_an_address_stay() -> None:
    assert masked(parse_url("sqlite:///a/b.db")) == "sqlite:///a/b.db"
    assert masked(parse_url("postgresql://u@h:5433/d")) == "postgresql+psycopg://u@h:5433/d"
    assert sqlite_path(parse_url("sqlite:///a/b.db")) == Path("a/b.db")
    assert sqlite_path(parse_url("postgresql://h/d")) is None


def test_a_driver_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="No driver for the database"):
        Store.open("oracle+nothing://u@h/d", create=True)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'osanas\[postgresql\]'"):
        Store.open("postgresql://u@h/d", create=True)


# creating and opening -----------------------------------------------------------------------------------------------


def test_creation_makes_folders_and_tables_with_our_prefix(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a/b/s.db"
    Store.open(url, create=True).close()
    store = Store.open(url)
    tables = sa.inspect(store.engine).get_table_names()
    assert set(tables) == set(Base.metadata.tables)
    assert all(table.startswith("osanas_") for table in tables)


def test_a_missing_database_is_not_made_for_reading(path: Path, url: str) -> None:
    with pytest.raises(StudyError, match=rf"There is no database {path}\.") as caught:
        Store.open(url)
    assert "osanas studies" in caught.value.fix
    assert not path.exists()


def test_an_empty_database_is_not_used_for_reading(path: Path, url: str) -> None:
    path.touch()
    with pytest.raises(StudyError, match="is not one of osanas: it is empty"):
        Store.open(url)
    Store.open(url, create=True)


@pytest.mark.parametrize("create", [False, True])
def test_a_foreign_database_is_refused_and_left_alone(path: Path, url: str, create: bool) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE birds (name)")
    with pytest.raises(StudyError, match=r"is not one of osanas: it holds other tables \(birds\)") as caught:
        Store.open(url, create=create)
    assert "--storage" in caught.value.fix
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("birds",)]


def test_an_optuna_database_may_be_shared(url: str) -> None:
    optuna.create_study(storage=url, study_name="other")
    with pytest.raises(StudyError, match="is not one of osanas"):
        Store.open(url)
    Store.open(url, create=True)
    assert optuna.get_all_study_names(url) == ["other"]


@pytest.mark.parametrize("content", [b"no database at all, only text\n" * 50, b"SQLite format 3\0" + bytes(2000)])
def test_a_corrupt_database(path: Path, url: str, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StudyError, match=f"The file {path} is no intact SQLite database") as caught:
        Store.open(url, create=True)
    assert caught.value.exit_code == 2
    assert "copy" in caught.value.fix
    assert path.read_bytes() == content


def test_a_damaged_page_found_later(path: Path, url: str) -> None:
    store = Store.open(url, create=True)
    store.close()
    pages = bytearray(path.read_bytes())
    pages[4096:] = b"\xa5" * (len(pages) - 4096)
    path.write_bytes(bytes(pages))
    with pytest.raises(StudyError, match="no intact SQLite database"):
        search(Job(str(path.parent), 1, SMALL, url))


def test_a_newer_schema(path: Path, url: str) -> None:
    Store.open(url, create=True).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE osanas_schema SET version = 7")
        connection.execute("DROP TABLE osanas_epochs")
    for create in (False, True):
        with pytest.raises(StudyError, match="has schema version 7, this osanas reads 4") as caught:
            Store.open(url, create=create)
        assert "the osanas version that wrote it" in caught.value.fix
    with closing(sqlite3.connect(path)) as connection:  # nothing was made in it
        assert ("osanas_epochs",) not in connection.execute("SELECT name FROM sqlite_master").fetchall()


def test_optuna_tables_of_another_version(path: Path, url: str) -> None:
    search(Job(str(path.parent), 1, SMALL, url))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9.9.0.a'")
    with pytest.raises(StudyError, match=r"Optuna's tables in the database .* are of another version"):
        search(Job(str(path.parent), 1, SMALL, url))


def test_a_creation_that_was_cut_off_goes_on(path: Path, url: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE osanas_measurements (id INTEGER PRIMARY KEY)")
    assert "osanas_schema" in sa.inspect(Store.open(url, create=True).engine).get_table_names()


def test_a_locked_database(path: Path, url: str) -> None:
    """Reading goes on beside another's transaction; writing waits for its end."""
    Store.open(url, create=True).close()
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        store = Store(open_engine(parse_url(url), create=False, timeout_s=0.1), parse_url(url))
        assert store.summaries() == []
        with pytest.raises(EnvironmentFailure, match="stayed locked by another program") as caught:
            store.write(lambda session: session.execute(sa.text("DELETE FROM osanas_leases")), patience_s=0.1)
        assert caught.value.exit_code == 3
        assert "Close what holds it open" in caught.value.fix
        holder.rollback()


def test_a_database_locked_while_it_is_opened(path: Path, url: str) -> None:
    path.touch()
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("CREATE TABLE osanas_x (id)")
        with pytest.raises(EnvironmentFailure, match="stayed locked"):
            open_engine(parse_url(url), create=True, timeout_s=0.1)


def test_a_creation_that_hangs(path: Path, url: str) -> None:
    with (
        filelock.FileLock(f"{path}.lock"),
        pytest.raises(EnvironmentFailure, match=f"Another process has been creating {path} for 0 seconds") as caught,
    ):
        open_engine(parse_url(url), create=True, timeout_s=0.2)
    assert f"remove {path}.lock" in caught.value.fix


@pytest.mark.parametrize("place", ["file.txt/s.db", "file.txt/a/s.db"])
def test_a_folder_that_cannot_be_made(path: Path, place: str) -> None:
    path.with_name("file.txt").touch()
    with pytest.raises(UsageError, match=r"The folder .*file\.txt.* cannot be written: ") as caught:
        Store.open(f"sqlite:///{path.parent}/{place}", create=True)
    assert "--storage" in caught.value.fix


def test_a_folder_that_may_not_be_written(path: Path, url: str) -> None:
    path.parent.chmod(0o555)
    try:
        code, text = _as_nobody(path, f"Store.open({url!r}, create=True)")
    finally:
        path.parent.chmod(0o755)
    assert code == 2, text
    assert f"The folder {path.parent} cannot be written: Permission denied. Make it writable" in text


@pytest.mark.parametrize("action", ["write(lambda s: s.execute(text('DELETE FROM osanas_leases')))", "study('s')"])
def test_a_read_only_file(path: Path, url: str, action: str) -> None:
    Store.open(url, create=True).close()
    path.chmod(0o444)
    path.with_name("s.db.lock").chmod(0o666)
    code, text = _as_nobody(path, f"Store.open({url!r}).{action}", owns_folder=True)
    assert code == 2, text
    if action.startswith("write"):
        assert f"The database {url} cannot be written (attempt to write a readonly database)" in text
        assert "Make the file and its folder writable" in text
    else:
        assert "There is no study 's'" in text


def _as_nobody(path: Path, action: str, *, owns_folder: bool = False) -> tuple[int, str]:
    """Runs a line of Python as a user without rights: root may write everywhere. Exit code and text of its error."""
    if os.getuid() == 0:
        if owns_folder:
            os.chown(path.parent, 65534, 65534)
        for parent in path.parent.parents:  # pytest's folders are closed to others
            if parent.name.startswith(("test_", "pytest-", "popen-")):
                parent.chmod(parent.stat().st_mode | 0o055)
    script = f"""
import os
from osanas.errors import OsanasError
from osanas.store.store import Store
from sqlalchemy import text
Store.open("sqlite:///{path.parent}/.loaded/s.db", create=True).close()
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    {action}
except OsanasError as error:
    print(error)
    os._exit(error.exit_code)
"""
    if not owns_folder:
        path.parent.chmod(0o755)
        (path.parent / ".loaded").mkdir()
        path.parent.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_full_disk_is_an_environment_failure(path: Path, url: str) -> None:
    """A limit on the size of files stands in for the disk; nothing finished is lost."""
    job = Job(str(path.parent), 60, SMALL, url)
    search(Job(str(path.parent), 2, SMALL, url))
    code, _, errors = run(Job(**{**vars(job), "max_file_bytes": path.stat().st_size + 120_000}))
    assert code == 3, errors
    assert "cannot grow" in errors
    assert "Free disk space" in errors
    assert "Traceback" not in errors
    view = search(Job(str(path.parent), 20, SMALL, url))
    assert sum(candidate.status == "complete" for candidate in view.candidates()) >= 20


@pytest.mark.parametrize(
    ("url", "cause", "kind", "text"),
    [
        ("sqlite:///s.db", "database or disk is full", EnvironmentFailure, "cannot grow"),
        ("sqlite:///s.db", "database is locked", EnvironmentFailure, "stayed locked"),
        ("sqlite:///s.db", "unable to open database file", UsageError, "cannot be written"),
        ("sqlite:///s.db", "something new", EnvironmentFailure, r"failed \(something new\)"),
        ("postgresql://u:x@h/d", "not successfully locked: malformed", EnvironmentFailure, r"u:\*\*\*@h/d failed"),
    ],
)
def test_causes_in_our_words(url: str, cause: str, kind: type[OsanasError], text: str) -> None:
    wrapped = sa.exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError(f"{cause}\n"))
    for error in (wrapped, RuntimeError(cause)):
        found = database_failure(parse_url(url), error)
        assert type(found) is kind
        assert found.fix
        with pytest.raises(kind, match=text):
            raise found


# settings of every connection ---------------------------------------------------------------------------------------


def test_every_sqlite_connection_has_its_settings(url: str) -> None:
    store = Store.open(url, create=True)
    with optuna_study(store, "s", ("accuracy",)) as study:
        backend: Any = study._storage._backend  # type: ignore[attr-defined]
        for engine in (store.engine, backend.engine):
            with engine.connect() as first, engine.connect() as second:
                for connection in (first, second):
                    assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
                    assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
                    assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000


def test_a_timeout_in_the_address_is_kept(url: str) -> None:
    store = Store.open(f"{url}?timeout=2.5", create=True)
    with optuna_study(store, "s", ("accuracy",)) as study:
        backend: Any = study._storage._backend  # type: ignore[attr-defined]
        for engine in (store.engine, backend.engine):
            with engine.connect() as connection:
                assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 2_500


def test_the_creation_lock_is_one_at_a_time(url: str) -> None:
    engine = Store.open(url, create=True).engine
    with creation_lock(engine), pytest.raises(EnvironmentFailure), creation_lock(engine, 0.05):
        pass
    with creation_lock(engine, 0.05):
        pass


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_while_a_database_is_made(path: Path, url: str, seed: int) -> None:
    script = f"import sys; from osanas.store.store import Store; print(1, flush=True); Store.open({url!r}, create=True)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    while not path.exists() and process.poll() is None:
        pass
    for _ in range(seed * 2000):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert set(sa.inspect(Store.open(url, create=True).engine).get_table_names()) == set(Base.metadata.tables)


def test_psycopg_never_names_the_password() -> None:
    """What a driver says becomes part of our messages."""
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(f"postgresql://u:{SECRET}@127.0.0.1:1/d", connect_timeout=2)
    assert SECRET not in str(caught.value)
