from __future__ import annotations

import random

import pytest

from osanas.engine.next_step import AT_ONCE, StartingPoints, none_fits, over_by_count
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.study.config import Limits
from tests.fakes import SMALL, start

SHAPE = NetworkShape(resolution=32, in_channels=3, num_classes=10, stem_reduction=2)


def costs(architecture: Architecture, shape: NetworkShape = SHAPE) -> tuple[int, int]:
    found = shape.costs(architecture)
    return found.parameters, found.multiply_adds


def test_limits_by_count() -> None:
    space = SearchSpace.from_dict(SMALL)
    member, at = space.largest(), SpaceAt(space, SHAPE)
    parameters, multiply_adds = costs(member)
    assert over_by_count(member, at, Limits(max_latency_ms=1e-9)) is None
    assert over_by_count(member, at, Limits(max_parameters=parameters, max_multiply_adds=multiply_adds)) is None
    reason = over_by_count(member, at, Limits(max_latency_ms=1e-9, max_multiply_adds=multiply_adds - 1))
    assert reason == f"multiply_adds {multiply_adds:,.6g} over the limit {multiply_adds - 1:,.6g}"


@pytest.mark.parametrize("name", ["vovnet", "vovnet_slim", "tiny"])
@pytest.mark.parametrize("shape", [SHAPE, NetworkShape(225, 3, 1000, 4)])
def test_a_limit_that_nothing_meets_is_known_and_one_that_something_meets_is_never_refused(
    name: str, shape: NetworkShape
) -> None:
    space = SearchSpace.load(name)
    least = min(costs(space.smallest(), shape)[0], 10**12)
    assert none_fits(SpaceAt(space, shape), Limits(max_parameters=least)) is None
    assert (
        none_fits(SpaceAt(space, shape), Limits(max_parameters=least - 1))
        == f"parameters {least:,.6g} over the limit {least - 1:,.6g}"
    )
    rng = random.Random(0)
    for _ in range(200):
        parameters, multiply_adds = costs(space.sample(rng), shape)
        assert (
            none_fits(SpaceAt(space, shape), Limits(max_parameters=parameters, max_multiply_adds=multiply_adds)) is None
        )


def test_either_form_of_the_stem_may_be_the_smaller_one() -> None:
    document = {**SMALL, "stem": {"channels": [8, 8, 16], "downsample": {"choices": ["pool", "stride"]}}}
    space, shape = SearchSpace.from_dict(document), NetworkShape(64, 3, 10, 4)
    smallest = space.smallest().to_dict()
    each = []
    for form in ("pool", "stride"):
        smallest["stem"]["downsample"] = form
        each.append(costs(Architecture.from_dict(smallest), shape)[1])
    assert each[0] != each[1]
    assert none_fits(SpaceAt(space, shape), Limits(max_multiply_adds=min(each))) is None
    assert none_fits(SpaceAt(space, shape), Limits(max_multiply_adds=min(each) - 1)) is not None


def test_nothing_is_said_of_depthwise_networks() -> None:
    space = SearchSpace.from_dict({**SMALL, "conv": {"choices": ["dense", "depthwise"]}})
    assert none_fits(SpaceAt(space, SHAPE), Limits(max_parameters=1)) is None


# starting points ----------------------------------------------------------------------------------------------------


def points(count: int, **limits: float) -> StartingPoints:
    members = list(SearchSpace.from_dict(SMALL).enumerate())[:count]
    space = SearchSpace.from_dict({**SMALL, "start_from": [member.to_dict() for member in members]})
    return StartingPoints(SpaceAt(space, SHAPE), Limits.model_validate(limits))


def test_a_few_come_first() -> None:
    starts = points(3)
    seen: set[str] = {"a1:other"}
    order = []
    while (due := starts.due(seen)) is not None:
        order.append(due)
        seen.add(due.digest)
    assert order == [SHAPE.canonical(member) for _, member in starts.at.space.start_from]


def test_many_take_turns_with_the_sampler() -> None:
    starts = points(12)
    seen: set[str] = set()
    turns = ""
    while len(seen) < 20:
        due = starts.due(seen)
        turns += "o" if due is None else "s"
        seen.add(f"a1:other {len(seen)}" if due is None else due.digest)
    assert AT_ONCE == 8
    assert turns == "s" * 9 + "osos" + "os" + "ooooo"


def test_those_over_a_limit_by_count_are_left_out() -> None:
    least = costs(SearchSpace.from_dict(SMALL).smallest())[0]
    space = SearchSpace.from_dict({**SMALL, "start_from": [start(stage3=3), start()]})
    starts = StartingPoints(SpaceAt(space, SHAPE), Limits(max_parameters=least))
    due = starts.due(set())
    assert due is not None
    assert costs(due)[0] == least
    assert starts.due({due.digest}) is None
    (left_out,) = starts.left_out
    assert left_out.startswith("start_from[0] (parameters ")
    assert left_out.endswith(f" over the limit {least:,.6g})")
