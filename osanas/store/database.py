"""Opening a database: SQLite settings, creation by one process at a time, errors a user can act on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy import exc
from sqlalchemy.engine import URL, Engine, make_url

from osanas.errors import EnvironmentFailure, MissingExtraError, OsanasError, StudyError, UsageError
from osanas.store.migrations import migrate
from osanas.store.tables import PREFIX, SCHEMA_VERSION, Base, SchemaRow

SQLITE_TIMEOUT_S = 60.0
"""How long a connection waits for another's transaction (facts of Optuna's own users: 5 s is too short)."""

_ADVISORY_LOCK = 0x6F73616E6173
"""PostgreSQL's number of the lock under which tables are made."""


def parse_url(text: str) -> URL:
    """Reads a database URL; a bare ``postgresql://`` gets the driver that osanas installs.

    Raises:
        UsageError: It is no database URL. The text is not repeated, as it may hold a password.
    """
    try:
        url = make_url(text)
    except (exc.ArgumentError, ValueError):  # a ValueError: no number where the port should be
        raise UsageError(
            "The value of --storage is no database URL.",
            "Write one such as sqlite:///study.db or postgresql://user:password@host/database; "
            "in a password, write '@', ':' and '/' as %40, %3A and %2F.",
        ) from None
    if url.drivername in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and sqlite_path(url) is None:
        raise UsageError(
            "A database in memory cannot hold a study: it ends with the process and is closed to other workers.",
            "Name a file, as in sqlite:///study.db.",
        )
    return url


def masked(url: URL) -> str:
    """The URL without its passwords, for messages: drivers take them among the options after ``?`` as well."""
    hidden = {key: "***" for key in url.query if "pass" in key.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def sqlite_path(url: URL) -> Path | None:
    """The file of an SQLite URL, or None for another database or one in memory."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def engine_options(url: URL, timeout_s: float = SQLITE_TIMEOUT_S) -> dict[str, Any]:
    """Keyword arguments of ``create_engine``, for our connections and Optuna's alike. A timeout in the URL stays."""
    if url.get_backend_name() == "sqlite":
        return {} if "timeout" in url.query else {"connect_args": {"timeout": timeout_s}}
    return {"pool_pre_ping": True}


def tune(engine: Engine) -> None:
    """Sets what SQLite forgets with each connection: WAL, synchronous NORMAL."""
    if engine.dialect.name != "sqlite":
        return

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: sqlite3.Connection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()


@contextmanager
def creation_lock(engine: Engine, timeout_s: float = SQLITE_TIMEOUT_S) -> Iterator[None]:
    """Holds off other workers while tables are made: two that make them at once fail in many ways.

    Args:
        engine: Of the database.
        timeout_s: How long to wait for another process, in seconds; a server's lock is waited for as long as it takes.
    """
    path = sqlite_path(engine.url)
    if path is None:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            yield
        return
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=timeout_s)
    try:
        lock.acquire()
    except Timeout:
        raise EnvironmentFailure(
            f"Another process has been creating {path} for {timeout_s:.0f} seconds.",
            f"Wait for it to end, or remove {path}.lock if no osanas process is left, and run the same command again.",
        ) from None
    except OSError as error:
        raise _unwritable(path.parent, error) from None
    try:
        yield
    finally:
        lock.release()


