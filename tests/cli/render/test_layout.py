from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from osanas.cli.render.layout import Column, Listing, paragraph

WORDS = st.text("abcxyz0189.,-", min_size=1, max_size=9)
COLUMNS = (Column(("name",), numeric=False), Column(("latency", "ms")), Column(("energy", "mJ/image", "estimated")))
ROWS = [["a", "1.5", "2", "first text"], ["longer", "10.25", "3", "second, longer text of a row"]]


def test_side_by_side_where_it_fits() -> None:
    assert Listing(COLUMNS, ROWS, "text").lines(None) == [
        "                    energy",
        "        latency   mJ/image",
        "name         ms  estimated  text",
        "a           1.5          2  first text",
        "longer    10.25          3  second, longer text of a row",
    ]


def test_texts_below_their_rows_where_they_do_not_fit() -> None:
    assert Listing(COLUMNS, ROWS, "text").lines(30) == [
        "                    energy",
        "        latency   mJ/image",
        "name         ms  estimated",
        "    text",
        "a           1.5          2",
        "    first text",
        "longer    10.25          3",
        "    second, longer text of a",
        "    row",
    ]


def test_columns_in_blocks_where_they_do_not_fit() -> None:
    assert Listing(COLUMNS, [row[:3] for row in ROWS]).lines(18) == [
        "        latency",
        "name         ms",
        "a           1.5",
        "longer    10.25",
        "",
        "           energy",
        "         mJ/image",
        "name    estimated",
        "a               2",
        "longer          3",
    ]


def test_no_rows() -> None:
    assert Listing(COLUMNS[:2], []).lines(None) == ["      latency", "name       ms"]


def test_wide_characters_take_two_places() -> None:
    lines = Listing(COLUMNS[:1], [["速度", "x"], ["a", "x"]], "t").lines(None)
    assert {cell_len(line) for line in lines} == {7}


@given(
    rows=st.lists(st.tuples(WORDS, WORDS, WORDS, st.lists(WORDS, max_size=6).map(" ".join)), max_size=4),
    width=st.one_of(st.none(), st.integers(1, 60)),
)
def test_nothing_is_lost(rows: list[tuple[str, str, str, str]], width: int | None) -> None:
    printed = "\n".join(Listing(COLUMNS, rows, "text").lines(width)).split()
    for row in rows:
        for cell in row:
            assert set(cell.split()) <= set(printed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("one two three", ["- one", "  two", "  three"]), ("", ["-"]), ("unbreakable", ["-", "  unbreakable"])],
)
def test_paragraph(text: str, expected: list[str]) -> None:
    lines = paragraph(text, indent="- ", hanging="  ", width=6)
    assert [line for line in lines if line.strip()] == expected or lines == ["- unbreakable"]


def test_paragraph_without_width() -> None:
    assert paragraph("a b " * 100, indent="> ", width=None) == ["> " + "a b " * 100]
