"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from osanas.results.study import StudyView

Json = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON document on standard output.")]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Database: any SQLAlchemy URL, such as postgresql://user:password@host/database. "
        "Default: an SQLite file in studies/<study>/.",
    ),
]
MEASURING = "Measuring"
Device = Annotated[
    str | None,
    typer.Option(metavar="auto|cpu|cuda[:N]", help="Where networks run. Default: auto.", rich_help_panel=MEASURING),
]
Energy = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="Energy meter, chosen apart from the device: auto, measured (auto without the estimate), "
        "nvml[:INDEX|:UUID], rapl, estimated or none. Default: auto.",
        rich_help_panel=MEASURING,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(metavar="N", help="Images at once when measuring. Default: 1.", rich_help_panel=MEASURING),
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="CPU threads. Default: 1 where a search measures on a CPU, otherwise torch's choice.",
        rich_help_panel=MEASURING,
    ),
]

Precision = Annotated[
    str | None,
    typer.Option(
        metavar="fp32|fp16|bf16", help="Number format when measuring. Default: fp32.", rich_help_panel=MEASURING
    ),
]
Runtime = Annotated[
    str | None,
    typer.Option(
        metavar="auto|eager|compile|cudagraph|onnxruntime",
        help="What runs the network when measuring. auto, the default, is a CUDA graph on a GPU that can capture one, "
        "otherwise eager.",
        rich_help_panel=MEASURING,
    ),
]


def study_name(text: str) -> str:
    """The name of a study given by name or by study file."""
    if text.endswith((".yaml", ".yml")):
        from osanas.study.config import find_study_file, study_config

        return study_config(find_study_file(text), {}).name
    return text.rstrip("/").removeprefix("studies/")


def open_view(study: str, storage: str | None) -> StudyView:
    """Opens a study for reading, given by name or by study file.

    Raises:
        StudyError: There is no such study; among those of this folder a similar name is suggested.
    """
    from osanas.errors import StudyError
    from osanas.results.places import STUDIES, open_study, study_folder
    from osanas.validation import did_you_mean

    name = study_name(study)
    if storage is None and not (study_folder(name) / "study.db").is_file():
        known = [path.parent.name for path in STUDIES.glob("*/study.db")]
        hint = did_you_mean(name, known) if known else "Start one with 'osanas search', or name its --storage."
        raise StudyError(f"There is no study '{name}' in {STUDIES.absolute()}.", hint)
    return open_study(name, storage)


def print_json(document: Any) -> None:
    """Writes a JSON document to standard output."""
    import json

    typer.echo(json.dumps(document, indent=2, allow_nan=False))
