"""Members of a space that no sampler proposes: random unseen ones, and how many there are."""

from __future__ import annotations

import random
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cached_property

from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace

UNSEEN_DRAWS = 2000
"""Random members drawn in the hope of an unseen one before the space is enumerated or called exhausted."""
ENUMERABLE = 200_000
COUNTABLE_AT_ONCE = 2000


@dataclass(frozen=True)
class Members:
    """A space as a set of networks.

    Attributes:
        canonical: The evaluator's: members with equal results are one network.
    """

    space: SearchSpace
    canonical: Callable[[Architecture], Architecture]

    @cached_property
    def count(self) -> int | None:
        """Number of distinct networks, in a space small enough to count them at once."""
        if self.space.size > COUNTABLE_AT_ONCE:
            return None
        return len({self.canonical(member).digest for member in self.space.enumerate()})

    def unseen(self, seen: Set[str], seed: int) -> Architecture | None:
        """A random member whose digest is not among ``seen``, or None if there is none left."""
        rng = random.Random(f"{seed}-{len(seen)}")  # noqa: S311 - a draw, not a secret
        for _ in range(UNSEEN_DRAWS):
            architecture = self.canonical(self.space.sample(rng))
            if architecture.digest not in seen:
                return architecture
        if self.space.size > ENUMERABLE:
            return None
        members = (self.canonical(member) for member in self.space.enumerate())
        return next((member for member in members if member.digest not in seen), None)
