"""Plain text in columns on standard output. Nothing is cut off: what does not fit goes to lines of its own."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import typer
from rich.cells import cell_len

GAP = "  "
INDENT = "    "


def terminal_width() -> int | None:
    """Columns of the terminal on standard output; None when piped, where lines are as long as they need."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def paragraph(text: str, *, indent: str = "", hanging: str = "", width: int | None) -> list[str]:
    """A text in lines of at most ``width`` columns; words longer than that stay whole.

    Args:
        indent: What the first line begins with.
        hanging: What the others begin with.
        width: None is one line.
    """
    if width is None:
        return [indent + text]
    wrapped = textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )
    return wrapped or [indent.rstrip()]


def print_lines(lines: Sequence[str]) -> None:
    """Prints lines to standard output."""
    for line in lines:
        typer.echo(line)


def print_text(text: str, *, hanging: str = "") -> None:
    """Prints a text to standard output, wrapped to the terminal."""
    print_lines(paragraph(text, hanging=hanging, width=terminal_width()))


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        heading: Its lines, such as a quantity above its unit.
        numeric: Whether it stands at the right edge.
    """

    heading: tuple[str, ...]
    numeric: bool = True

    def aligned(self, text: str, width: int) -> str:
        """A cell of this column, padded to ``width``."""
        padding = " " * (width - cell_len(text))
        return padding + text if self.numeric else text + padding


@dataclass(frozen=True)
class Listing:
    """A table whose rows may end in a longer text."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[str]]
    text_heading: str | None = None

    def lines(self, width: int | None) -> list[str]:
        """The table in at most ``width`` columns if that can be: wider ones are split, the first column repeated."""
        everything = range(len(self.columns))
        texts = self._texts()
        room = None if width is None else width - len(GAP) - self._width(everything)
        if room is None or max(map(cell_len, texts), default=-len(GAP)) <= room:
            return [
                f"{line}{GAP}{text}".rstrip()
                for line, text in zip(self._block(everything), texts or [""] * self._height, strict=True)
            ]
        lines: list[str] = []
        blocks = self._blocks(width or 0)
        for number, block in enumerate(blocks):
            lines += [""] if number else []
            is_last = number == len(blocks) - 1
            for line, text in zip(self._block(block), texts or [""] * self._height, strict=True):
                if line.strip():  # not the place of another block's higher heading
                    lines.append(line.rstrip())
                if is_last and text:
                    lines += paragraph(text, indent=INDENT, hanging=INDENT, width=width)
        return lines

    def print(self) -> None:
        """Prints it to standard output, as wide as the terminal."""
        print_lines(self.lines(terminal_width()))

    @property
    def _heading_lines(self) -> int:
        return max(len(column.heading) for column in self.columns)

    @property
    def _height(self) -> int:
        return self._heading_lines + len(self.rows)

    def _texts(self) -> list[str]:
        """The text of each line of a block, empty above the last line of the heading; none without a heading."""
        if self.text_heading is None:
            return []
        return [""] * (self._heading_lines - 1) + [self.text_heading] + [row[-1] for row in self.rows]

    def _cells(self, index: int) -> list[str]:
        heading = self.columns[index].heading
        return [*[""] * (self._heading_lines - len(heading)), *heading, *(row[index] for row in self.rows)]

    def _column_width(self, index: int) -> int:
        return max(map(cell_len, self._cells(index)))

    def _width(self, indices: Sequence[int]) -> int:
        return sum(map(self._column_width, indices)) + len(GAP) * (len(indices) - 1)

    def _block(self, indices: Sequence[int]) -> list[str]:
        aligned = []
        for index in indices:
            width = self._column_width(index)
            aligned.append([self.columns[index].aligned(cell, width) for cell in self._cells(index)])
        return [GAP.join(cells) for cells in zip(*aligned, strict=True)]

    def _blocks(self, width: int) -> list[list[int]]:
        """Columns that fit side by side; the first one heads every block."""
        blocks = [[0]]
        for index in range(1, len(self.columns)):
            if len(blocks[-1]) > 1 and self._width([*blocks[-1], index]) > width:
                blocks.append([0])
            blocks[-1].append(index)
        return blocks
