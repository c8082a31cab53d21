from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given

from osanas.errors import ConfigError, UsageError
from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import Dimension, SearchSpace, available
from osanas.genotype.variants import VARIANTS
from tests.genotype.spaces import LARGE, space_document, spaces

SHIPPED = ["tiny", "vovnet", "vovnet_slim", "vovnet_v2"]


def _with_leaf(path: tuple[int | str, ...], node: Any) -> dict[str, Any]:
    document: Any = space_document()
    parent = document
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1]] = node
    return dict(document)


def _problems(document: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        SearchSpace.from_dict(document, "my.yaml")
    assert caught.value.source == "my.yaml"
    return [str(problem) for problem in caught.value.problems]


# properties -----------------------------------------------------------------------------------------------------------


@given(spaces())
def test_the_canonical_document_is_the_space(space: SearchSpace) -> None:
    document = json.loads(json.dumps(space.to_dict()))
    again = SearchSpace.from_dict(document)
    assert again == SearchSpace(space.name, "", space.leaves)
    assert again.to_dict() == document


# the document ---------------------------------------------------------------------------------------------------------


def test_fixed_leaves_are_no_dimension() -> None:
    space = SearchSpace.from_dict(space_document())
    assert (space.dimensions, space.size) == ((), 1)
    assert list(space.enumerate()) == [space.smallest()] == [space.largest()] == [space.decode({})]


def test_dimensions_are_ascending_and_in_the_order_of_the_forward_pass() -> None:
    document = space_document(
        stem={"channels": [8, {"choices": [32, 16]}, 8]},
        identity={"choices": [True, False]},
        attention={"choices": ["ese", "none"]},
        conv={"choices": ["dense", "depthwise"]},
    )
    document["stages"][3]["layers"] = {"low": 1, "high": 7, "step": 3}
    assert SearchSpace.from_dict(document).dimensions == (
        Dimension("stem.channels.1", (16, 32)),
        Dimension("stage5.layers", (1, 4, 7)),
        Dimension("conv", ("depthwise", "dense")),
        Dimension("attention", ("none", "ese")),
        Dimension("identity", (False, True)),
    )


def test_the_same_members_give_the_same_canonicaldocument() -> None:
    ranges = space_document(description="a", start_from=[_document_member()])
    ranges["stages"][0]["layers"] = {"low": 1, "high": 3}
    choices = space_document(description="b")
    choices["stages"][0]["layers"] = {"choices": [3, 1, 2]}
    choices["stages"][1]["layers"] = {"choices": [1]}
    a, b = SearchSpace.from_dict(ranges), SearchSpace.from_dict(choices)
    assert a.to_dict() == b.to_dict()
    assert a.to_dict()["stages"][0]["layers"] == {"choices": [1, 2, 3]}
    assert a.to_dict()["stages"][1]["layers"] == 1


def _document_member() -> dict[str, Any]:
    stage = {"conv_channels": 8, "out_channels": 16, "layers": 1, "modules": 1}
    return {"stem": {"channels": [8, 8, 8]}, "stages": [stage] * 4}


def test_immutable_hashable_picklable() -> None:
    space = SearchSpace.load("tiny")
    assert pickle.loads(pickle.dumps(space)) == space
    assert hash(space) == hash(SearchSpace.load("tiny"))
    with pytest.raises(AttributeError):
        space.name = "other"  # type: ignore[misc]


# problems -------------------------------------------------------------------------------------------------------------

_NUMBER = "a whole number from 1 to 65536, {choices: [...]} or {low: , high: , step: } was expected, got"
_PLAIN = "a whole number from 1 to 65536 was expected, got"


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        ("3", f": {_NUMBER} '3'"),
        (3.0, f": {_NUMBER} 3.0"),
        (True, f": {_NUMBER} True"),
        (None, f": {_NUMBER} nothing"),
        (0, f": {_NUMBER} 0"),
        (65537, f": {_NUMBER} 65537"),
        ([1, 2], f": {_NUMBER} [1, 2]"),
        ({"choices": []}, ".choices: a list of at least one value was expected, got []"),
        ({"choices": 3}, ".choices: a list of at least one value was expected, got 3"),
        ({"choices": [1, 2, 1, 2]}, ".choices: each value once, got 1, 2 more than once"),
        ({"choices": [1, -2]}, f".choices[1]: {_PLAIN} -2"),
        ({"choices": [1], "low": 1}, ".low: unknown key. Known: choices."),
        ({"low": 4, "high": 3}, ": an empty range: low 4 is above high 3"),
        ({"low": 1, "high": 3, "step": 0}, f".step: {_PLAIN} 0"),
        ({"low": 1, "high": 3, "step": -1}, f".step: {_PLAIN} -1"),
        ({"low": 1, "high": "x"}, f".high: {_PLAIN} 'x'"),
        ({"low": 1}, ".high: missing; it must be given"),
        ({"low": 1, "high": 8, "step": 4}, ": steps of 4 from low 1 miss high 8; the nearest ends are 5 and 9"),
        ({"low": 1, "high": 3, "setp": 1}, ".setp: unknown key. Did you mean 'step'?"),
    ],
)
def test_wrong_numbers(node: Any, problem: str) -> None:
    assert _problems(_with_leaf(("stages", 1, "layers"), node)) == [f"stages[1].layers{problem}"]


