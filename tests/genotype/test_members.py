from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.errors import UsageError
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.leaves import LEAVES, WORDS
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.genotype.variants import VARIANTS
from tests.genotype.spaces import LARGE, space_document, spaces, words

SHAPES = [NetworkShape(64, 3, 10, reduction) for reduction in (1, 2, 4)]


@given(spaces(), st.integers(), st.sampled_from(SHAPES))
def test_a_sample_is_inside_and_survives_encoding(space: SearchSpace, seed: int, shape: NetworkShape) -> None:
    at = SpaceAt(space, shape)
    network = at.sample(random.Random(seed))
    assert at.canonical(network) == network
    assert at.contains(network)
    indices = at.encode(network)
    assert list(indices) == [dimension.name for dimension in space.dimensions]
    assert at.decode(indices) == network


@given(spaces(), st.data())
def test_every_combination_of_indices_is_a_member(space: SearchSpace, data: st.DataObject) -> None:
    indices = {d.name: data.draw(st.integers(0, len(d.values) - 1)) for d in space.dimensions}
    assert SpaceAt(space, LARGE).encode(space.decode(indices)) == indices


@given(spaces())
def test_ends_are_members(space: SearchSpace) -> None:
    at = SpaceAt(space, LARGE)
    assert set(at.encode(space.smallest()).values()) <= {0}
    last = {dimension.name: len(dimension.values) - 1 for dimension in space.dimensions}
    assert at.encode(space.largest()) == last


@given(st.lists(st.sampled_from(list(LEAVES)), max_size=5, unique=True), st.data())
def test_size_and_networks_equal_enumeration(leaves: list[str], data: st.DataObject) -> None:
    written: Any = space_document()
    for leaf in [*leaves, "identity", "attention", "stage4.modules"]:
        *parents, key = LEAVES[leaf]
        parent = written
        for part in parents:
            parent = parent[part]
        parent[key] = data.draw(words(WORDS.get(leaf, (1, 2, 3))))
    space = SearchSpace.from_dict(written)
    members = list(space.enumerate())
    assert len(members) == len(set(members)) == space.size
    for shape in SHAPES:
        at = SpaceAt(space, shape)
        assert at.count == len(set(at.enumerate()))
        assert all(at.contains(member) for member in members)


def test_unseen_members_until_there_is_none() -> None:
    at = SpaceAt(SearchSpace.load("tiny"), NetworkShape.of(8))
    seen: set[str] = set()
    while (member := at.unseen(seen, 3)) is not None:
        assert member.digest not in seen
        seen.add(member.digest)
    assert len(seen) == at.count


def test_encode_names_everything_outside() -> None:
    at = SpaceAt(SearchSpace.load("vovnet"), LARGE)
    outside = VARIANTS["vovnet39_v2"]
    assert not at.contains(outside)
    with pytest.raises(UsageError) as caught:
        at.encode(outside)
    assert caught.value.problem == (
        f"The architecture {outside} is not in the space 'vovnet': stem.downsample is stride (allowed: pool); "
        "attention is ese (allowed: none)."
    )
    assert caught.value.fix == "Choose a member of the space, or widen the space."


def test_the_stem_form_matters_for_large_images_alone() -> None:
    space, port = SearchSpace.load("vovnet"), VARIANTS["vovnet39_port"]
    assert not SpaceAt(space, LARGE).contains(port)
    assert SpaceAt(space, NetworkShape.of(8)).contains(port)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i: i.pop("identity"), "These dimensions of the space 'tiny' have no value: identity."),
        (
            lambda i: i.update(identitty=0),
            "The space 'tiny' has no dimension 'identitty'. Did you mean 'identity'?",
        ),
        (
            lambda i: i.update(attention=3),
            "The index 3 of 'attention' is out of range; its values in the space 'tiny' are: none, ese_last, ese. "
            "Give an index from 0 to 2.",
        ),
        (lambda i: i.update(attention=-1), "The index -1 of 'attention' is out of range"),
    ],
)
def test_decode_refuses(change: Callable[[dict[str, int]], Any], message: str) -> None:
    at = SpaceAt(SearchSpace.load("tiny"), LARGE)
    indices = at.encode(at.space.smallest())
    change(indices)
    with pytest.raises(UsageError) as caught:
        at.decode(indices)
    assert str(caught.value).startswith(message)
