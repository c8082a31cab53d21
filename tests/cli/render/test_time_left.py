"""The time left, in simulated searches of several workers whose candidates become cheaper or dearer."""

from __future__ import annotations

import heapq
import math
import random

import pytest

from osanas.cli.render.time_left import Ended, seconds_left

RUNGS = (2, 8)


def simulate(
    rungs: tuple[int, ...], *, target: int, workers: int, shares: tuple[float, ...], trend: float, seed: int
) -> list[Ended]:
    """A search whose candidates cost ``trend`` times as much in the end as in the beginning, and spread by a half.

    Each new candidate also takes a second and a half of measuring and deciding, which is no training. Two large ones
    come first. Promotions are begun as soon as they are owed, and the last ten trainings are repeats.
    """
    draw = random.Random(seed)
    per_epoch = [0.6 * math.exp(draw.gauss(0, 0.5)) * trend ** (index / target) for index in range(target)]
    per_epoch[0] = per_epoch[1] = 3.0
    idle = [(0.0, worker) for worker in range(workers)]
    done = [0] * len(rungs)
    repeats = 10
    ended: list[Ended] = []
    while True:
        now, worker = heapq.heappop(idle)
        owed = [rung for rung in range(len(rungs) - 1, 0, -1) if done[rung] < int(shares[rung] * done[rung - 1])]
        if owed:
            rung = owed[0]
            seconds = per_epoch[draw.randrange(done[0])] * (rungs[rung] - rungs[rung - 1])
            overhead = 0.2
        elif done[0] < target:
            rung, seconds, overhead = 0, per_epoch[done[0]] * rungs[0], 1.5
        elif repeats:
            repeats -= 1
            end = now + per_epoch[draw.randrange(target)] * rungs[-1]
            ended.append(Ended(end, end - now, 0.0, None))
            heapq.heappush(idle, (end, worker))
            continue
        else:
            return sorted(ended, key=lambda one: one.at_s)
        done[rung] += 1
        ended.append(Ended(now + overhead + seconds, seconds, overhead, rung))
        heapq.heappush(idle, (now + overhead + seconds, worker))


def error_at(part: float, ended: list[Ended], rungs: tuple[int, ...], target: int) -> float:
    """The estimate after a part of a run, over the time that was really left."""
    whole = ended[-1].at_s
    seen = [one for one in ended if one.at_s <= part * whole]
    missing = target - sum(one.rung == 0 for one in seen)
    repeats = 10 - sum(one.rung is None for one in seen)
    left = seconds_left(seen, rungs, missing=missing, repeats=repeats)
    assert left is not None
    return left / (whole - seen[-1].at_s)


@pytest.mark.parametrize("trend", [0.75, 1.0, 1.5])
@pytest.mark.parametrize(("rungs", "shares"), [((2, 8), (1, 0.2)), ((1, 3, 9), (1, 0.5, 0.4)), ((4,), (1,))])
def test_right_within_a_third_after_a_tenth_of_the_run(
    rungs: tuple[int, ...], shares: tuple[float, ...], trend: float
) -> None:
    """Nearly always: candidates are drawn, and what the first twenty cost is only known roughly."""
    errors = []
    for seed in range(40):
        ended = simulate(rungs, target=200, workers=2, shares=shares, trend=trend, seed=seed)
        errors += [error_at(part, ended, rungs, 200) for part in (0.1, 0.3, 0.5, 0.8)]
    assert sum(2 / 3 <= error <= 4 / 3 for error in errors) >= 0.85 * len(errors)
    assert 0.8 <= sorted(errors)[len(errors) // 2] <= 1.2


def test_what_is_left_is_first_rungs_promotions_and_repeats() -> None:
    """Twenty candidates at 2 s and four promotions at 6 s, one after the other: exactly the expected shares."""
    ended: list[Ended] = []
    now = 0.0
    for index in range(24):
        rung = int(index % 6 == 5)
        now += 6.0 if rung else 2.0
        ended.append(Ended(now, 6.0 if rung else 2.0, 0.0, rung))
    assert seconds_left(ended, RUNGS, missing=0, repeats=0) == pytest.approx(0)
    assert seconds_left(ended, RUNGS, missing=10, repeats=0) == pytest.approx(10 * 2 + 2 * 6)
    assert seconds_left(ended, RUNGS, missing=0, repeats=3) == pytest.approx(3 * 8)


def test_waiting_and_other_workers_count() -> None:
    ended = [Ended(4.0 * (index + 1), 2.0, 0.0, 0) for index in range(10)]
    assert seconds_left(ended, (2,), missing=5, repeats=0) == pytest.approx(20)
    together = [Ended(1.0 * (index + 1), 2.0, 0.0, 0) for index in range(10)]
    assert seconds_left(together, (2,), missing=5, repeats=0) == pytest.approx(5)


def test_recent_candidates_count_more() -> None:
    ended = [Ended(10.0 * (index + 1), 10.0, 0.0, 0) for index in range(20)]
    ended += [Ended(200.0 + (index + 1), 1.0, 0.0, 0) for index in range(45)]
    left = seconds_left(ended, (2,), missing=10, repeats=0)
    assert left is not None
    assert 10 < left < 25


def test_nothing_is_told_before_a_training() -> None:
    assert seconds_left([], RUNGS, missing=5, repeats=0) is None
    assert seconds_left([Ended(3.0, 0.0, 1.0, None)], RUNGS, missing=5, repeats=0) is None


def test_what_limits_stop_takes_time_as_well() -> None:
    """Five are stopped after a second of measuring for each that is trained."""
    ended, now = list[Ended](), 0.0
    for _ in range(10):
        for _ in range(5):
            now += 1.0
            ended.append(Ended(now, 0.0, 1.0, None))
        now += 6.0
        ended.append(Ended(now, 5.0, 1.0, 0))
    assert seconds_left(ended, (2,), missing=4, repeats=0) == pytest.approx(4 * 11, rel=0.05)