def open_engine(url: URL, *, create: bool, timeout_s: float = SQLITE_TIMEOUT_S) -> Engine:
    """Connects, makes our tables where they are missing, and brings those of an older osanas up to date.

    Args:
        url: From ``parse_url``.
        create: Whether a missing database may be made.
        timeout_s: How long to wait for SQLite's lock.

    Raises:
        StudyError: The file is missing, no database, of another program, or of a newer osanas.
        UsageError: The folder cannot be written.
        EnvironmentFailure: The server cannot be reached.
    """
    path = sqlite_path(url)
    if path is not None:
        if not create and not path.is_file():
            raise StudyError(
                f"There is no database {path}.", "Check --study and --storage; 'osanas studies' lists studies."
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path.parent, error) from None
    try:
        engine = sa.create_engine(url, **engine_options(url, timeout_s))
    except (ModuleNotFoundError, exc.NoSuchModuleError) as error:
        if url.get_backend_name() == "postgresql":
            raise MissingExtraError("psycopg", "postgresql", "A PostgreSQL study") from None
        raise UsageError(
            f"No driver for the database {masked(url)} is installed ({error}).",
            "Install the driver that the URL names.",
        ) from None
    tune(engine)
    try:
        with database_errors(url), creation_lock(engine, timeout_s):
            _prepare(engine, create=create)
    except OsanasError:
        engine.dispose()
        raise
    return engine


def _prepare(engine: Engine, *, create: bool) -> None:
    tables = set(sa.inspect(engine).get_table_names())
    ours = any(table.startswith(PREFIX) for table in tables)  # SQLite may hold a part: it makes each on its own
    if not ours and (not create or (tables and "version_info" not in tables)):
        found = f"holds other tables ({', '.join(sorted(tables)[:5])})" if tables else "is empty"
        raise StudyError(
            f"The database {masked(engine.url)} is not one of osanas: it {found}.",
            "Give a database of its own with --storage.",
        )
    with engine.begin() as connection:
        Base.metadata.create_all(connection, tables=[Base.metadata.tables[SchemaRow.__tablename__]])
        version = connection.scalar(sa.select(sa.func.max(SchemaRow.version)))
        if version is None:
            connection.execute(sa.insert(SchemaRow).values(version=SCHEMA_VERSION))
        elif version > SCHEMA_VERSION:
            raise StudyError(
                f"The database {masked(engine.url)} has schema version {version}, this osanas reads {SCHEMA_VERSION}.",
                "Use the osanas version that wrote it, or start a new study.",
            )
        elif version < SCHEMA_VERSION:
            migrate(connection, version, SCHEMA_VERSION)
            connection.execute(sa.update(SchemaRow).values(version=SCHEMA_VERSION))
        Base.metadata.create_all(connection)


@contextmanager
def database_errors(url: URL) -> Iterator[None]:
    """Turns a driver's errors into ours: a wrong file is the user's mistake, a lost connection the environment's."""
    try:
        yield
    except exc.DBAPIError as error:
        raise database_failure(url, error) from error


def database_failure(url: URL, error: BaseException) -> OsanasError:
    """Our error for one of SQLAlchemy or a driver."""
    original = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    cause = " ".join(str(original).split())[:300]
    lowered = cause.lower()
    if url.get_backend_name() != "sqlite":
        return EnvironmentFailure(
            f"The database {masked(url)} failed ({cause}).",
            "Check that it runs and that name and password are right, then run the same command again.",
        )
    if "not a database" in lowered or "malformed" in lowered:
        return StudyError(
            f"The file {sqlite_path(url)} is no intact SQLite database ({cause}).",
            "Restore it from a copy, or name another with --storage.",
        )
    if "readonly" in lowered or "unable to open" in lowered:
        return UsageError(
            f"The database {masked(url)} cannot be written ({cause}).",
            "Make the file and its folder writable, or name another place with --storage.",
        )
    if "locked" in lowered:
        return EnvironmentFailure(
            f"The database {masked(url)} stayed locked by another program.",
            "Close what holds it open (a database browser, an unfinished transaction) and run the same command again.",
        )
    if "full" in lowered or "disk i/o" in lowered:
        return EnvironmentFailure(
            f"The database {masked(url)} cannot grow ({cause}).", "Free disk space and run the same command again."
        )
    return EnvironmentFailure(f"The database {masked(url)} failed ({cause}).", "Run the same command again.")


def _unwritable(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        f"The folder {folder} cannot be written: {error.strerror or error}.",
        "Make it writable or free space, or name another place with --storage.",
    )
