"""A private PostgreSQL server for tests, from the programs that are installed; skips with a reason without them."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "s3cret-w0rd"
"""Not needed to connect, but part of every address, so that tests can look for it."""


@dataclass(frozen=True)
class Server:
    """A running server on a socket of its own."""

    folder: Path
    process: subprocess.Popen[bytes]

    def address(self, database: str) -> str:
        """A URL as a user would write it."""
        return f"postgresql://osanas:{PASSWORD}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The URL of a new empty database."""
        name = f"d{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Runs a statement outside of any transaction."""
        import psycopg

        with psycopg.connect(host=str(self.folder), user="osanas", dbname=database, autocommit=True) as connection:
            connection.execute(statement.encode())


def programs() -> Path | None:
    """The folder of the newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3].zfill(4))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return None if on_path is None else Path(on_path).resolve().parent


@contextmanager
def server() -> Iterator[Server]:
    """Starts a server; PostgreSQL refuses to run as root, so root starts it as another user."""
    bin_folder = programs()
    if bin_folder is None:
        pytest.skip("PostgreSQL's server programs are not installed (Debian: postgresql)")
    pytest.importorskip("psycopg")
    prefix = _as_another_user()
    # no pytest folder: only its owner may enter those, and a socket's path holds at most 107 bytes
    folder = Path(tempfile.mkdtemp(prefix="osanas-pg-"))
    if prefix:
        owner = _server_user()
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    try:
        _run([*prefix, str(bin_folder / "initdb"), "-D", str(folder / "data"), "-U", "osanas"], folder)
        settings = ("listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "full_page_writes=off")
        command = [*prefix, str(bin_folder / "postgres"), "-D", str(folder / "data")]
        command += [part for setting in settings for part in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        started = Server(folder, process)
        try:
            _wait(started)
            yield started
        finally:
            process.send_signal(signal.SIGQUIT)  # at once, as its data are thrown away
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str], folder: Path) -> None:
    options = ["-A", "trust", "-N", "-E", "UTF8", "--no-locale"]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"PostgreSQL's initdb fails here: {done.stderr.strip()[-300:]}")


def _wait(started: Server) -> None:
    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            started.execute("SELECT 1")
        except psycopg.OperationalError:
            if started.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL does not start: {(started.folder / 'log').read_text()[-1000:]}")
            time.sleep(0.05)
        else:
            return


def _as_another_user() -> list[str]:
    """The beginning of a command line that root needs. The server stops when the tests die."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0:
        return [] if setpriv is None else [setpriv, "--pdeathsig", "INT"]
    if setpriv is None:
        pytest.skip("PostgreSQL does not run as root, and there is no setpriv to become another user")
    user = _server_user()
    return [
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--pdeathsig",
        "INT",
    ]


def _server_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")
