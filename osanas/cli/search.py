"""``osanas search``."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osanas.cli.options import (
    BatchSize,
    Device,
    Energy,
    Json,
    Precision,
    Runtime,
    Storage,
    Threads,
    print_json,
)

if TYPE_CHECKING:
    from osanas.config import StudyConfig

SEARCH = "What is searched"
DATA = "Data and training"
LIMITS = "Hard limits"
STUDY = "Study"


def search(
    space: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Search space. Default: vovnet.", rich_help_panel=SEARCH),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Distinct trained candidates the study should reach. Default: 200.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(metavar="tpe|nsga2|gp|random", help="Optuna's sampler. Default: tpe.", rich_help_panel=SEARCH),
    ] = None,
    objectives: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Any of accuracy, latency_ms, energy_mj. Default: all that can be had.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seed of sampling and training. Default: 0.", rich_help_panel=SEARCH),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(metavar="MS", help="Milliseconds of one inference.", rich_help_panel=LIMITS),
    ] = None,
    max_energy_mj: Annotated[
        float | None, typer.Option(metavar="MJ", help="Millijoules of one image.", rich_help_panel=LIMITS)
    ] = None,
    max_parameters: Annotated[
        int | None, typer.Option(metavar="N", help="Weights of the network.", rich_help_panel=LIMITS)
    ] = None,
    max_multiply_adds: Annotated[
        int | None, typer.Option(metavar="N", help="Multiply-accumulates of one image.", rich_help_panel=LIMITS)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="digits, fashion_mnist, cifar10, cifar100 or imagefolder:DIR. Default: digits.",
            rich_help_panel=DATA,
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where its files lie, or may be downloaded to.", rich_help_panel=DATA),
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Side of the images, for training and measuring. Default: the data's.",
            rich_help_panel=DATA,
        ),
    ] = None,
    train_samples: Annotated[
        int | None,
        typer.Option(metavar="N", help="Train on a fixed stratified subset of this size.", rich_help_panel=DATA),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Epochs of training a candidate. Default: 5.", rich_help_panel=DATA),
    ] = None,
    train_batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Training batch. Default: 32.", rich_help_panel=DATA)
    ] = None,
    device: Device = None,
    energy: Energy = None,
    batch_size: BatchSize = None,
    precision: Precision = None,
    runtime: Runtime = None,
    threads: Threads = None,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Study name, or a study file in YAML. Default: <space>-<data>.",
            rich_help_panel=STUDY,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Start no candidate after this time.", rich_help_panel=STUDY),
    ] = None,
    remeasure: Annotated[
        bool | None,
        typer.Option(
            "--remeasure/--no-remeasure",
            metavar="",
            help="Whether to measure the front again where device, driver or versions have changed since. "
            "Default: ask in a terminal, otherwise no.",
            rich_help_panel=STUDY,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            metavar="",
            help="Say what would run and what one candidate costs; store nothing.",
            rich_help_panel=STUDY,
        ),
    ] = False,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Search for Pareto-efficient backbones. The same command continues a study.

    Example: osanas search --space vovnet --trials 200
    """
    options: dict[str, Any] = {
        "space": space,
        "trials": trials,
        "sampler": sampler,
        "objectives": None if objectives is None else [name.strip() for name in objectives.split(",")],
        "seed": seed,
        "max_latency_ms": max_latency_ms,
        "max_energy_mj": max_energy_mj,
        "max_parameters": max_parameters,
        "max_multiply_adds": max_multiply_adds,
        "data": data,
        "data_dir": data_dir,
        "resolution": resolution,
        "train_samples": train_samples,
        "epochs": epochs,
        "train_batch_size": train_batch_size,
        "device": device,
        "energy": energy,
        "batch_size": batch_size,
        "precision": precision,
        "runtime": runtime,
        "threads": threads,
        "timeout": timeout,
    }
    config = _config(study, options)
    if dry_run:
        _dry_run(config, storage, as_json=json)
    else:
        _run(config, storage, remeasure=remeasure, as_json=json)


def _config(study: str | None, options: dict[str, Any]) -> StudyConfig:
    from osanas.config import find_study_file, study_config

    if study is not None and (study.endswith((".yaml", ".yml")) or "/" in study):
        return study_config(find_study_file(study), options)
    return study_config(None, {"study": study, **options})


def _run(config: StudyConfig, storage: str | None, *, remeasure: bool | None, as_json: bool) -> None:
    from osanas.cli.progress import progress
    from osanas.cli.studies import print_pareto
    from osanas.engine.api import run_search

    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with progress() as (listener, ask):
            view = run_search(config, storage=storage, listener=listener, remeasure=remeasure, ask=ask)
    except KeyboardInterrupt:
        typer.echo("Interrupted. Run the same command again to go on from here.", err=True)
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGTERM, previous)
    print_pareto(view, as_json=as_json)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _dry_run(config: StudyConfig, storage: str | None, *, as_json: bool) -> None:
    from osanas.cli.reports import print_dry_run
    from osanas.engine.dry_run import dry_run

    document = dry_run(config, storage)
    if as_json:
        print_json(document)
    else:
        print_dry_run(document)
