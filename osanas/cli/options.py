"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Database: any SQLAlchemy URL, such as postgresql://user:password@host/database. "
        "Default: an SQLite file in studies/<study>/.",
    ),
]
Device = Annotated[str | None, typer.Option(metavar="auto|cpu|cuda[:N]", help="Where networks run. Default: auto.")]
Energy = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="Energy meter, chosen apart from the device: auto, measured (auto without the estimate), "
        "nvml[:INDEX|:UUID], rapl, estimated or none. Default: auto.",
    ),
]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Images at once when measuring. Default: 1.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: torch's choice.")]


class Precision(StrEnum):
    """Number format of the deployed network."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


class Runtime(StrEnum):
    """What runs the deployed network."""

    EAGER = "eager"


PrecisionOption = Annotated[Precision | None, typer.Option(help="Number format when measuring. Default: fp32.")]
RuntimeOption = Annotated[Runtime | None, typer.Option(help="What runs the network when measuring. Default: eager.")]


def study_name(text: str) -> str:
    """The name of a study given by name or by study file."""
    if text.endswith((".yaml", ".yml")):
        from osanas.config import study_config

        return study_config(Path(text), {}).name
    return text.rstrip("/").removeprefix("studies/")


def print_json(document: Any) -> None:
    """Writes a JSON document to standard output."""
    import json

    typer.echo(json.dumps(document, indent=2, allow_nan=False))
