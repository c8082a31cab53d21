from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from osanas.genotype.architecture import Architecture
from osanas.genotype.leaves import LEAVES, WORDS, at_leaf, nest, shown
from osanas.genotype.space_file import SpaceFile
from osanas.genotype.variants import VARIANTS


def _paths(document: Any) -> Iterator[tuple[int | str, ...]]:
    if not isinstance(document, dict | list):
        yield ()
        return
    for key, part in document.items() if isinstance(document, dict) else enumerate(document):
        yield from ((key, *path) for path in _paths(part))


def test_leaves_are_all_that_an_architecture_and_a_space_hold() -> None:
    assert set(LEAVES.values()) == set(_paths(VARIANTS["vovnet39"].to_dict()))
    assert SpaceFile.model_fields.keys() - Architecture.model_fields.keys() == {"name", "description", "start_from"}
    assert Architecture.model_fields.keys() < SpaceFile.model_fields.keys()


def test_values_nest_to_the_architecture_they_are_of() -> None:
    for architecture in VARIANTS.values():
        values = {name: at_leaf(architecture, name) for name in LEAVES}
        assert nest(values) == architecture.to_dict()
        assert all(values[name] in words for name, words in WORDS.items())


def test_flags_are_shown_as_in_yaml() -> None:
    assert [shown(value) for value in (False, 8, "ese")] == ["false", "8", "ese"]
