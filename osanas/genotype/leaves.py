"""The leaves of a search space, and where an architecture lies among their values. Free of torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from osanas.genotype.architecture import NUM_STAGES, STAGE_NAMES, Architecture, Downsample, Stage
from osanas.genotype.blocks import ATTENTIONS, CONVS, by_cost
from osanas.genotype.closed_form import NetworkShape

Value = int | str | bool
Values = tuple[Value, ...]
"""What a leaf may be: ascending, words and flags in the order of what they cost."""

WORDS: dict[str, Values] = {
    "stem.downsample": get_args(Downsample),
    "conv": by_cost(CONVS),
    "attention": by_cost(ATTENTIONS),
    "identity": (False, True),
}
"""What the leaves that hold no number may be, by name; in order of what they cost."""

LEAVES: dict[str, tuple[int | str, ...]] = {
    **{f"stem.channels.{index}": ("stem", "channels", index) for index in range(3)},
    "stem.downsample": ("stem", "downsample"),
    **{
        f"{stage}.{key}": ("stages", index, key)
        for index, stage in enumerate(STAGE_NAMES)
        for key in Stage.model_fields
    },
    "conv": ("conv",),
    "attention": ("attention",),
    "identity": ("identity",),
}
"""Where each leaf stands in a space, in an architecture and in their JSON forms, in the order of the forward pass."""


def at_leaf(document: Any, name: str) -> Any:
    """What stands at a leaf of a space, of an architecture or of the JSON form of one."""
    return _at(document, LEAVES[name])


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """The document with these values at the leaves of these names."""
    document: dict[str, Any] = {"stem": {"channels": [None] * 3}, "stages": [{} for _ in range(NUM_STAGES)]}
    for name, path in LEAVES.items():
        _at(document, path[:-1])[path[-1]] = values[name]
    return document


def place(
    architecture: Architecture, values: Mapping[str, Values], shape: NetworkShape
) -> tuple[Architecture, list[str]]:
    """Finds an architecture among the values of a space.

    A member that builds the same network is as good: one that differs only in a choice without effect, as identity is
    where every stage has one module.

    Args:
        architecture: What to find.
        values: The values of each leaf; leaves that are left out are not compared.
        shape: What networks are built for; it decides which choices are without effect.

    Returns:
        The member found and an empty list, or the architecture and one phrase for each leaf that is outside.
    """
    for form in _equal_networks(architecture, shape):
        if all(at_leaf(form, name) in allowed for name, allowed in values.items()):
            return form, []
    return architecture, [
        f"{name} is {shown(at_leaf(architecture, name))} (allowed: {', '.join(map(shown, allowed))})"
        for name, allowed in values.items()
        if at_leaf(architecture, name) not in allowed
    ]


def shown(value: Value) -> str:
    """A value as a YAML file spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _equal_networks(architecture: Architecture, shape: NetworkShape) -> Iterator[Architecture]:
    """The architecture, then every other form of the same network."""
    yield architecture
    network = shape.canonical(architecture)
    for downsample, attention, identity in itertools.product(
        WORDS["stem.downsample"], WORDS["attention"], WORDS["identity"]
    ):
        stem = architecture.stem.model_copy(update={"downsample": downsample})
        form = architecture.model_copy(update={"stem": stem, "attention": attention, "identity": identity})
        if form != architecture and shape.canonical(form) == network:
            yield form


def _at(document: Any, path: tuple[int | str, ...]) -> Any:
    for part in path:
        document = getattr(document, str(part)) if isinstance(document, BaseModel) else document[part]
    return document