def test_an_empty_leaf_names_both_ends_of_a_range() -> None:
    assert _problems(_with_leaf(("stem", "channels", 2), {})) == [
        "stem.channels[2].low: missing; it must be given",
        "stem.channels[2].high: missing; it must be given",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"attention": "esse"},
            "attention: one of none, eca_last, ese_last, ese was expected, got 'esse'. Did you mean 'ese'?",
        ),
        ({"conv": {"choices": ["dense", 1]}}, "conv.choices[1]: one of depthwise, dense was expected, got 1."),
        ({"identity": 1}, "identity: one of false, true was expected, got 1."),
        ({"identity": "true"}, "identity: one of false, true was expected, got 'true'. Write it without quotes."),
        ({"identity": {"choices": [True, 0]}}, "identity.choices[1]: one of false, true was expected, got 0."),
        ({"identity": {"low": 0, "high": 1}}, "identity.low: unknown key. Known: choices."),
        ({"stages": {}}, "stages: a list of 4 items was expected (stage2 to stage5), got {}"),
        ({"stem": {"channels": [8, 8]}}, "stem.channels: 3 items are needed (one for each convolution), got 2"),
        ({"stem": {}}, "stem.channels: missing; it must be given"),
        ({"stem": 3}, "stem: a mapping with the keys channels, downsample was expected, got 3"),
        ({"stem": {"channels": [8] * 3, "downsample": "poool"}}, "stem.downsample: one of pool, stride was expected"),
        ({"description": 3}, "description: text was expected, got 3"),
        ({"name": 3}, "name: text was expected, got 3"),
        ({"name": "../x"}, "name: letters, digits, '_' and '-' only, beginning with a letter, got '../x'"),
        ({"name": ""}, "name: letters, digits, '_' and '-' only, beginning with a letter, got ''"),
        ({"strat_from": []}, "strat_from: unknown key. Did you mean 'start_from'?"),
        ({1: 2}, "1: unknown key. Known: attention, conv"),
        ({"start_from": "vovnet39"}, "start_from: a list of published names or architectures was expected, got"),
        ({"start_from": [3]}, "start_from[0]: a published name or an architecture was expected, got 3"),
        (
            {"start_from": ["vovnet93x"]},
            "start_from[0]: no published variant is called 'vovnet93x'. Did you mean 'vovnet93'?",
        ),
        ({"start_from": [{"stem": {"channels": [8, 8, 8]}}]}, "start_from[0].stages: missing; it must be given"),
    ],
)
def test_wrong_documents(changes: dict[Any, Any], problem: str) -> None:
    assert any(found.startswith(problem) for found in _problems(space_document() | changes))


@pytest.mark.parametrize("document", [None, [], "vovnet", 3])
def test_not_a_mapping(document: Any) -> None:
    assert _problems(document)[0].startswith("a mapping with the keys name, description, stem, stages,")


def test_start_from_outside_names_every_value() -> None:
    assert _problems(space_document(start_from=["vovnet27_slim", _document_member()]))[:2] == [
        "start_from[0]: vovnet27_slim is not inside the space: stem.channels.0 is 64 (allowed: 8)",
        "start_from[0]: vovnet27_slim is not inside the space: stem.channels.1 is 64 (allowed: 8)",
    ]


def test_everything_is_reported_at_once() -> None:
    document = space_document(nam="x", attention="esee", start_from=["vovnet39", "nope"])
    document["stages"][1]["layers"] = {"low": 3, "high": 1}
    document["stages"][2].pop("modules")
    document["stages"].append({})
    keys = [problem.split(":")[0] for problem in _problems(document)]
    assert {"nam", "attention", "stages", "stages[1].layers", "stages[2].modules"} < set(keys)
    assert {"start_from[0]", "start_from[1]"} < set(keys)


