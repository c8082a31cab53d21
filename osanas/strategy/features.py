"""Architectures as numbers, for the models of cost and accuracy."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.strategy.proposals import spread_over_costs

Array = NDArray[np.float64]

_SAMPLE = 128
"""Members, even in log cost, by which features are put on one scale."""


@dataclass(frozen=True)
class Features:
    """Turns members of a space into feature vectors."""

    at: SpaceAt

    def encoding(self, architecture: Architecture) -> Array:
        """The index of each dimension's value."""
        indices = self.at.encode(architecture)
        return np.array([indices[dimension.name] for dimension in self.at.dimensions], dtype=np.float64)

    def structure(self, architecture: Architecture) -> Array:
        """What structure alone tells: logarithms of parameters, multiply-adds, memory access, and of the depth."""
        costs = self.at.costs(architecture)
        depth = sum(stage.modules * (stage.layers + 1) for stage in architecture.stages)
        return np.log([costs.parameters, costs.multiply_adds, costs.memory_access_elements, depth])

    def accuracy(self, architectures: Sequence[Architecture]) -> Array:
        """Rows ``[n, d]`` for the accuracy model: encoding and structure, each of deviation 1 over the space."""
        middle, spread = self._scale
        return (self._raw(architectures) - middle) / spread

    def cost(self, architectures: Sequence[Architecture]) -> Array:
        """Rows for the cost model: layers, multiply-adds and memory access of the stem and of each stage."""
        return np.array([self._blocks(member) for member in architectures], dtype=np.float64)

    def _blocks(self, architecture: Architecture) -> list[float]:
        blocks = self.at.shape.block_costs(architecture)
        # gates and adds run once a module, whatever the width
        modules = [0, *(stage.modules for stage in architecture.stages)]
        gates = [
            count * ((architecture.attention != "none") + (architecture.identity and count > 1)) for count in modules
        ]
        return [
            float(value)
            for block, gate in zip(blocks, gates, strict=True)
            for value in (block.layers, block.multiply_adds, block.memory_access_elements, gate)
        ]

    def training(self, architectures: Sequence[Architecture]) -> Array:
        """Rows ``[n, 2]`` for the time of a training: convolutions, and millions of multiply-adds."""
        blocks = [self.at.shape.block_costs(member) for member in architectures]
        return np.array(
            [
                [sum(block.layers for block in member), sum(block.multiply_adds for block in member) / 1e6]
                for member in blocks
            ]
        ).reshape(len(blocks), 2)

    def _raw(self, architectures: Sequence[Architecture]) -> Array:
        rows = [np.concatenate([self.encoding(member), self.structure(member)]) for member in architectures]
        return np.array(rows).reshape(len(architectures), len(self.at.dimensions) + len(STRUCTURE))

    @cached_property
    def _scale(self) -> tuple[Array, Array]:
        rng = random.Random(0)  # noqa: S311 - a scale, not a secret
        rows = self._raw(spread_over_costs(self.at, _SAMPLE, rng))
        return rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)


STRUCTURE = ("parameters", "multiply_adds", "memory_access_elements", "depth")
"""Names of the columns of ``Features.structure``."""
