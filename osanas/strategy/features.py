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

Array = NDArray[np.float64]

_SAMPLE = 256
"""Random members by which features are put on one scale."""


@dataclass(frozen=True)
class Features:
    """Turns members of a space into feature vectors."""

    at: SpaceAt

    def encoding(self, architecture: Architecture) -> Array:
        """The index of each dimension's value, scaled to -0.5 ... 0.5."""
        indices = self.at.encode(architecture)
        return np.array([indices[d.name] / (len(d.values) - 1) - 0.5 for d in self.at.dimensions], dtype=np.float64)

    def structure(self, architecture: Architecture) -> Array:
        """What structure alone tells: logarithms of parameters, multiply-adds, memory access, and of the depth."""
        costs = self.at.costs(architecture)
        depth = sum(stage.modules * (stage.layers + 1) for stage in architecture.stages)
        return np.log([costs.parameters, costs.multiply_adds, costs.memory_access_elements, depth])

    def accuracy(self, architectures: Sequence[Architecture]) -> Array:
        """Rows for the accuracy model: encoding, and structure on a scale like the encoding's."""
        middle, spread = self._structure_scale
        rows = [
            np.concatenate([self.encoding(member), (self.structure(member) - middle) / spread])
            for member in architectures
        ]
        return np.array(rows).reshape(len(architectures), len(self.at.dimensions) + len(STRUCTURE))

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

    @cached_property
    def _structure_scale(self) -> tuple[Array, Array]:
        rng = random.Random(0)  # noqa: S311 - a scale, not a secret
        rows = np.array([self.structure(self.at.sample(rng)) for _ in range(_SAMPLE)])
        low, high = np.quantile(rows, 0.05, axis=0), np.quantile(rows, 0.95, axis=0)
        return (low + high) / 2, np.maximum(high - low, 1e-6)


STRUCTURE = ("parameters", "multiply_adds", "memory_access_elements", "depth")
"""Names of the columns of ``Features.structure``."""
