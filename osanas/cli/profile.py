"""``osanas profile``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from osanas.cli.options import (
    MEASURING,
    BatchSize,
    Device,
    Energy,
    Json,
    Precision,
    Threads,
    open_view,
    print_json,
    study_name,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osanas.profiling.networks import Network
    from osanas.profiling.profiler import Turn

ROUNDS = 3
"""Rounds of several networks, unless told otherwise: as many as tell a drift from a trend."""


def profile(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Published variants (vovnet39), torchvision's networks (resnet50), timm:NAME, STUDY:TRIAL, or "
            "architecture files ending in .json.",
        ),
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", metavar="", help="The networks that the VoVNet paper compares, before any MODEL.")
    ] = False,
    baseline: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Adds ratios to this one of the networks.")
    ] = None,
    device: Device = None,
    energy: Energy = None,
    batch_size: BatchSize = None,
    throughput_batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Images at once for images/s, measured apart. Default: they follow from the latency.",
            rich_help_panel=MEASURING,
        ),
    ] = None,
    resolution: Annotated[int, typer.Option(min=1, metavar="PIXELS", help="Side of the images.")] = 224,
    num_classes: Annotated[int, typer.Option("--classes", min=1, metavar="N", help="Number of classes.")] = 1000,
    precision: Precision = None,
    runtime: Annotated[
        str,
        typer.Option(
            metavar="auto|eager|compile|cudagraph|onnxruntime",
            help="What runs the network.",
            rich_help_panel=MEASURING,
        ),
    ] = "auto",
    threads: Threads = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Rounds, each in a random order against drift. Default: {ROUNDS}, or 1 for a single network.",
            rich_help_panel=MEASURING,
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Database that measurements are kept in and taken from. Default: the study's for STUDY:TRIAL, none "
            "for other networks.",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", metavar="", help="Measure again what the database holds, and replace it.")
    ] = False,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", metavar="", help="Print CSV on standard output.")] = False,
) -> None:
    """Measure networks on this device: parameters, multiply-adds, memory access, latency, energy per image.

    Example: osanas profile --paper --baseline vovnet39
    """
    from osanas.cli.render.profile import print_profile, print_profile_csv
    from osanas.errors import UsageError

    if json and csv:
        raise UsageError("Both --json and --csv were given.", "Standard output holds one document; choose one.")
    networks, notes = _networks(models or [], storage, paper=paper)
    _check_baseline(baseline, networks)

    from osanas.genotype.closed_form import NetworkShape
    from osanas.genotype.geometry import stem_reduction_for
    from osanas.measure.protocol import MeasurementProtocol
    from osanas.measure.setup import set_up
    from osanas.profiling.profiler import Profiler

    protocol = MeasurementProtocol.model_validate(
        {
            "batch_size": 1 if batch_size is None else batch_size,
            "precision": "fp32" if precision is None else precision,
            "threads": threads,
            "rounds": rounds if rounds is not None else ROUNDS if len(networks) > 1 else 1,
        }
    )
    profiler = Profiler(
        set_up(device or "auto", runtime, energy or "auto", protocol),
        NetworkShape(resolution, 3, num_classes, stem_reduction_for(resolution)),  # peers take images of any size
        throughput_batch_size=throughput_batch_size,
        is_fresh=fresh,
    )
    document = profiler.document(networks, baseline=baseline, on_turn=_print_turn) | {"notes": notes}
    if json:
        print_json(document)
    else:
        print_profile_csv(document) if csv else print_profile(document)


def _print_turn(turn: Turn) -> None:
    batch = f" at batch {turn.batch_size}" if turn.batch_size > 1 else ""
    typer.echo(f"measuring {turn.number} of {turn.total}: {turn.label}{batch}", err=True)


def _networks(models: Sequence[str], storage: str | None, *, paper: bool) -> tuple[list[Network], list[str]]:
    """The networks, each once, and notes on those of the paper that cannot be had."""
    from osanas.errors import UsageError
    from osanas.profiling.networks import paper_models
    from osanas.store.store import Store

    named, notes = paper_models() if paper else ([], [])
    texts = list(dict.fromkeys([*named, *models]))
    if not texts:
        raise UsageError("No network was named.", "Name one or more MODELs, or use --paper.")
    found = [_network(text, storage) for text in texts]
    if storage is None:
        return found, notes
    store = Store.open(storage, create=True)
    return [network if network.store else replace(network, store=store) for network in found], notes


def _network(text: str, storage: str | None) -> Network:
    """What a MODEL means; a candidate of a study comes with the study's database."""
    from osanas.profiling.networks import network, study_of
    from osanas.results.places import storage_url
    from osanas.store.store import Store

    study = study_of(text)
    if study is None:
        return network(text)
    view = open_view(study, storage)
    return network(text, view, Store.open(storage_url(study_name(study), storage)))


def _check_baseline(baseline: str | None, networks: Sequence[Network]) -> None:
    from osanas.errors import UsageError
    from osanas.validation import did_you_mean

    labels = [network.label for network in networks]
    if baseline is not None and baseline not in labels:
        raise UsageError(
            f"The baseline '{baseline}' is none of the networks.",
            f"{did_you_mean(baseline, labels)} Name it among the MODELs too.",
        )
