"""``osanas profile``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from osanas.cli.options import (
    BatchSize,
    Device,
    Energy,
    Json,
    PrecisionOption,
    RuntimeOption,
    Storage,
    Threads,
    print_json,
    study_name,
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
    resolution: Annotated[int, typer.Option(min=1, help="Side of the images.")] = 224,
    num_classes: Annotated[int, typer.Option("--classes", min=1, help="Number of classes.")] = 1000,
    precision: PrecisionOption = None,
    runtime: RuntimeOption = None,
    threads: Threads = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Measure networks on this device: parameters, multiply-adds, memory access, latency, energy per image.

    Example: osanas profile vovnet27_slim vovnet39 resnet50 densenet121
    """
    from osanas.cli.tables import print_profile
    from osanas.evaluation.profile import subject

    subjects = [_subject(text, storage) or subject(text) for text in models]
    profiler = _profiler(
        device=device or "auto",
        energy=energy or "auto",
        batch_size=batch_size or 1,
        precision="fp32" if precision is None else precision.value,
        runtime="eager" if runtime is None else runtime.value,
        threads=threads,
        resolution=resolution,
        num_classes=num_classes,
    )
    rows = []
    for network in subjects:
        typer.echo(f"measuring {network.label}", err=True)
        rows.append(profiler.profile(network))
    document = {"device": profiler.identity.to_dict(), "measurement_key": profiler.key(), "models": rows}
    print_json(document) if json else print_profile(document)


def _subject(text: str, storage: str | None) -> Subject | None:
    from osanas.engine.api import open_study
    from osanas.evaluation.profile import study_of, subject

    study = study_of(text)
    return None if study is None else subject(text, open_study(study_name(study), storage))


def _profiler(
    *,
    device: str,
    energy: str,
    batch_size: int,
    precision: str,
    runtime: str,
    threads: int | None,
    resolution: int,
    num_classes: int,
) -> Profiler:
    import torch

    from osanas.evaluation.profile import Profiler
    from osanas.measure.device import identify, resolve_device
    from osanas.measure.energy import Unavailable, open_meter
    from osanas.measure.protocol import MeasurementProtocol

    if threads is not None:
        torch.set_num_threads(threads)
    protocol = MeasurementProtocol(batch_size=batch_size, precision=precision, runtime=runtime, threads=threads)
    where = resolve_device(device)
    meter = open_meter(energy, where)
    absent = isinstance(meter, Unavailable)
    return Profiler(
        device=where,
        identity=identify(where),
        protocol=protocol,
        meter=None if absent else meter,
        meter_note=meter.reason if absent else None,
        resolution=resolution,
        num_classes=num_classes,
    )
