"""``osanas spaces``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from osanas.cli.options import Json, print_json


def spaces(
    name: Annotated[str | None, typer.Argument(metavar="[NAME|FILE]", help="A shipped space, or a file.")] = None,
    resolution: Annotated[int, typer.Option(min=1, help="Side of the images for the costs shown.")] = 224,
    json: Json = False,
) -> None:
    """List the search spaces, or show one: its dimensions, its size and what its members cost."""
    from osanas.cli.render.spaces import print_space, print_spaces
    from osanas.genotype.space import SearchSpace, available

    if name is None:
        loaded = [SearchSpace.load(known) for known in available()]
        rows = [{"name": s.name, "size": s.size, "description": s.description} for s in loaded]
        print_json({"spaces": rows}) if json else print_spaces({"spaces": rows})
        return
    space = SearchSpace.load(name)
    document: dict[str, Any] = {
        "name": space.name,
        "description": space.description,
        "size": space.size,
        "dimensions": {dimension.name: list(dimension.values) for dimension in space.dimensions},
        "members": _members(space, resolution),
        "start_from": [label for label, _ in space.start_from],
    }
    print_json(document) if json else print_space(document)


def _members(space: Any, resolution: int) -> list[dict[str, Any]]:
    """Costs of the smallest, the starting and the largest members, in closed form."""
    from osanas.genotype.closed_form import NetworkShape

    shape = NetworkShape.of(resolution)
    members = [("smallest", space.smallest()), *space.start_from, ("largest", space.largest())]
    rows = []
    for label, architecture in members:
        costs = shape.costs(architecture)
        rows.append({"member": label, "resolution": resolution, **vars(costs)})
    return rows
