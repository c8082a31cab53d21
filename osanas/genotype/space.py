"""Search spaces: a YAML file of choices, its dimensions, and the architectures it holds. Free of torch."""

from __future__ import annotations

import itertools
import math
import operator
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from osanas.errors import Problem, UsageError
from osanas.genotype.architecture import Architecture
from osanas.genotype.leaves import LEAVES, Values, at_leaf, nest, shown
from osanas.genotype.space_file import SpaceFile
from osanas.shipped import shipped_folder
from osanas.validation import did_you_mean, parse_yaml, read_text, validate


@dataclass(frozen=True)
class Dimension:
    """One choice of a space: an ordinal, given as an index into its ascending values."""

    name: str
    """Such as ``stem.channels.0``, ``stage2.conv_channels``, ``attention``."""
    values: Values
    """At least two, in ascending order; words and flags in the order of what they cost."""


@dataclass(frozen=True)
class SearchSpace:
    """A product of choices around one shape of OSA network. Immutable.

    Its members are genotypes; several may build the same network where a choice is inert, as identity is in stages of
    one module. ``size`` counts genotypes; ``SpaceAt`` tells networks.
    """

    name: str
    description: str
    leaves: tuple[Dimension, ...]
    """Every leaf of the file in the order of the forward pass; a fixed one has a single value."""
    start_from: tuple[tuple[str, Architecture], ...] = ()
    """Members to evaluate early, each with a published name or its place in the file."""

    @classmethod
    def load(cls, name_or_path: str | Path) -> SearchSpace:
        """Reads a shipped space by its name, or any file.

        Args:
            name_or_path: A name from ``available()``, or a path (it has a separator or ends in ``.yaml``, ``.yml`` or
                ``.json``).

        Raises:
            UsageError: There is no such space or file.
            ConfigError: The file is wrong; every problem is listed.
        """
        path = Path(name_or_path)
        if isinstance(name_or_path, str) and not _is_path(name_or_path):
            path = _shipped(name_or_path)
        text = read_text(path, what="search space", fix="Name a YAML file, or a shipped space (osanas spaces).")
        document, problems = parse_yaml(text, str(path))
        return cls.from_dict(document, str(path), problems)

    @classmethod
    def from_dict(cls, document: Any, source: str = "search space", problems: Sequence[Problem] = ()) -> SearchSpace:
        """Reads a document in the form of a space file.

        Args:
            document: What a YAML or JSON parser returned.
            source: Its name for messages.
            problems: What the parser already found.

        Raises:
            ConfigError: With every problem found.
        """
        file = validate(SpaceFile, document, source, problems=problems)
        leaves = tuple(Dimension(name, at_leaf(file, name)) for name in LEAVES)
        starts = ((name or f"start_from[{index}]", start) for index, (name, start) in enumerate(file.start_from))
        return cls(file.name, file.description, leaves, tuple(starts))

    def to_dict(self) -> dict[str, Any]:
        """What the space is, as JSON in the form of a space file with every range written out.

        Equal for files that hold the same members under the same name: the description and ``start_from`` are left
        out, since they may change between two runs of one study. ``from_dict`` reads it.
        """
        leaves = {
            leaf.name: leaf.values[0] if len(leaf.values) == 1 else {"choices": list(leaf.values)}
            for leaf in self.leaves
        }
        return {"name": self.name, **nest(leaves)}

    @cached_property
    def values(self) -> dict[str, Values]:
        """The values of each leaf by its name."""
        return {leaf.name: leaf.values for leaf in self.leaves}

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The leaves with more than one value."""
        return tuple(leaf for leaf in self.leaves if len(leaf.values) > 1)

    @property
    def size(self) -> int:
        """Number of members: the product of the dimensions' lengths."""
        return math.prod(len(dimension.values) for dimension in self.dimensions)

    def decode(self, indices: Mapping[str, int]) -> Architecture:
        """The architecture with the given index of each dimension's value.

        Raises:
            UsageError: A dimension is missing or unknown, or an index is out of range.
        """
        known = [dimension.name for dimension in self.dimensions]
        unknown = sorted(indices.keys() - set(known))
        if unknown:
            raise UsageError(
                f"The space '{self.name}' has no dimension '{unknown[0]}'.", did_you_mean(unknown[0], known)
            )
        missing = [name for name in known if name not in indices]
        if missing:
            raise UsageError(
                f"These dimensions of the space '{self.name}' have no value: {', '.join(missing)}.",
                "Give the index of a value for each dimension.",
            )
        return self._build(leaf.values[self._index(leaf, indices)] for leaf in self.leaves)

    def sample(self, rng: random.Random) -> Architecture:
        """A member drawn uniformly.

        Args:
            rng: The source of randomness, owned by the caller.
        """
        return self._build(rng.choice(leaf.values) for leaf in self.leaves)

    def enumerate(self) -> Iterator[Architecture]:
        """All ``size`` members, lazily, the last dimension changing fastest."""
        for combination in itertools.product(*(leaf.values for leaf in self.leaves)):
            yield self._build(combination)

    def smallest(self) -> Architecture:
        """The member with the lowest value of every dimension: narrowest, shallowest, depthwise if it may."""
        return self._build(leaf.values[0] for leaf in self.leaves)

    def largest(self) -> Architecture:
        """The member with the highest value of every dimension."""
        return self._build(leaf.values[-1] for leaf in self.leaves)

    def _build(self, values: Any) -> Architecture:
        return Architecture.from_dict(nest(dict(zip(self.values, values, strict=True))))

    def _index(self, leaf: Dimension, indices: Mapping[str, int]) -> int:
        if len(leaf.values) == 1:
            return 0
        index = operator.index(indices[leaf.name])
        if not 0 <= index < len(leaf.values):
            raise UsageError(
                f"The index {index} of '{leaf.name}' is out of range; its values in the space '{self.name}' are: "
                f"{', '.join(map(shown, leaf.values))}.",
                f"Give an index from 0 to {len(leaf.values) - 1}.",
            )
        return index


def available() -> list[str]:
    """Names of the spaces that come with osanas, sorted."""
    return sorted(path.stem for path in shipped_folder("search_spaces").glob("*.yaml"))


def _is_path(name_or_path: str) -> bool:
    return os.sep in name_or_path or name_or_path.endswith((".yaml", ".yml", ".json"))


def _shipped(name: str) -> Path:
    names = available()
    if name not in names:
        raise UsageError(
            f"There is no search space called '{name}'.",
            f"{did_you_mean(name, names)} A file of your own is given by its path, ending in .yaml.",
        )
    return shipped_folder("search_spaces") / f"{name}.yaml"
