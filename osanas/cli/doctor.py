"""``osanas doctor``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from osanas.cli.options import Device, Energy, Json, Storage, print_json
from osanas.errors import UsageError

EXTRAS = MappingProxyType(
    {
        "timm": ("timm",),
        "onnx": ("onnx", "onnxruntime", "onnxscript"),
        "postgresql": ("psycopg",),
        "dashboard": ("optuna_dashboard",),
        "pandas": ("pandas",),
    }
)
"""Modules of each extra of the package."""

CIFAR_FOLDERS = MappingProxyType({"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"})
"""Where torchvision unpacks them, below the data folder."""


def doctor(
    data_dir: Annotated[Path | None, typer.Option(help="Where the data's files lie.")] = None,
    storage: Storage = None,
    selftest: Annotated[
        bool,
        typer.Option(
            "--selftest",
            metavar="",
            help="Measure and train instead, for some minutes, and say whether the figures of this machine can be "
            "relied on. Exit code 1 if not.",
        ),
    ] = False,
    device: Device = None,
    energy: Energy = None,
    json: Json = False,
) -> None:
    """Say what this machine has for a search, and what to do about what is missing."""
    from osanas.cli.render.doctor import print_doctor
    from osanas.measure.inventory import inventory

    if selftest:
        _self_test(device, energy, json=json)
        return
    if device is not None or energy is not None:
        raise UsageError("--device and --energy are of the self-test.", "Add --selftest, or leave them out.")
    extras = {name: all(find_spec(module) for module in modules) for name, modules in EXTRAS.items()}
    document = {**inventory(), "data": _data(data_dir), "database": _database(storage), "extras": extras}
    print_json(document) if json else print_doctor(document)


def _self_test(device: str | None, energy: str | None, *, json: bool) -> None:
    from osanas.cli.render.doctor import print_check, print_device
    from osanas.measure.inventory import inventory
    from osanas.profiling.selftest.checks import self_test
    from osanas.study.config import study_config

    given = {"device": device, "energy": energy}
    config = study_config(None, {name: value for name, value in given.items() if value is not None})
    if not json:
        print_device(inventory())
    checks = []
    for check in self_test(config):
        checks.append(check.to_dict())
        if not json:
            print_check(checks[-1])
    if json:
        print_json({**inventory(), "checks": checks})
    if any(check["is_sound"] is False for check in checks):
        raise typer.Exit(1)


def _data(data_dir: Path | None) -> dict[str, Any]:
    """Which data sets can be read without a download."""
    from osanas.tasks.classification.cluttered import IMAGES
    from osanas.tasks.classification.sources import default_data_dir, fashion_mnist_folder, read_digits

    root = default_data_dir() if data_dir is None else data_dir
    fix = "Name their folder with --data-dir"
    cifar = {name: root / folder for name, folder in CIFAR_FOLDERS.items()}
    return {
        "cluttered_digits": {"available": True, "images": sum(IMAGES.values()), "reason": None, "fix": None},
        "digits": {"available": True, "images": len(read_digits().labels), "reason": None, "fix": None},
        "fashion_mnist": _files(
            fashion_mnist_folder(data_dir), f"{fix} (Debian: apt-get install dataset-fashion-mnist)."
        ),
        **{name: _files(folder if folder.is_dir() else None, f"{fix}.") for name, folder in cifar.items()},
    }


def _files(folder: Path | None, fix: str) -> dict[str, Any]:
    if folder is not None:
        return {"available": True, "folder": str(folder), "reason": None, "fix": None}
    reason = "its files are not here; a search downloads them if it can"
    return {"available": False, "folder": None, "reason": reason, "fix": fix}


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
