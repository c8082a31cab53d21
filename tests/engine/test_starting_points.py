from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.engine.starting_points import (
    START_SHARE,
    StartingPoints,
    first_start,
    none_fits,
    over_by_count,
)
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.strategy.history import CandidateState, History
from osanas.study.objectives import Limits
from tests.fakes import SMALL, start

MEMBERS = list(SearchSpace.from_dict(SMALL).enumerate())
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


FIRST = first_start(100)


def points(count: int, **limits: float) -> StartingPoints:
    """Of a space that names so many members, the costliest first."""
    dearest = sorted(MEMBERS, key=lambda member: -costs(member)[1])[:: len(MEMBERS) // count][:count]
    space = SearchSpace.from_dict({**SMALL, "start_from": [member.to_dict() for member in dearest]})
    return StartingPoints(SpaceAt(space, SHAPE), Limits.model_validate(limits))


def history(
    others: int, *started: Architecture, seconds: float | None = None, rungs: tuple[int, ...] = (2, 8)
) -> History:
    """So many trained candidates that are no starting points, and some that are."""
    known = {} if seconds is None else {rungs[0]: seconds}
    seen = [
        CandidateState(digest, member, {}, scores={rungs[0]: 0.5}, seconds=known)
        for digest, member in [
            *((f"a1:other {number}", MEMBERS[0]) for number in range(others)),
            *((member.digest, member) for member in started),
        ]
    ]
    return History(rungs, ("accuracy", "latency_ms"), Limits(), seen)


def unknown(_: Architecture) -> None:
    return None


@given(st.integers(0, 50), st.integers(1, 400))
def test_they_come_after_the_first_candidates(count: int, target: int) -> None:
    due = points(2).due(history(count), target, unknown)
    assert (due is not None) == (count >= first_start(target))


@pytest.mark.parametrize(("target", "count"), [(1, 0), (4, 2), (9, 4), (20, 5), (100, 10), (200, 20)])
def test_the_first_comes_after_a_tenth(target: int, count: int) -> None:
    assert first_start(target) == count


def test_the_cheapest_comes_first() -> None:
    starts, order = points(4), list[Architecture]()
    while (due := starts.due(history(FIRST, *order), 100, unknown)) is not None:
        order.append(due)
    named = [SHAPE.canonical(member) for _, member in starts.at.space.start_from]
    assert order == named[::-1]
    assert [costs(member)[1] for member in order] == sorted(costs(member)[1] for member in order)


def test_those_that_wait_are_named_as_the_space_does() -> None:
    starts = points(3)
    names = [name for name, _ in starts.at.space.start_from]
    assert starts.waiting(set()) == names
    cheapest = starts.due(history(FIRST), 100, unknown)
    assert cheapest is not None
    assert starts.waiting({cheapest.digest, "a1:another"}) == names[:-1]
    assert starts.waiting({SHAPE.canonical(member).digest for _, member in starts.at.space.start_from}) == []


@pytest.mark.parametrize(("factor", "is_due"), [(0.99, True), (1.01, False)])
def test_one_whose_first_rung_takes_too_much_of_the_whole_search_is_left_for_later(factor: float, is_due: bool) -> None:
    target, rung, each_s = 50, 2, 10.0
    allowed_s = START_SHARE * target * each_s / rung  # an epoch
    known = history(FIRST, seconds=each_s)
    starts = points(2)
    assert (starts.due(known, target, lambda _: factor * allowed_s) is not None) is is_due
    assert starts.due(known, 2 * target, lambda _: factor * allowed_s) is not None  # a longer search affords it
    assert len(starts.waiting(set())) == 2


def test_the_dearer_ones_wait_for_the_cheapest() -> None:
    """The cheapest is asked about alone: where it is too much, so are the others."""
    asked: list[Architecture] = []

    def seconds(member: Architecture) -> float:
        asked.append(member)
        return 1e9

    starts = points(3)
    assert starts.due(history(FIRST, seconds=1.0), 100, seconds) is None
    assert [costs(member)[1] for member in asked] == [min(costs(member)[1] for _, member in starts.at.space.start_from)]


def test_where_no_time_is_known_none_is_left_for_later() -> None:
    untrained = History((2, 8), ("accuracy", "latency_ms"), Limits(), history(0, *MEMBERS[:FIRST]).seen)
    assert points(2).due(untrained, 100, unknown) is not None
    begun = [CandidateState(f"a1:{number}", MEMBERS[0], {}, running=2) for number in range(FIRST)]
    assert points(2).due(History((2, 8), ("accuracy",), Limits(), begun), 100, lambda _: 1e9) is not None


def test_those_over_a_limit_by_count_are_left_out() -> None:
    least = costs(SearchSpace.from_dict(SMALL).smallest())[0]
    space = SearchSpace.from_dict({**SMALL, "start_from": [start(stage3=3), start()]})
    starts = StartingPoints(SpaceAt(space, SHAPE), Limits(max_parameters=least))
    due = starts.due(history(FIRST), 100, unknown)
    assert due is not None
    assert costs(due)[0] == least
    assert starts.due(history(FIRST, due), 100, unknown) is None
    assert starts.waiting({due.digest}) == []
    (left_out,) = starts.left_out
    assert left_out.startswith("start_from[0] (parameters ")
    assert left_out.endswith(f" over the limit {least:,.6g})")


def test_one_that_is_named_twice_is_started_once() -> None:
    space = SearchSpace.from_dict({**SMALL, "start_from": [start(), start()]})
    starts = StartingPoints(SpaceAt(space, SHAPE), Limits())
    due = starts.due(history(FIRST), 100, unknown)
    assert due is not None
    assert starts.due(history(FIRST, due), 100, unknown) is None
