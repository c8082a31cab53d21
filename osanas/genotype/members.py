"""A space at one input: which of its members are one network, and what each costs. Free of torch."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property

from osanas.errors import UsageError
from osanas.genotype.architecture import STAGE_NAMES, Architecture
from osanas.genotype.blocks import in_single_modules
from osanas.genotype.closed_form import GenotypeCosts, NetworkShape
from osanas.genotype.leaves import at_leaf, place
from osanas.genotype.space import Dimension, SearchSpace

UNSEEN_DRAWS = 2000
"""Random members drawn in the hope of an unseen one before the space is enumerated or called exhausted."""
ENUMERABLE = 200_000
"""Members of the largest space that is enumerated."""


@dataclass(frozen=True)
class SpaceAt:
    """The networks that a space holds for one input.

    Several genotypes may build one network: which choices are inert depends on the input. Every architecture given out
    here is in canonical form, so that equal networks have equal digests.
    """

    space: SearchSpace
    shape: NetworkShape

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The space's."""
        return self.space.dimensions

    def canonical(self, architecture: Architecture) -> Architecture:
        """The same network with choices that are inert at this input set to one value."""
        return self.shape.canonical(architecture)

    def costs(self, architecture: Architecture) -> GenotypeCosts:
        """What a network costs by counting."""
        return self.shape.costs(architecture)

    def encode(self, architecture: Architecture) -> dict[str, int]:
        """The index of each dimension's value in an architecture.

        One that builds the same network as a member, differing in inert choices only, is encoded as that member.

        Args:
            architecture: A member, or any form of one.

        Raises:
            UsageError: It lies outside the space; every value outside is named.
        """
        member, outside = place(architecture, self.space.values, self.shape)
        if outside:
            raise UsageError(
                f"The architecture {architecture} is not in the space '{self.space.name}': {'; '.join(outside)}.",
                "Choose a member of the space, or widen the space.",
            )
        return {
            dimension.name: dimension.values.index(at_leaf(member, dimension.name)) for dimension in self.dimensions
        }

    def contains(self, architecture: Architecture) -> bool:
        """Whether the space holds the network of an architecture."""
        return not place(architecture, self.space.values, self.shape)[1]

    def decode(self, indices: Mapping[str, int]) -> Architecture:
        """The network with the given index of each dimension's value.

        Raises:
            UsageError: A dimension is missing or unknown, or an index is out of range.
        """
        return self.canonical(self.space.decode(indices))

    def sample(self, rng: random.Random) -> Architecture:
        """The network of a member drawn uniformly.

        Args:
            rng: The source of randomness, owned by the caller.
        """
        return self.canonical(self.space.sample(rng))

    def enumerate(self) -> Iterator[Architecture]:
        """The network of each of ``space.size`` members, lazily; some may be equal."""
        return map(self.canonical, self.space.enumerate())

    @cached_property
    def count(self) -> int:
        """Number of distinct networks."""
        lengths = {name: len(values) for name, values in self.space.values.items()}
        if self.shape.has_inert_stem:
            lengths["stem.downsample"] = 1
        total = math.prod(lengths.values())
        modules = [f"{stage}.modules" for stage in STAGE_NAMES]
        if any(1 not in self.space.values[name] for name in modules):
            return total
        # where every stage has one module, identity is inert and some kinds of attention are equal
        single = total // math.prod(lengths[name] for name in modules)
        attentions = len({in_single_modules(str(word)) for word in self.space.values["attention"]})
        return total - single + single // (lengths["identity"] * lengths["attention"]) * attentions

    def unseen(self, seen: Set[str], seed: int) -> Architecture | None:
        """A random network whose digest is not among ``seen``, or None if there is none left."""
        rng = random.Random(f"{seed}-{len(seen)}")  # noqa: S311 - a draw, not a secret
        for _ in range(UNSEEN_DRAWS):
            architecture = self.sample(rng)
            if architecture.digest not in seen:
                return architecture
        if self.space.size > ENUMERABLE:
            return None
        return next((member for member in self.enumerate() if member.digest not in seen), None)
