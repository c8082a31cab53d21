"""Members of a space worth a look: random ones, and variations of those that do well."""

from __future__ import annotations

import random
from collections.abc import Iterable, Set

from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt

_NEIGHBOUR_SHARE = 0.7
"""Share of changes that go to a neighbouring value; the others go to any."""


def random_members(at: SpaceAt, count: int, rng: random.Random) -> list[Architecture]:
    """Random members in canonical form; some may be equal."""
    return [at.sample(rng) for _ in range(count)]


def mutations(parents: Iterable[Architecture], at: SpaceAt, each: int, rng: random.Random) -> list[Architecture]:
    """Members that differ from a parent in one, two or three dimensions.

    Args:
        each: How many of each parent.
    """
    found = []
    for parent in parents:
        indices = at.encode(parent)
        for _ in range(each):
            changed = dict(indices)
            for dimension in rng.sample(at.dimensions, min(rng.choice((1, 1, 2, 3)), len(at.dimensions))):
                changed[dimension.name] = _moved(indices[dimension.name], len(dimension.values), rng)
            found.append(at.decode(changed))
    return found


def distinct(members: Iterable[Architecture], without: Set[str]) -> dict[str, Architecture]:
    """Members by digest, each once, those with a digest in ``without`` left out."""
    found: dict[str, Architecture] = {}
    for member in members:
        digest = member.digest
        if digest not in without:
            found.setdefault(digest, member)
    return found


def _moved(index: int, length: int, rng: random.Random) -> int:
    if rng.random() < _NEIGHBOUR_SHARE:
        near = [place for place in (index - 1, index + 1) if 0 <= place < length]
        return rng.choice(near)
    return rng.choice([place for place in range(length) if place != index])
