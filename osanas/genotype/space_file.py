"""Reads a search-space document: checks all of it, then reports every problem at once. Free of torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from osanas.errors import ConfigError, Problem
from osanas.genotype.architecture import NUM_STAGES, STAGE_NAMES, Architecture, Stage
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.variants import VARIANTS
from osanas.validation import brief, did_you_mean, key_path

Value = int | str | bool

LARGEST_NUMBER = 65_536
"""Upper bound of any number in a space: far above every published width, and a range stays small enough to list."""

# in order of what they cost, so that the ordinal of a choice means something to a sampler
_DOWNSAMPLE: tuple[Value, ...] = ("pool", "stride")
_CONV: tuple[Value, ...] = ("depthwise", "dense")
_ATTENTION: tuple[Value, ...] = ("none", "eca_last", "ese_last", "ese")
_IDENTITY: tuple[Value, ...] = (False, True)

_LARGE_IMAGE = NetworkShape.of(224)
"""What a space is judged by when it is read: every choice that ever matters matters here."""

_TOP_KEYS = ("name", "description", "stem", "stages", "conv", "attention", "identity", "start_from")
_STAGE_KEYS = tuple(Stage.model_fields)


@dataclass(frozen=True)
class Leaf:
    """A place in the document that holds a fixed value or a choice of values."""

    name: str
    """Name of its dimension, such as ``stage2.layers``."""
    path: tuple[int | str, ...]
    """Where it stands in a document and in an architecture's JSON form: ``("stages", 0, "layers")``."""
    words: tuple[Value, ...] | None = None
    """What it may be; None is a positive whole number."""
    default: Value | None = None
    """Value when it is left out; None means it must be given."""


LEAVES: tuple[Leaf, ...] = (
    *(Leaf(f"stem.channels.{i}", ("stem", "channels", i)) for i in range(3)),
    Leaf("stem.downsample", ("stem", "downsample"), _DOWNSAMPLE, "pool"),
    *(Leaf(f"{stage}.{key}", ("stages", index, key)) for index, stage in enumerate(STAGE_NAMES) for key in _STAGE_KEYS),
    Leaf("conv", ("conv",), _CONV, "dense"),
    Leaf("attention", ("attention",), _ATTENTION, "none"),
    Leaf("identity", ("identity",), _IDENTITY, default=False),
)
"""Every leaf, in the order of the forward pass."""


@dataclass(frozen=True)
class SpaceFile:
    """A search space as read: the values of each leaf, ascending, by its name."""

    name: str
    description: str
    values: Mapping[str, tuple[Value, ...]]
    start_from: tuple[tuple[str, Architecture], ...]


def leaf_values(architecture: Architecture) -> dict[str, Value]:
    """The value of each leaf in an architecture, by the leaf's name."""
    document = architecture.to_dict()
    return {leaf.name: _at(document, leaf.path) for leaf in LEAVES}


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Puts something per leaf where the leaf stands: the inverse of ``leaf_values``."""
    document: dict[str, Any] = {"stem": {"channels": [None] * 3}, "stages": [{} for _ in range(NUM_STAGES)]}
    for leaf in LEAVES:
        parent = _at(document, leaf.path[:-1])
        parent[leaf.path[-1]] = values[leaf.name]
    return document


def place(
    architecture: Architecture, values: Mapping[str, tuple[Value, ...]], shape: NetworkShape
) -> tuple[dict[str, Value], list[str]]:
    """Finds an architecture among the values of a space.

    A member that builds the same network is as good: one that differs only in a choice without effect, as identity is
    where every stage has one module.

    Args:
        architecture: What to find.
        values: The values of each leaf; leaves that are left out are not compared.
        shape: What networks are built for; it decides which choices are without effect.

    Returns:
        The leaves of the member found and an empty list, or the architecture's own leaves and one phrase for each that
        is outside.
    """
    first: tuple[dict[str, Value], list[str]] | None = None
    for form in _equal_networks(architecture, shape):
        found = leaf_values(form)
        outside = [
            f"{name} is {shown(found[name])}, the space has {', '.join(map(shown, allowed))}"
            for name, allowed in values.items()
            if found[name] not in allowed
        ]
        if not outside:
            return found, []
        first = first or (found, outside)
    assert first is not None
    return first


def shown(value: Value) -> str:
    """A value as a YAML file spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _equal_networks(architecture: Architecture, shape: NetworkShape) -> Iterator[Architecture]:
    """The architecture, then every other form of the same network."""
    yield architecture
    network = shape.canonical(architecture)
    for downsample, attention, identity in itertools.product(_DOWNSAMPLE, _ATTENTION, _IDENTITY):
        stem = architecture.stem.model_copy(update={"downsample": downsample})
        form = architecture.model_copy(update={"stem": stem, "attention": attention, "identity": identity})
        if form != architecture and shape.canonical(form) == network:
            yield form


