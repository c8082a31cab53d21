"""A table of networks, a column a figure, and the notes below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from osanas.cli.render.layout import Column, Listing
from osanas.cli.render.numbers import DASH, millions, number


@dataclass(frozen=True)
class Figure:
    """A column of a profile."""

    figure: str
    heading: tuple[str, ...]
    cell: Callable[[Any], str] = number


def ratio(value: float | None) -> str:
    """A ratio with two decimals, or a dash."""
    return DASH if value is None else f"{value:.2f}"


COUNTED = (
    Figure("parameters", ("params", "M"), millions),
    Figure("multiply_adds", ("mult-adds", "M"), millions),
    Figure("memory_access_elements", ("memory", "access M"), millions),
    Figure("memory_access_bytes", ("memory", "access MB"), millions),
    Figure("memory_access_excess", ("access", "/ bound"), ratio),
    Figure("peak_memory_bytes", ("peak", "memory MB"), millions),
)


def table(
    rows: Sequence[dict[str, Any]], columns: Sequence[Figure], letters: Mapping[str, str] | None = None
) -> Listing:
    """Networks and some of their figures, with the letters of their flags if there are any."""
    headings = [Column(("model",), numeric=False), *(Column(column.heading) for column in columns)]
    cells = [[row["model"], *(column.cell(row[column.figure]) for column in columns)] for row in rows]
    if letters:
        headings.append(Column(("flags",), numeric=False))
        cells = [
            [*line, "".join(sorted(letters[flag] for flag in row["flags"]))]
            for line, row in zip(cells, rows, strict=True)
        ]
    return Listing(tuple(headings), cells)


def remarks(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Notes, once each, with the networks they are about; where figures come from the database, since when."""
    about: dict[str, list[str]] = {}
    for row in rows:
        texts = list(row["notes"])
        if row["is_stored"]:
            day = datetime.fromtimestamp(row["measured_at"]).astimezone()
            texts.append(f"from the database, measured {day:%Y-%m-%d %H:%M} (--fresh measures again)")
        for text in texts:
            about.setdefault(text, []).append(row["model"])
    return [text if len(names) == len(rows) else f"{', '.join(names)}: {text}" for text, names in about.items()]
