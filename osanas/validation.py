"""Reads and checks documents: every problem at once as osanas' own error, each with its key path and a fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from osanas.errors import ConfigError, Problem, UsageError

Model = TypeVar("Model", bound=BaseModel)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word, such as ``Did you mean 'layers'?``; the known words if none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(names)}."


def key_path(location: Iterable[int | str]) -> str:
    """``("stages", 1, "layers")`` as ``stages[1].layers``."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else str(part))
    return path


def read_text(path: Path, *, what: str, fix: str) -> str:
    """The text of a file that a user named.

    Args:
        path: The file, UTF-8.
        what: What it should be, for the message: ``search space``.
        fix: What to do when it cannot be read.

    Raises:
        UsageError: It is missing, a folder, unreadable or no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"The {what} file {path} does not exist.", fix) from None
    except OSError as error:
        raise UsageError(f"The {what} file {path} cannot be read: {error.strerror}.", fix) from None
    except UnicodeDecodeError:
        raise UsageError(f"The {what} file {path} is not text in UTF-8.", fix) from None
    except ValueError as error:  # a null character in the path
        raise UsageError(f"The {what} file {str(path)!r} cannot be read: {error}.", fix) from None


def parse_yaml(text: str, source: str) -> tuple[Any, list[Problem]]:
    """Parses YAML (and so JSON) of plain values.

    Args:
        text: The document.
        source: Its name for the message.

    Returns:
        The document, and a problem for every key that stands twice in one mapping: PyYAML would drop the first
        silently. The caller adds what else is wrong.

    Raises:
        ConfigError: It is not YAML.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        problems = [] if node is None else list(_duplicate_keys(node, (), set()))
        return yaml.safe_load(text), problems
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(source, [Problem("", f"not valid YAML: {where}{error.problem}")]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(source, [Problem("", f"not valid YAML: {' '.join(str(error).split())}")]) from None
    except RecursionError:
        raise ConfigError(source, [Problem("", "not valid YAML: nested too deeply")]) from None


def _duplicate_keys(node: yaml.Node, path: tuple[int | str, ...], seen: set[int]) -> Iterator[Problem]:
    if id(node) in seen:  # an alias, maybe to a node around it
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicate_keys(item, (*path, index), seen)
    elif isinstance(node, yaml.MappingNode):
        first_lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            here, line = (*path, key.value), key.start_mark.line + 1
            if key.value in first_lines:
                yield Problem(key_path(here), f"given twice, on lines {first_lines[key.value]} and {line}")
            first_lines.setdefault(key.value, line)
            yield from _duplicate_keys(value, here, seen)


def validate(
    model: type[Model],
    document: Any,
    source: str,
    *,
    problems: Sequence[Problem] = (),
    context: Mapping[str, Any] | None = None,
) -> Model:
    """Validates a document against a pydantic model.

    Args:
        model: The model class; it should forbid unknown keys.
        document: What a YAML or JSON parser returned.
        source: Name of the document for the message.
        problems: What the parser already found.
        context: What the model's validators need to know beside it.

    Raises:
        ConfigError: With every problem found.
    """
    try:
        valid = model.model_validate(document, context=context)
    except ValidationError as error:
        raise ConfigError(source, [*problems, *problems_of(error, model)]) from None
    if problems:
        raise ConfigError(source, problems)
    return valid


def validate_part(model: type[Model], part: Any) -> Model:
    """Validates a part of a document inside a validator of the whole: its problems come out among the others.

    Raises:
        ValidationError: With every problem found.
    """
    try:
        return model.model_validate(part)
    except ValidationError as error:
        raise several(_explained(error, model)) from None


def several(
    problems: Iterable[tuple[tuple[int | str, ...], str]], *, beside: ValidationError | None = None
) -> ValidationError:
    """The error for a validator that finds several problems.

    Args:
        problems: Location within what is validated, and what is wrong there.
        beside: An error whose problems are added.
    """
    details: list[Any] = [
        {"type": "value_error", "loc": location, "input": None, "ctx": {"error": message}}
        for location, message in problems
    ]
    return ValidationError.from_exception_data("", details + (beside.errors() if beside else []))


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Every problem of a pydantic error with its key path; unknown keys carry a suggestion."""
    return [Problem(key_path(location), message) for location, message in _explained(error, model)]


def _explained(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    for details in error.errors():
        if (
            details["type"] == "default_factory_not_called"
        ):  # for another field is wrong, which has a problem of its own
            continue
        location = details["loc"]
        if details["type"] == "invalid_key":  # a number is no index there
            location = (*location[:-1], str(location[-1]))
        yield location, _message(details, location, model)


def _message(details: Mapping[str, Any], location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    received = details["input"]
    match details["type"]:
        case "extra_forbidden" | "invalid_key":
            return f"unknown key. {did_you_mean(str(location[-1]), _fields_at(model, location[:-1]))}"
        case "missing":
            return "missing; it must be given"
        case "value_error":
            return str(details["ctx"]["error"])
        case "string_type":
            return f"text was expected, got {brief(received)}"
        case "list_type" | "tuple_type":
            return f"a list was expected, got {brief(received)}"
        case "too_long":
            return f"at most {details['ctx']['max_length']} items are taken, got {details['ctx']['actual_length']}"
        case "model_type":
            known = ", ".join(_fields_at(model, location))
            return f"a mapping{known and f' with the keys {known}'} was expected, got {brief(received)}"
        case "dict_type":
            return f"a mapping was expected, got {brief(received)}"
        case "literal_error" | "bool_type":
            expected = details["ctx"]["expected"] if "ctx" in details else "false or true"
            words = [word.strip("'") for word in re.split(", | or ", expected)]
            hint = ""
            if isinstance(received, str):
                hint = " Write it without quotes." if received in words else f" {did_you_mean(received, words)}"
            return f"one of {', '.join(words)} was expected, got {brief(received)}.{hint}"
        case _:
            message = str(details["msg"])
            return f"{message[0].lower()}{message[1:]}, got {brief(received)}"


def brief(value: Any) -> str:
    """A received value in a few words, for a message."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Field names of the (nested) model that a location inside ``model`` points to."""
    current: type[BaseModel] | None = model
    for part in location:
        if current is not None and isinstance(part, str):
            current = _model_in(current.model_fields[part].annotation) if part in current.model_fields else None
    return list(current.model_fields) if current is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