def _at(document: Any, path: Sequence[int | str]) -> Any:
    for part in path:
        document = document[part]
    return document


def read_space(document: Any, source: str, problems: Sequence[Problem] = ()) -> SpaceFile:
    """Checks a document and resolves its leaves.

    Args:
        document: What a YAML or JSON parser returned.
        source: Its name for the message.
        problems: What the parser already found.

    Raises:
        ConfigError: With every problem found; whether ``start_from`` lies inside is judged on the right leaves.
    """
    reader = _Reader(problems)
    space = reader.read(document)
    if reader.problems:
        raise ConfigError(source, reader.problems)
    return space


class _Reader:
    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)

    def read(self, document: Any) -> SpaceFile:
        """Everything of the document that is right; the rest is in ``problems``."""
        top = self._mapping(document, (), _TOP_KEYS, required=("name", "stem", "stages"))
        found = self._given_leaves(top)
        values: dict[str, tuple[Value, ...]] = {}
        for leaf in LEAVES:
            if leaf.path in found:
                values[leaf.name] = self._leaf(found[leaf.path], leaf)
            elif leaf.default is not None:
                values[leaf.name] = (leaf.default,)
        return SpaceFile(
            name=self._name(top),
            description=self._text(top, "description"),
            values=values,
            start_from=self._start_from(top.get("start_from", []), {k: v for k, v in values.items() if v}),
        )

    def _given_leaves(self, top: Mapping[str, Any]) -> dict[tuple[int | str, ...], Any]:
        """What is given at each leaf's path, after checking what lies above."""
        found: dict[tuple[int | str, ...], Any] = {(key,): top[key] for key in top}
        if "stem" in top:
            stem = self._mapping(top["stem"], ("stem",), ("channels", "downsample"), required=("channels",))
            found |= {("stem", key): value for key, value in stem.items()}
            if "channels" in stem:
                channels = self._sequence(stem["channels"], ("stem", "channels"), 3, "one for each convolution")
                found |= {("stem", "channels", index): value for index, value in enumerate(channels)}
        if "stages" in top:
            what = f"{STAGE_NAMES[0]} to {STAGE_NAMES[-1]}"
            for index, item in enumerate(self._sequence(top["stages"], ("stages",), NUM_STAGES, what)):
                stage = self._mapping(item, ("stages", index), _STAGE_KEYS, required=_STAGE_KEYS)
                found |= {("stages", index, key): value for key, value in stage.items()}
        return found

    def _mapping(
        self, node: Any, path: tuple[int | str, ...], known: Sequence[str], required: Sequence[str] = ()
    ) -> dict[str, Any]:
        if not isinstance(node, Mapping):
            self._problem(path, f"a mapping with the keys {', '.join(known)} was expected, got {brief(node)}")
            return {}
        for key in node:
            if key not in known:
                self._problem((*path, str(key)), f"unknown key. {did_you_mean(str(key), known)}")
        for key in required:
            if key not in node:
                self._problem((*path, key), "missing; it must be given")
        return {key: node[key] for key in known if key in node}

    def _sequence(self, node: Any, path: tuple[int | str, ...], length: int, what: str) -> list[Any]:
        if not isinstance(node, list):
            self._problem(path, f"a list of {length} items was expected ({what}), got {brief(node)}")
            return []
        if len(node) != length:
            self._problem(path, f"{length} items are needed ({what}), got {len(node)}")
        return node[:length]

    def _leaf(self, node: Any, leaf: Leaf) -> tuple[Value, ...]:
        """The leaf's values in ascending order; none where something is wrong."""
        if not isinstance(node, Mapping):
            return (node,) if self._is_value(node, leaf, leaf.path) else ()
        if "choices" in node:
            self._mapping(node, leaf.path, ("choices",))
            return self._choices(node["choices"], leaf)
        if leaf.words is not None:
            self._mapping(node, leaf.path, ("choices",), required=("choices",))
            return ()
        return self._range(self._mapping(node, leaf.path, ("low", "high", "step"), required=("low", "high")), leaf)

    def _choices(self, node: Any, leaf: Leaf) -> tuple[Value, ...]:
        path = (*leaf.path, "choices")
        if not isinstance(node, list) or not node:
            self._problem(path, f"a list of at least one value was expected, got {brief(node)}")
            return ()
        right = [self._is_value(item, leaf, (*path, index)) for index, item in enumerate(node)]
        if not all(right):
            return ()
        twice = sorted({shown(item) for item in node if node.count(item) > 1})
        if twice:
            self._problem(path, f"each value once, got {', '.join(twice)} more than once")
        order = leaf.words.index if leaf.words is not None else int
        return tuple(sorted(node, key=order))

    def _range(self, node: Mapping[str, Any], leaf: Leaf) -> tuple[Value, ...]:
        wrong = [key for key, value in node.items() if not self._is_value(value, leaf, (*leaf.path, key))]
        if wrong or "low" not in node or "high" not in node:
            return ()
        low, high, step = node["low"], node["high"], node.get("step", 1)
        if low > high:
            self._problem(leaf.path, f"an empty range: low {low} is above high {high}")
            return ()
        if (high - low) % step:
            last = high - (high - low) % step
            self._problem(
                leaf.path,
                f"steps of {step} from low {low} miss high {high}; the nearest ends are {last} and {last + step}",
            )
            return ()
        return tuple(range(low, high + 1, step))

    def _is_value(self, value: Any, leaf: Leaf, path: tuple[int | str, ...]) -> bool:
        if leaf.words is None:
            if type(value) is int and 1 <= value <= LARGEST_NUMBER:
                return True
            forms = ", {choices: [...]} or {low: , high: , step: }" if path == leaf.path else ""
            self._problem(path, f"a whole number from 1 to {LARGEST_NUMBER}{forms} was expected, got {brief(value)}")
            return False
        if any(type(value) is type(word) and value == word for word in leaf.words):
            return True
        words = [shown(word) for word in leaf.words]
        hint = ""
        if isinstance(value, str):
            hint = " Write it without quotes." if value in words else f" {did_you_mean(value, words)}"
        self._problem(path, f"one of {', '.join(words)} was expected, got {brief(value)}.{hint}")
        return False

    def _name(self, top: Mapping[str, Any]) -> str:
        name = self._text(top, "name")
        if (
            "name" in top
            and isinstance(top["name"], str)
            and not (name.isascii() and name.replace("-", "_").isidentifier())
        ):
            # the name becomes part of the study's name and so of a folder's
            self._problem(("name",), f"letters, digits, '_' and '-' only, beginning with a letter, got {name!r}")
        return name

    def _text(self, top: Mapping[str, Any], key: str) -> str:
        text = top.get(key, "")
        if not isinstance(text, str):
            self._problem((key,), f"text was expected, got {brief(text)}")
            return ""
        return text

    def _start_from(self, node: Any, values: Mapping[str, tuple[Value, ...]]) -> tuple[tuple[str, Architecture], ...]:
        if not isinstance(node, list):
            self._problem(
                ("start_from",), f"a list of published names or architectures was expected, got {brief(node)}"
            )
            return ()
        members: list[tuple[str, Architecture]] = []
        for index, item in enumerate(node):
            architecture = self._architecture(item, index)
            if architecture is None:
                continue
            label = item if isinstance(item, str) else f"start_from[{index}]"
            found, outside = place(architecture, values, _LARGE_IMAGE)
            for phrase in outside:
                self._problem(
                    ("start_from", index),
                    f"{label} is not inside the space: {phrase}"
                    if isinstance(item, str)
                    else f"not inside the space: {phrase}",
                )
            if not outside:
                members.append((label, Architecture.from_dict(nest(found))))
        return tuple(members)

    def _architecture(self, item: Any, index: int) -> Architecture | None:
        if isinstance(item, str):
            if item not in VARIANTS:
                self._problem(
                    ("start_from", index), f"no published variant is called {item!r}. {did_you_mean(item, VARIANTS)}"
                )
            return VARIANTS.get(item)
        if not isinstance(item, Mapping):
            self._problem(("start_from", index), f"a published name or an architecture was expected, got {brief(item)}")
            return None
        try:
            return Architecture.from_dict(dict(item))
        except ConfigError as error:
            for problem in error.problems:
                key = key_path(("start_from", index))
                self.problems.append(Problem(f"{key}.{problem.key}" if problem.key else key, problem.message))
            return None

    def _problem(self, path: Sequence[int | str], message: str) -> None:
        self.problems.append(Problem(key_path(path), message))