def test_an_equal_network_may_start() -> None:
    member = {**_document_member(), "identity": True, "attention": "ese_last"}
    space = SearchSpace.from_dict(space_document(attention="ese", start_from=[member]))
    (label, start), *rest = space.start_from
    assert (label, rest) == ("start_from[0]", [])
    assert start == space.smallest()
    assert start.digest == Architecture.from_dict(member).digest


# files ----------------------------------------------------------------------------------------------------------------


def test_shippedspaces() -> None:
    assert available() == SHIPPED
    for name in SHIPPED:
        space = SearchSpace.load(name)
        assert space.name == name
        assert space.description
        assert space.start_from
        for _, start in space.start_from:
            assert SpaceAt(space, LARGE).decode(SpaceAt(space, LARGE).encode(start)).digest == start.digest


@pytest.mark.parametrize(
    ("name", "variants"),
    [
        ("vovnet", ["vovnet27_slim", "vovnet39", "vovnet57"]),
        ("vovnet_slim", ["vovnet27_slim"]),
        (
            "vovnet_v2",
            [f"vovnet{n}_v2" for n in ("19_slim_dw", "19_dw", "19_slim", "19", "39", "57")]
            + ["ese_vovnet39b", "ese_vovnet57b"],
        ),
    ],
)
def test_published_variants_are_inside(name: str, variants: list[str]) -> None:
    at = SpaceAt(SearchSpace.load(name), LARGE)
    for variant in variants:
        assert at.decode(at.encode(VARIANTS[variant])).digest == VARIANTS[variant].digest


def test_the_default_space_starts_from_the_published_networks_and_reaches_far_below() -> None:
    space = SearchSpace.load("vovnet")
    assert [label for label, _ in space.start_from] == ["vovnet27_slim", "vovnet39", "vovnet57"]
    assert [start for _, start in space.start_from] == [VARIANTS[label] for label, _ in space.start_from]
    assert space.smallest().stem.channels[0] == 8
    assert all(stage.conv_channels == 8 and stage.layers == 1 for stage in space.smallest().stages)
    assert space.largest().stages[2].modules == 4


def test_tiny_is_tiny_and_holds_inert_choices() -> None:
    space = SearchSpace.load("tiny")
    members = list(space.enumerate())
    assert len(members) == len(set(members)) == space.size == 192
    assert len({member.digest for member in members}) == SpaceAt(space, LARGE).count == 128


def test_load_takes_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(space_document()), encoding="utf-8")
    (tmp_path / "mine.json").write_text(json.dumps(space_document()), encoding="utf-8")
    (tmp_path / "plain").write_text(json.dumps(space_document()), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for given_path in ("mine.yaml", "./mine.yaml", str(tmp_path / "mine.yaml"), Path("mine.yaml"), "mine.json"):
        assert SearchSpace.load(given_path) == SearchSpace.from_dict(space_document())
    assert SearchSpace.load(Path("plain")).name == SearchSpace.load("./plain").name == "mine"


def test_load_reports_duplicate_keys_with_all_else(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(space_document(atention="ese")) + "name: other\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        SearchSpace.load(file)
    assert caught.value.source == str(file)
    assert [problem.key for problem in caught.value.problems] == ["name", "atention"]
    assert caught.value.problems[0].message.startswith("given twice, on lines ")


@pytest.mark.parametrize("text", ["", "stages: [", "- 1"])
def test_load_refuses_what_is_no_space(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml has "):
        SearchSpace.load(file)


def test_unknown_name() -> None:
    with pytest.raises(UsageError) as caught:
        SearchSpace.load("vovnett")
    assert str(caught.value) == (
        "There is no search space called 'vovnett'. Did you mean 'vovnet'? "
        "A file of your own is given by its path, ending in .yaml."
    )
    with pytest.raises(UsageError, match="Known: tiny, vovnet, vovnet_slim, vovnet_v2"):
        SearchSpace.load("zzz")


def test_missing_file() -> None:
    with pytest.raises(UsageError) as caught:
        SearchSpace.load("nowhere/space.yaml")
    assert str(caught.value) == (
        "The search space file nowhere/space.yaml does not exist. Name a YAML file, or a shipped space (osanas spaces)."
    )
