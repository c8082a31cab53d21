"""``osanas search``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
    from osanas.study.config import StudyConfig
    from osanas.study.events import Event

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
            help="Distinct candidates the study should train, at least to the first rung. Default: 200.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            metavar="known-cost|tpe|nsga2|gp|random",
            help="Who proposes candidates: osanas' own sampler, which knows what a network costs before it is trained, "
            "or one of Optuna's. Default: known-cost.",
            rich_help_panel=SEARCH,
        ),
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
    confirm: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Times that each member of the final front is trained again with another seed, so that its accuracy "
            "is a mean with an interval; 0 repeats no training. Default: 1.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(metavar="MS", help="Most milliseconds of one inference.", rich_help_panel=LIMITS),
    ] = None,
    max_energy_mj: Annotated[
        float | None, typer.Option(metavar="MJ", help="Most millijoules of one image.", rich_help_panel=LIMITS)
    ] = None,
    max_parameters: Annotated[
        int | None, typer.Option(metavar="N", help="Most weights of the network.", rich_help_panel=LIMITS)
    ] = None,
    max_multiply_adds: Annotated[
        int | None, typer.Option(metavar="N", help="Most multiply-adds of one image.", rich_help_panel=LIMITS)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="cluttered_digits (the default), digits, fashion_mnist, cifar10, cifar100 or imagefolder:DIR.",
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
        typer.Option(metavar="N", help="Train on so many images only, of every class its share.", rich_help_panel=DATA),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Epochs of a full training. Default: 8.", rich_help_panel=DATA),
    ] = None,
    reduction: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many times fewer epochs each lower rung has, down to a quarter of all: every candidate begins at "
            "the lowest, about half go on, and a fifth reach the last. Default: 2, so 2, 4 and 8 epochs.",
            rich_help_panel=DATA,
        ),
    ] = None,
    rungs: Annotated[
        str | None,
        typer.Option(
            metavar="E,E,...",
            help="Instead of --epochs and --reduction: rising numbers of epochs, such as 1,3,9. A single number trains "
            "every candidate in full.",
            rich_help_panel=DATA,
        ),
    ] = None,
    train_batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Images in a training batch. Default: 64.", rich_help_panel=DATA)
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
        typer.Option(metavar="SECONDS", help="Begin no candidate after so many seconds.", rich_help_panel=STUDY),
    ] = None,
    until_settled: Annotated[
        bool | None,
        typer.Option(
            "--until-settled",
            metavar="",
            help="End as soon as going on is expected to add next to nothing.",
            rich_help_panel=STUDY,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Processes that train at once on this machine. Default: one for each processor, up to 4; 1 on a GPU.",
            rich_help_panel=STUDY,
        ),
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
            help="Print what 'osanas plan' prints; store nothing.",
            rich_help_panel=STUDY,
        ),
    ] = False,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Search for Pareto-efficient backbones. The same command continues a study.

    Example: osanas search --space vovnet --trials 200
    """
    config = _config(dict(locals()))  # the options are named as the fields of a study file
    if dry_run:
        _dry_run(config, storage, as_json=json)
    else:
        _run(config, storage, remeasure=remeasure, as_json=json)


def _parts(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def _config(given: dict[str, Any]) -> StudyConfig:
    from osanas.study.config import StudyConfig, find_study_file, study_config

    options = {name: value for name, value in given.items() if name in StudyConfig.model_fields}
    options |= {name: _parts(given[name]) for name in ("objectives", "rungs")}
    study = given["study"]
    if study is not None and (study.endswith((".yaml", ".yml")) or "/" in study):
        return study_config(find_study_file(study), options | {"study": None})
    return study_config(None, options)


def _run(config: StudyConfig, storage: str | None, *, remeasure: bool | None, as_json: bool) -> None:
    from osanas.cli.render.progress import progress
    from osanas.cli.studies import print_pareto
    from osanas.engine.api import run_search

    try:
        with _interrupts() as interrupted, progress() as (listener, ask):

            def heard(event: Event) -> None:
                # Python ignores an interrupt that comes while a destructor runs, of one of Lightning's objects say
                if interrupted.is_set():
                    raise KeyboardInterrupt
                listener(event)

            view = run_search(config, storage=storage, listener=heard, remeasure=remeasure, ask=ask)
    except KeyboardInterrupt:
        typer.echo("Interrupted. Run the same command again to go on from here.", err=True)
        raise typer.Exit(130) from None
    print_pareto(view, as_json=as_json)


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Makes SIGTERM what Ctrl-C is, and gives an event that is set once either came."""
    interrupted = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a shell sets it for what it puts in the background
        numbers.append(signal.SIGINT)
    previous = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield interrupted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _dry_run(config: StudyConfig, storage: str | None, *, as_json: bool) -> None:
    from osanas.cli.render.plan import print_plan
    from osanas.cli.render.progress import progress
    from osanas.forecast.forecast import plan

    with progress() as (listener, _):
        document = plan(config, storage, listener=listener)
    if as_json:
        print_json(document)
    else:
        print_plan(document)
