from __future__ import annotations

from dataclasses import replace

import pytest

from osanas.genotype.space import SearchSpace
from osanas.results.seeds import Certainty, certainties, noise_after, scores_by_training, with_mean_scores
from osanas.strategy.noise import seed_noise
from osanas.study.records import Candidate
from tests.fakes import SMALL

MEMBER = SearchSpace.from_dict(SMALL).smallest()
OBJECTIVES = ("accuracy", "latency_ms", "energy_mj")


def trainings(trial: int, scores: tuple[float, ...], latency_ms: float, energy_mj: float = 1.0) -> list[Candidate]:
    """A candidate's own training as trial ``trial``, and its repeats."""
    own = Candidate(
        trial=trial,
        digest=f"a1:{trial}",
        status="complete",
        epochs=9,
        score=scores[0],
        latency_ms=latency_ms,
        energy_mj=energy_mj,
        energy_source="estimated",
        parameters=1,
        multiply_adds=1,
        memory_access_elements=1,
        reason=None,
        training_seconds=1.0,
        architecture=MEMBER,
    )
    return [replace(own, score=score, repeat=repeat, trial=trial + 100 * repeat) for repeat, score in enumerate(scores)]


def test_scores_of_a_training_are_in_the_order_of_its_repeats() -> None:
    first, second, third = trainings(1, (0.5, 0.6, 0.7), 1.0)
    failed = replace(third, status="failed", score=None, repeat=3)
    lower = replace(first, epochs=3, score=0.4)
    found = scores_by_training([third, first, failed, lower, second])
    assert found == {("a1:1", 9): (0.5, 0.6, 0.7), ("a1:1", 3): (0.4,)}


def test_a_candidate_stands_for_all_its_trainings() -> None:
    repeated, single = trainings(1, (0.5, 0.6), 1.0), trainings(2, (0.8,), 2.0)
    running = replace(single[0], trial=3, digest="a1:3", status="running", score=None)
    found = with_mean_scores([*repeated, *single, running])
    assert [(one.trial, one.repeat) for one in found] == [(1, 0), (2, 0)]
    assert found[0].score == pytest.approx(0.55)
    assert found[1] == single[0]


def test_without_repeats_nothing_is_known() -> None:
    candidates = [*trainings(1, (0.5,), 1.0), *trainings(2, (0.51,), 2.0)]
    assert noise_after(9, candidates) is None
    found = certainties(candidates, candidates, OBJECTIVES)
    assert found == [Certainty((0.5,), None, None), Certainty((0.51,), None, None)]


def test_repeats_to_other_epochs_say_nothing() -> None:
    candidates = trainings(1, (0.5,), 1.0)
    elsewhere = [replace(one, epochs=3) for one in trainings(2, (0.5, 0.6), 2.0)]
    assert noise_after(9, [*candidates, *elsewhere]) is None
    assert noise_after(3, [*candidates, *elsewhere]) is not None


def test_members_within_the_noise_are_told_and_others_are_not() -> None:
    candidates = [
        *trainings(1, (0.50, 0.51), 1.0),
        *trainings(2, (0.51, 0.52), 2.0),  # like the cheaper one
        *trainings(3, (0.80, 0.81), 3.0),
        *trainings(4, (0.83,), 4.0),  # a single training
    ]
    noise = seed_noise(scores_by_training(candidates).values())
    members = with_mean_scores(candidates)
    found = certainties(members, candidates, OBJECTIVES)
    assert [one.indistinct_from for one in found] == [None, 1, None, 3]
    for one, member in zip(found, members, strict=True):
        assert one.interval is not None
        assert one.interval == pytest.approx(
            (
                (member.score or 0) - noise.half_width(len(one.scores)),
                (member.score or 0) + noise.half_width(len(one.scores)),
            )
        )
    widths = [one.interval[1] - one.interval[0] for one in found if one.interval is not None]
    assert widths[0] == pytest.approx(widths[1])
    assert widths[3] > widths[2]
    assert 0.02 < noise.half_width_of_difference(2, 2) < 0.29
    assert noise.half_width_of_difference(1, 2) > 0.025


def test_only_members_that_cost_no_more_in_anything_compare() -> None:
    candidates = [
        *trainings(1, (0.50, 0.51), 1.0, energy_mj=2.0),
        *trainings(2, (0.505, 0.50), 2.0, energy_mj=1.0),  # less energy: neither replaces the other
        *trainings(3, (0.51, 0.51), 3.0, energy_mj=3.0),
    ]
    members = with_mean_scores(candidates)
    assert [one.indistinct_from for one in certainties(members, candidates, OBJECTIVES)] == [None, None, 1]
    by_latency = certainties(members, candidates, OBJECTIVES[:2])
    assert [one.indistinct_from for one in by_latency] == [None, 1, 1]
