"""Reads and checks documents: every problem at once as osanas' own error, each with its key path and a fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

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


def validate(model: type[Model], document: Any, source: str, context: Mapping[str, Any] | None = None) -> Model:
    """Validates a document against a pydantic model.

    Args:
        model: The model class; it should forbid unknown keys.
        document: What a YAML or JSON parser returned.
        source: Name of the document for the message.
        context: What the model's validators need to know beside it.

    Raises:
        ConfigError: With every problem found.
    """
    try:
        return model.model_validate(document, context=context)
    except ValidationError as error:
        raise ConfigError(source, problems_of(error, model)) from None


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Every problem of a pydantic error with its key path; unknown keys carry a suggestion."""
    return [_problem(details, model) for details in error.errors(include_url=False)]


def _problem(details: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    location = tuple(details["loc"])
    received = details.get("input")
    match details["type"]:
        case "extra_forbidden":
            known = _fields_at(model, location[:-1])
            return Problem(key_path(location), f"unknown key. {did_you_mean(str(location[-1]), known)}")
        case "missing":
            return Problem(key_path(location), "missing; it must be given")
        case "value_error":
            return Problem(key_path(location), str(details["ctx"]["error"]))
        case "model_type" | "dict_type":
            return Problem(key_path(location), f"a mapping was expected, got {brief(received)}")
        case "literal_error":
            words = re.findall(r"'([^']*)'", str(details["ctx"]["expected"]))
            hint = f" {did_you_mean(received, words)}" if isinstance(received, str) and words else ""
            expected = ", ".join(words) or str(details["ctx"]["expected"])
            return Problem(key_path(location), f"one of {expected} was expected, got {brief(received)}.{hint}")
        case _:
            message = str(details["msg"])
            return Problem(key_path(location), f"{message[0].lower()}{message[1:]}, got {brief(received)}")


def brief(value: Any) -> str:
    """A received value in a few words, for a message."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Field names of the (nested) model that a location inside ``model`` points to."""
    current: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part) if _is_model(current) else None
        if field is None:
            break
        current = _model_in(field.annotation)
    return list(current.model_fields) if _is_model(current) else []


def _model_in(annotation: Any) -> Any:
    if _is_model(annotation):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)
