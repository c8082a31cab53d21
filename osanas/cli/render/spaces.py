"""How search spaces look in a terminal."""

from __future__ import annotations

from typing import Any

from osanas.cli.render.layout import Column, Listing, print_text
from osanas.cli.render.numbers import members, millions


def print_spaces(document: dict[str, Any]) -> None:
    """The shipped search spaces."""
    Listing(
        (Column(("space",), numeric=False), Column(("members",))),
        [
            [row["name"], members(row["size"]).removesuffix(" members"), row["description"]]
            for row in document["spaces"]
        ],
        "description",
    ).print()


def print_space(document: dict[str, Any]) -> None:
    """One search space: dimensions, size, costs of some members."""
    print_text(f"{document['name']}: {document['description']}")
    print_text(members(document["size"]))
    Listing(
        (Column(("dimension",), numeric=False),),
        [[name, ", ".join(map(_value, values))] for name, values in document["dimensions"].items()],
        "values",
    ).print()
    print_text(f"Costs at {document['members'][0]['resolution']} pixels, 1000 classes")
    Listing(
        (
            Column(("member",), numeric=False),
            Column(("params", "M")),
            Column(("mult-adds", "M")),
            Column(("memory", "access M")),
        ),
        [
            [
                row["member"],
                millions(row["parameters"]),
                millions(row["multiply_adds"]),
                millions(row["memory_access_elements"]),
            ]
            for row in document["members"]
        ],
    ).print()


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
