from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from osanas.errors import ConfigError
from osanas.genotype.architecture import Architecture
from osanas.genotype.blocks import ATTENTIONS
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.variants import VARIANTS
from tests.models.architectures import ARCHITECTURES, MUTATIONS, mutated, structure, tiny


@given(ARCHITECTURES)
@settings(deadline=None)
def test_json_round_trip(architecture: Architecture) -> None:
    text = json.dumps(architecture.to_dict())

    again = Architecture.from_dict(json.loads(text))

    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.digest == architecture.digest


@given(ARCHITECTURES, st.sampled_from(MUTATIONS))
@settings(max_examples=40, deadline=None)
def test_digests_are_equal_exactly_where_networks_are(architecture: Architecture, path: tuple[Any, ...]) -> None:
    other = mutated(architecture, path)

    assert (architecture.digest == other.digest) == (structure(architecture) == structure(other))


@given(ARCHITECTURES, st.sampled_from([1, 2, 4]))
@settings(max_examples=20, deadline=None)
def test_the_canonical_form_builds_the_same_network(architecture: Architecture, stem_reduction: int) -> None:
    shape = NetworkShape(64, 3, 2, stem_reduction)
    canonical = shape.canonical(architecture)

    assert shape.canonical(canonical) == canonical
    assert structure(canonical, stem_reduction) == structure(architecture, stem_reduction)


@given(ARCHITECTURES, st.sampled_from(MUTATIONS), st.sampled_from([1, 2]))
@settings(max_examples=30, deadline=None)
def test_canonical_forms_of_small_inputs_are_equal_exactly_where_networks_are(
    architecture: Architecture, path: tuple[Any, ...], stem_reduction: int
) -> None:
    other, shape = mutated(architecture, path), NetworkShape(64, 3, 2, stem_reduction)

    assert (shape.canonical(architecture) == shape.canonical(other)) == (
        structure(architecture, stem_reduction) == structure(other, stem_reduction)
    )


@pytest.mark.parametrize("path", MUTATIONS, ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_changing_one_active_choice_changes_the_digest(path: tuple[Any, ...], attention: str) -> None:
    architecture = tiny(attention=attention, identity=True)

    assert mutated(architecture, path).digest != architecture.digest


@given(ARCHITECTURES)
@settings(deadline=None)
def test_inert_choices_do_not_change_the_digest(architecture: Architecture) -> None:
    single = tuple(stage.model_copy(update={"modules": 1}) for stage in architecture.stages)
    architecture = architecture.model_copy(update={"stages": single})

    assert mutated(architecture, ("identity",)).digest == architecture.digest
    assert (
        architecture.model_copy(update={"attention": "ese"}).digest
        == architecture.model_copy(update={"attention": "ese_last"}).digest
    )


def test_digests_stay_what_they_were() -> None:
    """Stored studies hold them: a change here needs a new prefix."""
    assert {name: VARIANTS[name].digest for name in ("vovnet27_slim", "vovnet39", "vovnet19_slim_dw_v2")} == {
        "vovnet27_slim": "a1:40b2b764387995d9",
        "vovnet39": "a1:18a8c9053cb25732",
        "vovnet19_slim_dw_v2": "a1:0827b45fd7af6c75",
    }


def test_published_variants_differ_except_the_nets_both_sources_share() -> None:
    by_digest: dict[str, list[str]] = {}
    for name, architecture in VARIANTS.items():
        by_digest.setdefault(architecture.digest, []).append(name)

    assert sorted(names for names in by_digest.values() if len(names) > 1) == [
        ["vovnet19_dw_v2", "ese_vovnet19b_dw"],
        ["vovnet19_slim_dw_v2", "ese_vovnet19b_slim_dw"],
        ["vovnet19_slim_v2", "ese_vovnet19b_slim"],
        ["vovnet19_v2", "ese_vovnet19b"],
    ]


def test_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        tiny().identity = True  # type: ignore[misc]


def test_every_problem_is_named_at_once() -> None:
    document = tiny().to_dict()
    document["stem"]["channels"] = [4, 4]
    document["stages"][1]["layers"] = 0
    document["stages"][2]["modul"] = 2
    document["attention"] = "senet"
    del document["stages"][3]["modules"]

    with pytest.raises(ConfigError) as caught:
        Architecture.from_dict(document, "net.json")

    assert {problem.key for problem in caught.value.problems} == {
        "stem.channels[2]",
        "stages[1].layers",
        "stages[2].modul",
        "stages[3].modules",
        "attention",
    }
    assert str(caught.value).startswith("net.json has ")
    assert "stages[2].modul: unknown key. Did you mean 'modules'?" in str(caught.value)


@pytest.mark.parametrize("stages", [[], tiny().to_dict()["stages"][:3], [*tiny().to_dict()["stages"]] * 2])
def test_four_stages_are_needed(stages: list[Any]) -> None:
    with pytest.raises(ConfigError, match="stages"):
        tiny(stages=stages)


@pytest.mark.parametrize("value", ["8", 8.0, True, None])
def test_widths_are_whole_numbers(value: object) -> None:
    document = tiny().to_dict()
    document["stages"][0]["conv_channels"] = value

    with pytest.raises(ConfigError, match=r"stages\[0\]\.conv_channels"):
        Architecture.from_dict(document)


def test_short_form_is_readable() -> None:
    assert str(VARIANTS["vovnet39_v2"]) == (
        "64-64-128 | 128x5>256 160x5>512 192x5>768*2 224x5>1024*2 ese identity stride-stem"
    )


def test_a_changed_copy_has_its_own_digest() -> None:
    architecture = VARIANTS["vovnet39a"]
    before = architecture.digest
    copy = NetworkShape.of(8).canonical(architecture)
    assert copy.digest != before
    assert copy.digest == Architecture.from_dict(copy.to_dict()).digest
