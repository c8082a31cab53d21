"""The search-space document: what it may hold. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainValidator,
    StrictBool,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from osanas.genotype.architecture import NUM_STAGES, STAGE_NAMES, Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.leaves import LEAVES, WORDS, Value, Values, at_leaf, place, shown
from osanas.genotype.variants import VARIANTS
from osanas.validation import brief, did_you_mean, several, validate_part

Item = TypeVar("Item", bound=Value)

LARGEST_NUMBER = 65_536
"""Upper bound of any number in a space: far above every published width, and a range stays small enough to list."""

_LARGE_IMAGE = NetworkShape.of(224)
"""What a space is judged by when it is read: every choice that ever matters matters here."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _number(value: Any, *, other_forms: str = "") -> int:
    if type(value) is int and 1 <= value <= LARGEST_NUMBER:
        return value
    raise ValueError(f"a whole number from 1 to {LARGEST_NUMBER}{other_forms} was expected, got {brief(value)}")


def _list_of(what: str, *, at_least: int = 0) -> BeforeValidator:
    def check(node: Any) -> Any:
        if isinstance(node, list) and len(node) >= at_least:
            return node
        raise ValueError(f"a list of {what} was expected, got {brief(node)}")

    return BeforeValidator(check)


def _items(count: int, what: str) -> WrapValidator:
    """A list of so many items; if there are more or fewer, what is wrong with each is told as well."""

    def check(node: Any, read: ValidatorFunctionWrapHandler) -> Any:
        if not isinstance(node, list):
            raise ValueError(f"a list of {count} items was expected ({what}), got {brief(node)}")
        if len(node) == count:
            return read(node)
        length = f"{count} items are needed ({what}), got {len(node)}"
        try:
            read(node[:count])
        except ValidationError as error:
            raise several([((), length)], beside=error) from None
        raise ValueError(length)

    return WrapValidator(check)


def _distinct(values: list[Item]) -> list[Item]:
    twice = sorted({shown(value) for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"each value once, got {', '.join(twice)} more than once")
    return values


_Number = Annotated[int, PlainValidator(_number)]


class _Choices(_Part, Generic[Item]):
    choices: Annotated[list[Item], _list_of("at least one value", at_least=1), AfterValidator(_distinct)]


class _Range(_Part):
    low: _Number
    high: _Number
    step: _Number = 1

    @model_validator(mode="after")
    def _steps_end_at_high(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"an empty range: low {self.low} is above high {self.high}")
        beyond = (self.high - self.low) % self.step
        if beyond:
            last = self.high - beyond
            raise ValueError(
                f"steps of {self.step} from low {self.low} miss high {self.high}; "
                f"the nearest ends are {last} and {last + self.step}"
            )
        return self


def _numbers(node: Any) -> Values:
    if not isinstance(node, Mapping):
        return (_number(node, other_forms=", {choices: [...]} or {low: , high: , step: }"),)
    if "choices" in node:
        return tuple(sorted(validate_part(_Choices[_Number], node).choices))
    ends = validate_part(_Range, node)
    return tuple(range(ends.low, ends.high + 1, ends.step))


def _words(leaf: str) -> PlainValidator:
    words = WORDS[leaf]
    one: Any = StrictBool if words == (False, True) else Literal[words]  # a literal True would take 1
    fixed = TypeAdapter(one)
    choices: Any = _Choices.__class_getitem__(one)

    def read(node: Any) -> Values:
        if not isinstance(node, Mapping):
            return (fixed.validate_python(node),)
        return tuple(sorted(validate_part(choices, node).choices, key=words.index))

    return PlainValidator(read)


_Numbers = Annotated[Values, PlainValidator(_numbers)]


class _StemChoices(_Part):
    channels: Annotated[list[_Numbers], _items(3, "one for each convolution")]
    downsample: Annotated[Values, _words("stem.downsample")] = ("pool",)


class _StageChoices(_Part):
    conv_channels: _Numbers
    out_channels: _Numbers
    layers: _Numbers
    modules: _Numbers


def _file_name(name: str) -> str:
    # the name becomes part of the study's name and so of a folder's
    if name.isascii() and name.replace("-", "_").isidentifier():
        return name
    raise ValueError(f"letters, digits, '_' and '-' only, beginning with a letter, got {name!r}")


def _start(item: Any, info: ValidationInfo) -> tuple[str, Architecture]:
    """A member to start from and its published name; it is compared with the parts that are right."""
    if isinstance(item, str) and item not in VARIANTS:
        raise ValueError(f"no published variant is called {item!r}. {did_you_mean(item, VARIANTS)}")
    if not isinstance(item, str | Mapping):
        raise ValueError(f"a published name or an architecture was expected, got {brief(item)}")
    name, architecture = (item, VARIANTS[item]) if isinstance(item, str) else ("", validate_part(Architecture, item))
    values = {leaf: at_leaf(info.data, leaf) for leaf, path in LEAVES.items() if path[0] in info.data}
    member, outside = place(architecture, values, _LARGE_IMAGE)
    if outside:
        start = f"{name} is not inside" if name else "not inside"
        raise several(((), f"{start} the space: {phrase}") for phrase in outside)
    return name, member


class SpaceFile(_Part):
    """A search space as read: the values of each leaf."""

    name: Annotated[str, AfterValidator(_file_name)]
    description: str = ""
    stem: _StemChoices
    stages: Annotated[list[_StageChoices], _items(NUM_STAGES, f"{STAGE_NAMES[0]} to {STAGE_NAMES[-1]}")]
    conv: Annotated[Values, _words("conv")] = ("dense",)
    attention: Annotated[Values, _words("attention")] = ("none",)
    identity: Annotated[Values, _words("identity")] = (False,)
    # last, since it is compared with all above
    start_from: Annotated[
        list[Annotated[tuple[str, Architecture], PlainValidator(_start)]],
        _list_of("published names or architectures"),
    ] = []
    """Members to evaluate early, each with its published name or an empty text."""
