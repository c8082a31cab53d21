from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from osanas.errors import ConfigError
from osanas.genotype.blocks import (
    ATTENTIONS,
    CONVS,
    AttentionKind,
    ConvKind,
    by_cost,
    eca_kernel_size,
    in_single_modules,
    module_attentions,
)
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.space import SearchSpace
from osanas.genotype.variants import VARIANTS
from tests.genotype.spaces import space_document
from tests.models.architectures import structure, tiny

FIELDS: dict[str, Mapping[str, ConvKind] | Mapping[str, AttentionKind]] = {"conv": CONVS, "attention": ATTENTIONS}
KINDS = [(field, name) for field, kinds in FIELDS.items() for name in kinds]


@pytest.mark.parametrize(("field", "name"), KINDS)
def test_architectures_and_spaces_take_every_kind(field: str, name: str) -> None:
    assert getattr(tiny(**{field: name}), field) == name
    (start,) = SearchSpace.from_dict(space_document(**{field: {"choices": [name]}})).enumerate()
    assert getattr(start, field) == name


@pytest.mark.parametrize(
    ("field", "in_architectures", "in_spaces"),
    [
        ("conv", "dense, depthwise", "depthwise, dense"),
        ("attention", "none, ese, ese_last, eca_last", "none, eca_last, ese_last, ese"),
    ],
)
def test_another_word_is_refused_with_every_kind_named(field: str, in_architectures: str, in_spaces: str) -> None:
    for value, hint in (("xyz", f" Known: {', '.join(sorted(FIELDS[field]))}."), (3, "")):
        with pytest.raises(ConfigError) as caught:
            tiny(**{field: value})
        message = f"was expected, got {value!r}.{hint}"
        assert [str(problem) for problem in caught.value.problems] == [f"{field}: one of {in_architectures} {message}"]
        with pytest.raises(ConfigError) as caught:
            SearchSpace.from_dict(space_document(**{field: value}))
        assert [str(problem) for problem in caught.value.problems] == [f"{field}: one of {in_spaces} {message}"]


@pytest.mark.parametrize("field", FIELDS)
def test_the_order_of_cost_is_that_of_the_counts(field: str) -> None:
    shape, network = NetworkShape.of(224), VARIANTS["vovnet39"]
    parameters = [shape.costs(network.model_copy(update={field: name})).parameters for name in by_cost(FIELDS[field])]
    assert parameters == sorted(set(parameters))


def test_kinds_of_attention_differ_but_those_that_stand_for_others_in_single_modules() -> None:
    single = [{**stage, "modules": 1} for stage in tiny().to_dict()["stages"]]
    for one, other in itertools.combinations(ATTENTIONS, 2):
        assert structure(tiny(attention=one)) != structure(tiny(attention=other))
        equal = structure(tiny(attention=one, stages=single)) == structure(tiny(attention=other, stages=single))
        assert equal == (in_single_modules(one) == in_single_modules(other)), (one, other)


def test_attention_of_each_module() -> None:
    assert module_attentions("none", 2) == ("none", "none")
    assert module_attentions("ese", 3) == ("ese", "ese", "ese")
    assert module_attentions("ese_last", 3) == ("none", "none", "ese_last")
    assert module_attentions("eca_last", 1) == ("eca_last",)


@pytest.mark.parametrize(("channels", "kernel"), [(8, 3), (64, 3), (256, 5), (512, 5), (768, 5), (1024, 5), (4096, 7)])
def test_eca_kernel_sizes(channels: int, kernel: int) -> None:
    assert eca_kernel_size(channels) == kernel


def test_a_new_kind_is_an_entry_and_a_class() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.genotype.new_kind"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
