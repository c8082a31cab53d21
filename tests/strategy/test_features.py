from __future__ import annotations

import random

import numpy as np

from osanas.genotype.closed_form import NetworkShape
from osanas.strategy.features import STRUCTURE
from osanas.strategy.proposals import evenly_in_cost
from tests.strategy.helpers import AT, FEATURES, SPACE, members


def test_rows_are_finite_and_of_one_scale() -> None:
    rows = FEATURES.accuracy(members(100))
    assert rows.shape == (100, len(SPACE.dimensions) + len(STRUCTURE))
    even = FEATURES.accuracy(evenly_in_cost(AT, 300, random.Random(1)))
    assert np.abs(even.mean(axis=0)).max() < 0.4
    assert np.abs(even.std(axis=0) - 1).max() < 0.3
    assert np.abs(rows).max() < 5.0


def test_what_a_training_takes_is_told_by_layers_and_multiply_adds() -> None:
    member = members(1)[0]
    layers, cost = FEATURES.training([member])[0]
    assert layers == 3 + sum(stage.layers + 1 for stage in member.stages)
    assert cost == NetworkShape.of(14, 1, None).costs(member).multiply_adds / 1e6
    assert FEATURES.training([]).shape == (0, 2)


def test_structure_is_what_it_says() -> None:
    member = members(1)[0]
    found = AT.costs(member)
    depth = sum(stage.modules * (stage.layers + 1) for stage in member.stages)
    expected = [found.parameters, found.multiply_adds, found.memory_access_elements, depth]
    assert np.allclose(np.exp(FEATURES.structure(member)), expected)


def test_blocks_add_up() -> None:
    member = members(1)[0]
    found = NetworkShape.of(14, 1, None).costs(member)
    blocks = FEATURES.cost([member])[0].reshape(5, 4)
    assert blocks[:, 1].sum() == found.multiply_adds
    assert blocks[:, 2].sum() == found.memory_access_elements
