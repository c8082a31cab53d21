"""Where the files lie that come with osanas: search spaces and study files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def shipped_folder(name: Literal["search_spaces", "studies"]) -> Path:
    """The folder of that name: inside the package in a wheel, beside it in a checkout."""
    inside = Path(__file__).parent / name
    return inside if inside.is_dir() else Path(__file__).parent.parent / name
