"""Where studies lie, and opening one for reading."""

from __future__ import annotations

from pathlib import Path

from osanas.errors import StudyError
from osanas.results.study import StudyView
from osanas.store.store import Store

STUDIES = Path("studies")


def study_folder(name: str) -> Path:
    """Where a study's database, checkpoints and reports lie, in the working directory."""
    return STUDIES / name


def storage_url(name: str, storage: str | None) -> str:
    """The database of a study: the one given, or a file of its own."""
    return storage if storage is not None else f"sqlite:///{study_folder(name) / 'study.db'}"


def open_study(name: str, storage: str | None = None) -> StudyView:
    """Opens a stored study for reading.

    Args:
        name: The study's name.
        storage: Its database URL; None is ``studies/<name>/study.db``.

    Raises:
        StudyError: There is no such study.
    """
    store = Store.open(storage_url(name, storage))
    try:
        return StudyView(store, name)
    except StudyError:
        store.close()
        raise
