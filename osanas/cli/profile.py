"""``osanas profile``."""

from __future__ import annotations

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
    open_view,
    print_json,
)

if TYPE_CHECKING:
    from osanas.evaluation.profile import Profiler, Subject


def profile(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Published variants (vovnet39), torchvision's networks (resnet50), timm:NAME, STUDY:TRIAL, or "
            "architecture files ending in .json.",
        ),
    ],
    device: Device = None,
    energy: Energy = None,
    batch_size: BatchSize = None,
    resolution: Annotated[int, typer.Option(min=1, metavar="PIXELS", help="Side of the images.")] = 224,
    num_classes: Annotated[int, typer.Option("--classes", min=1, metavar="N", help="Number of classes.")] = 1000,
    precision: Precision = None,
    runtime: Runtime = None,
    threads: Threads = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Measure networks on this device: parameters, multiply-adds, memory access, latency, energy per image.

    Example: osanas profile vovnet27_slim vovnet39 resnet50 densenet121
    """
    from osanas.cli.reports import print_profile
    from osanas.evaluation.profile import subject

    subjects = [_subject(text, storage) or subject(text) for text in models]
    protocol = {
        "batch_size": 1 if batch_size is None else batch_size,
        "precision": "fp32" if precision is None else precision,
        "runtime": "eager" if runtime is None else runtime,
        "threads": threads,
    }
    profiler = _profiler(device or "auto", energy or "auto", protocol, resolution, num_classes)
    for network in subjects:
        network.check(resolution)
    rows = []
    for network in subjects:
        typer.echo(f"measuring {network.label}", err=True)
        rows.append(profiler.profile(network))
    document = {"device": profiler.identity.to_dict(), "measurement_key": profiler.key(), "models": rows}
    print_json(document) if json else print_profile(document)


def _subject(text: str, storage: str | None) -> Subject | None:
    from osanas.evaluation.profile import study_of, subject

    study = study_of(text)
    return None if study is None else subject(text, open_view(study, storage))


def _profiler(device: str, energy: str, protocol: dict[str, Any], resolution: int, num_classes: int) -> Profiler:
    import torch

    from osanas.evaluation.profile import Profiler
    from osanas.measure.deploy import check_precision
    from osanas.measure.device import identify, resolve_device
    from osanas.measure.energy import open_meter
    from osanas.measure.protocol import MeasurementProtocol

    checked = MeasurementProtocol(**protocol)
    if checked.threads is not None:
        torch.set_num_threads(checked.threads)
    where = resolve_device(device)
    check_precision(where, checked.precision)
    return Profiler(
        device=where,
        identity=identify(where),
        protocol=checked,
        meter=open_meter(energy, where),
        resolution=resolution,
        num_classes=num_classes,
    )
