from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from osanas.errors import ConfigError, Problem, UsageError
from osanas.validation import brief, did_you_mean, key_path, parse_yaml, read_text, several, validate, validate_part


class _Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    layers: PositiveInt
    kind: Literal["dense", "depthwise"] = "dense"


class _Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    stages: Annotated[tuple[_Inner, ...], Field(strict=False, max_length=3)] = ()
    inner: _Inner | None = None
    name: str = "x"
    flag: bool = False

    @field_validator("name")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value) > 3:
            raise ValueError(f"at most 3 letters, got {len(value)}")
        return value


def _problems(document: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate(_Outer, document, "the file")
    assert caught.value.source == "the file"
    return [str(problem) for problem in caught.value.problems]


def test_valid_document() -> None:
    assert validate(_Outer, {"stages": [{"layers": 2}]}, "x").stages[0].layers == 2


def test_reports_everything_at_once_with_key_paths() -> None:
    document = {
        "stages": [{"layers": 1}, {"layrs": 3}, {"layers": "4", "kind": "depthwide"}],
        "inner": {"layers": 0},
        "name": "much too long",
        "nam": 1,
    }
    assert _problems(document) == [
        "stages[1].layers: missing; it must be given",
        "stages[1].layrs: unknown key. Did you mean 'layers'?",
        "stages[2].layers: input should be a valid integer, got '4'",
        "stages[2].kind: one of dense, depthwise was expected, got 'depthwide'. Did you mean 'depthwise'?",
        "inner.layers: input should be greater than 0, got 0",
        "name: at most 3 letters, got 13",
        "nam: unknown key. Did you mean 'name'?",
    ]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (None, "a mapping with the keys stages, inner, name, flag was expected, got nothing"),
        ([1], "a mapping with the keys stages, inner, name, flag was expected, got [1]"),
        ({"inner": 3}, "inner: a mapping with the keys layers, kind was expected, got 3"),
        ({"inner": {"layers": 1, "kind": None}}, "inner.kind: one of dense, depthwise was expected, got nothing."),
        ({"flag": "true"}, "flag: one of false, true was expected, got 'true'. Write it without quotes."),
        ({"flag": 1}, "flag: one of false, true was expected, got 1."),
        ({"name": 3}, "name: text was expected, got 3"),
        ({"stages": 3}, "stages: a list was expected, got 3"),
        ({"stages": [{"layers": 1}] * 4}, "stages: at most 3 items are taken, got 4"),
        ({3: 1}, "3: unknown key. Known: flag, inner, name, stages."),
        ({"inner": {"layers": 1, "zzz": 1}}, "inner.zzz: unknown key. Known: kind, layers."),
    ],
)
def test_wrong_shapes(document: Any, problem: str) -> None:
    assert _problems(document) == [problem]


def test_what_the_parser_found_comes_first() -> None:
    found = [Problem("a", "given twice")]
    for document, others in (({}, []), ({"nam": 1}, ["nam: unknown key. Did you mean 'name'?"])):
        with pytest.raises(ConfigError) as caught:
            validate(_Outer, document, "x", problems=found)
        assert [str(problem) for problem in caught.value.problems] == ["a: given twice", *others]


def test_a_validator_reports_several_problems_and_those_of_a_part() -> None:
    def read(node: Any, check: ValidatorFunctionWrapHandler) -> Any:
        if isinstance(node, dict):
            return validate_part(_Inner, node)
        try:
            return check(node)
        except ValidationError as error:
            raise several([((), "first"), (("a", 0), "second")], beside=error) from None

    class Whole(BaseModel):
        part: Annotated[int, WrapValidator(read)]

    for document, problems in (
        ({"part": {"layrs": 1}}, ["part.layers: missing; it must be given", "part.layrs: unknown key. Did you mean"]),
        ({"part": "x"}, ["part: first", "part.a[0]: second", "part: input should be a valid integer"]),
    ):
        with pytest.raises(ConfigError) as caught:
            validate(Whole, document, "x")
        found = [str(problem) for problem in caught.value.problems]
        assert len(found) == len(problems)
        assert all(map(str.startswith, found, problems))


def test_key_path() -> None:
    assert key_path(("stages", 1, "layers")) == "stages[1].layers"
    assert key_path((0, "a")) == "[0].a"
    assert key_path(()) == ""


def test_did_you_mean() -> None:
    assert did_you_mean("vovnett39", ["vovnet39", "resnet50"]) == "Did you mean 'vovnet39'?"
    assert did_you_mean("zzz", ["b", "a"]) == "Known: a, b."


def test_brief_cuts_long_values() -> None:
    assert brief(None) == "nothing"
    assert brief("x") == "'x'"
    assert len(brief("x" * 500)) == 60


def test_parse_yaml_finds_every_duplicate_key() -> None:
    document, problems = parse_yaml("a: 1\nb:\n  - {c: 1, d: 2, c: 3}\na: 2\n", "x")
    assert document == {"a": 2, "b": [{"c": 3, "d": 2}]}
    assert problems == [
        Problem("b[0].c", "given twice, on lines 3 and 3"),
        Problem("a", "given twice, on lines 1 and 4"),
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "~"])
def test_parse_yaml_of_nothing(text: str) -> None:
    assert parse_yaml(text, "x") == (None, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "not valid YAML: line 1, column 9: expected ',' or ']'"),
        ("a: b: c", "not valid YAML: line 1, column 5: mapping values are not allowed here"),
        ("a: *missing", "not valid YAML: line 1, column 4: found undefined alias"),
        ("a: !!python/object:os.system x", "not valid YAML: line 1, column 4: could not determine a constructor"),
        ("{[1]: 2}", "not valid YAML: line 1, column 2: found unhashable key"),
        ("a: 1\n---\nb: 2\n", "not valid YAML: line 2, column 1: but found another document"),
        ("a: 2001-99-99", "not valid YAML: month must be in 1..12"),
        ("a: \x00", "not valid YAML: unacceptable character"),
        ("[" * 5000, "not valid YAML: nested too deeply"),
    ],
)
def test_parse_yaml_errors(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "my.yaml")
    assert str(caught.value).startswith(f"my.yaml has 1 problem:\n  {message}")


def test_parse_yaml_survives_a_cycle() -> None:
    document, problems = parse_yaml("a: &x [1, *x]\n", "x")
    assert document["a"][1] is document["a"]
    assert problems == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=12,
    )
)
def test_parse_yaml_reads_what_yaml_writes(document: Any) -> None:
    assert parse_yaml(yaml.safe_dump(document), "x") == (document, [])


def test_read_text(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes("\ufeffname: ä\n".encode())
    assert read_text(file, what="study", fix="Fix.") == "name: ä\n"


def test_read_text_errors(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    expected = {
        tmp_path / "no.yaml": f"The study file {tmp_path}/no.yaml does not exist. Fix.",
        tmp_path: f"The study file {tmp_path} cannot be read: Is a directory. Fix.",
        binary: f"The study file {binary} is not text in UTF-8. Fix.",
        tmp_path / "a\0b": f"The study file '{tmp_path}/a\\x00b' cannot be read: embedded null byte. Fix.",
    }
    for path, message in expected.items():
        with pytest.raises(UsageError) as caught:
            read_text(path, what="study", fix="Fix.")
        assert str(caught.value) == message
