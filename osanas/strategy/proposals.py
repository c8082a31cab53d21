"""Members of a space worth a look: random ones, and variations of those that do well."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence, Set

from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import Dimension

_NEIGHBOUR_SHARE = 0.7
"""Share of changes that go to a neighbouring value; the others go to any."""

_SMALL_SPACE = 400
"""Members of a space that is taken whole where members spread over its costs are asked for."""

_LARGEST_SHIFT = 16.0
"""In log odds: it takes nearly every dimension to its lowest or highest value."""
_HALVINGS = 10
_DRAWS = 8
_NEAR_ENOUGH = 0.05
"""In log multiply-adds."""


def random_members(at: SpaceAt, count: int, rng: random.Random) -> list[Architecture]:
    """Random members in canonical form; some may be equal."""
    return [at.sample(rng) for _ in range(count)]


def spread_over_costs(at: SpaceAt, count: int, rng: random.Random) -> list[Architecture]:
    """So many members drawn evenly in log cost, or all of a small space."""
    return list(at.enumerate()) if at.space.size <= _SMALL_SPACE else evenly_in_cost(at, count, rng)


def evenly_in_cost(
    at: SpaceAt, count: int, rng: random.Random, *, lower: float | None = None, upper: float | None = None
) -> list[Architecture]:
    """Random members whose multiply-adds are spread evenly in log scale, in canonical form; some may be equal.

    Most members of a space are among its largest, and uniform draws practically never give a cheap one. Here each
    member starts as a uniform draw; then the log odds of its quantiles in the ordered dimensions are shifted, all by
    the same amount, until its cost is near a target drawn evenly. What is a word or a flag stays as drawn.

    Args:
        at: The space at one input.
        count: How many.
        rng: The source of randomness, owned by the caller.
        lower: Least multiply-adds; None is the smallest member's.
        upper: Most multiply-adds; None is the largest member's. A member outside the bounds is given only where
            eight draws meet none inside.
    """
    least = lower if lower is not None else at.costs(at.canonical(at.space.smallest())).multiply_adds
    most = upper if upper is not None else at.costs(at.canonical(at.space.largest())).multiply_adds
    return [_near_cost(at, rng, rng.uniform(math.log(least), math.log(most)), least, most) for _ in range(count)]


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


def _near_cost(at: SpaceAt, rng: random.Random, target: float, lower: float, upper: float) -> Architecture:
    """The member nearest to a target in log multiply-adds that shifted uniform draws meet."""
    tried: dict[tuple[int, ...], tuple[bool, float]] = {}
    for _ in range(_DRAWS):
        quantiles = [rng.uniform(1e-9, 1 - 1e-9) for _ in at.dimensions]
        tried.update(_shifts(at, quantiles, target, lower, upper))
        indices = min(tried, key=tried.__getitem__)
        is_outside, _ = tried[indices]
        if not is_outside:
            break
    return _member(at, indices)


def _shifts(
    at: SpaceAt, quantiles: Sequence[float], target: float, lower: float, upper: float
) -> dict[tuple[int, ...], tuple[bool, float]]:
    """Shifts of one draw towards a target by bisection: whether each is out of bounds, and how far from the target."""
    tried: dict[tuple[int, ...], tuple[bool, float]] = {}
    low, high = -_LARGEST_SHIFT, _LARGEST_SHIFT
    for _ in range(_HALVINGS):
        shift = (low + high) / 2
        indices = tuple(
            _shifted(quantile, shift if _is_ordered(dimension) else 0.0, len(dimension.values))
            for dimension, quantile in zip(at.dimensions, quantiles, strict=True)
        )
        cost = at.costs(_member(at, indices)).multiply_adds
        tried[indices] = (not lower <= cost <= upper, abs(math.log(cost) - target))
        if tried[indices] <= (False, _NEAR_ENOUGH):
            break
        if math.log(cost) < target:
            low = shift
        else:
            high = shift
    return tried


def _member(at: SpaceAt, indices: tuple[int, ...]) -> Architecture:
    return at.decode({dimension.name: index for dimension, index in zip(at.dimensions, indices, strict=True)})


def _is_ordered(dimension: Dimension) -> bool:
    return not isinstance(dimension.values[0], str | bool)


def _shifted(quantile: float, shift: float, length: int) -> int:
    """The index at a quantile whose log odds are shifted."""
    odds = quantile / (1 - quantile) * math.exp(shift)
    return min(length - 1, int(odds / (1 + odds) * length))


def _moved(index: int, length: int, rng: random.Random) -> int:
    if rng.random() < _NEIGHBOUR_SHARE:
        near = [place for place in (index - 1, index + 1) if 0 <= place < length]
        return rng.choice(near)
    return rng.choice([place for place in range(length) if place != index])
