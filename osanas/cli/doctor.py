"""``osanas doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from osanas.cli.options import Json, Storage, print_json


def doctor(
    data_dir: Annotated[Path | None, typer.Option(help="Where the data's files lie.")] = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Say what this machine has for a search, and what to do about what is missing."""
    from osanas.cli.reports import print_doctor
    from osanas.measure.inventory import inventory

    document = {**inventory(), "data": _data(data_dir), "database": _database(storage)}
    print_json(document) if json else print_doctor(document)


def _data(data_dir: Path | None) -> dict[str, Any]:
    """Which data sets can be read without a download."""
    from osanas.tasks.sources import fashion_mnist_folder, read_digits

    folder = fashion_mnist_folder(data_dir)
    missing = None if folder else "No files of it here; a search downloads them if it can."
    fix = None if folder else "Name their folder with --data-dir (Debian: apt-get install dataset-fashion-mnist)."
    return {
        "digits": {"available": True, "images": len(read_digits().labels), "reason": None, "fix": None},
        "fashion_mnist": {
            "available": folder is not None,
            "folder": None if folder is None else str(folder),
            "reason": missing,
            "fix": fix,
        },
    }


def _database(storage: str | None) -> dict[str, Any]:
    """Whether studies can be stored: an existing database opens, or the folder of a new one can be written."""
    import tempfile

    from osanas.errors import OsanasError
    from osanas.store.database import masked, parse_url
    from osanas.store.store import Store

    if storage is None:
        try:
            with tempfile.TemporaryFile(dir=Path.cwd()):
                pass
        except OSError as error:
            reason = f"The folder {Path.cwd()} cannot be written: {error.strerror}."
            return {"available": False, "reason": reason, "fix": "Change to another folder, or name a --storage."}
        return {"available": True, "url": "sqlite:///studies/<study>/study.db", "reason": None, "fix": None}
    try:
        Store.open(storage).close()
    except OsanasError as error:
        return {"available": False, "reason": error.problem, "fix": error.fix}
    return {"available": True, "url": masked(parse_url(storage)), "reason": None, "fix": None}
