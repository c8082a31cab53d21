from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def url(folder: Path) -> str:
    """An SQLite database that is not there yet."""
    return f"sqlite:///{folder / 's.db'}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """One server for each test process."""
    with postgres.server() as running:
        yield running


@pytest.fixture
def postgres_url(postgres_server: postgres.Server) -> str:
    """A new database of the server."""
    return postgres_server.new_database()
