"""Search spaces, small ones by hand and any by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.leaves import WORDS
from osanas.genotype.space import SearchSpace

LARGE = NetworkShape.of(224)


def space_document(**changes: Any) -> dict[str, Any]:
    stage = {"conv_channels": 8, "out_channels": 16, "layers": 1, "modules": 1}
    return {"name": "mine", "stem": {"channels": [8, 8, 8]}, "stages": [dict(stage) for _ in range(4)], **changes}


@st.composite
def numbers(draw: st.DrawFn) -> Any:
    low = draw(st.integers(1, 64))
    if draw(st.booleans()):
        return low
    if draw(st.booleans()):
        return {"choices": draw(st.lists(st.integers(1, 64), min_size=1, max_size=4, unique=True))}
    step = draw(st.integers(1, 8))
    return {"low": low, "high": low + step * draw(st.integers(0, 3)), "step": step}


def words(words: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    choices = st.lists(st.sampled_from(words), min_size=1, unique=True)
    return st.sampled_from(words) | st.builds(lambda c: {"choices": c}, choices)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    document = space_document(
        stem={"channels": [draw(numbers()) for _ in range(3)], "downsample": draw(words(WORDS["stem.downsample"]))},
        conv=draw(words(WORDS["conv"])),
        attention=draw(words(WORDS["attention"])),
        identity=draw(words(WORDS["identity"])),
    )
    for stage in document["stages"]:
        stage.update(conv_channels=draw(numbers()), layers=draw(numbers()))
        stage["modules"] = draw(st.sampled_from([1, 2, {"choices": [1, 2]}]))
    return SearchSpace.from_dict(document)
