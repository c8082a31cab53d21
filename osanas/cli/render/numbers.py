"""Figures and counts as text. A dash is unknown."""

from __future__ import annotations

from collections.abc import Sequence

from osanas.cli.render.layout import print_text


def duration(seconds: float) -> str:
    """Seconds as ``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


DASH = "-"


def number(value: float | None, digits: int = 3) -> str:
    """A figure with so many significant digits, or a dash."""
    if value is None:
        return DASH
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:.{digits}g}"
    return f"{value:,.0f}" if "e" in text and abs(value) >= 1 else text


def scaled(value: float | None, unit: float) -> str:
    """A figure in multiples of a unit, or a dash."""
    return DASH if value is None else number(value / unit)


def millions(value: int | None) -> str:
    """A count in millions, or a dash."""
    return scaled(value, 1e6)


def fraction(value: float | None) -> str:
    """An accuracy with four decimals, or a dash."""
    return DASH if value is None else f"{value:.4f}"


def counted(count: int, thing: str) -> str:
    """``1 candidate``, ``2 candidates``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def members(size: int) -> str:
    """The size of a space."""
    return f"{size:,} members" if size < 1e7 else f"{size:.1e} members"


def pairs(rows: Sequence[tuple[str, str]], width: int = 24) -> None:
    """Prints names and values below each other."""
    for name, value in rows:
        print_text(f"{name:<{width}}{value}", hanging=" " * width)
