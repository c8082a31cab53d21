from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from osanas.engine.next_step import (
    Action,
    Adopt,
    Ask,
    Draw,
    End,
    Patience,
    Promote,
    Situation,
    Start,
    Wait,
    decide,
)
from osanas.engine.repeats import Repeat, early_repeat
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.strategy.history import history_of
from osanas.strategy.ladder import Promotion
from osanas.study.config import StudyConfig
from osanas.study.objectives import Limits
from osanas.study.records import UNNUMBERED, Candidate, Holder, Others, Outcome, Status, StudyRecord
from tests.fakes import FEW, costs_of

# the decision ---------------------------------------------------------------------------------------------------------

FEW_AT = SpaceAt(SearchSpace.from_dict(FEW), NetworkShape(8, 1, 10, 1))
NETWORKS = list({member.digest: member for member in FEW_AT.enumerate()}.values())
NOBODY = Others((), starting=0, older=0)
STARTING = Others((), starting=1, older=0)
HOLDING = Others((Holder(0, "other", 7),), starting=0, older=0)
RUNGS = (1, 3)


def evaluation(
    index: int, status: Status = "complete", epochs: int = 1, trial: int | None = None, **more: Any
) -> Candidate:
    """A network of the space as a trial of its own number."""
    known = costs_of(NETWORKS[index])
    return Candidate(
        trial=index if trial is None else trial,
        digest=NETWORKS[index].digest,
        status=status,
        epochs=epochs,
        score=0.5 if status == "complete" else None,
        latency_ms=known.latency_ms,
        energy_mj=known.energy_mj,
        energy_source="estimated",
        parameters=known.parameters,
        multiply_adds=known.multiply_adds,
        memory_access_elements=known.memory_access_elements,
        reason=None,
        training_seconds=6.0 - index,
        architecture=NETWORKS[index],
        evaluation=100 + index,
        **more,
    )


def situation(*evaluations: Candidate, others: Others = NOBODY, limits: Limits | None = None, **more: Any) -> Situation:
    """Of a study of ``FEW`` that wants two candidates."""
    config = StudyConfig.model_validate({"trials": 2, "rungs": RUNGS, **(limits or Limits()).model_dump()})
    identity = {"objectives": ["accuracy", "latency_ms"], "rungs": list(RUNGS), "energy_source": None}
    record = StudyRecord(1, "s", identity, config, {}, 0.0)
    known: dict[str, Any] = {"at": FEW_AT, "target": 2, "seed": 0, "counts_decide": True}
    history = history_of(evaluations, record)
    return Situation(**(known | {"evaluations": evaluations, "history": history, "others": others} | more))


def no_promotion(_may_begin: bool) -> None:
    return None


def again(index: int, status: Status = "complete", repeat: int = 1) -> Candidate:
    """A repeat of a full training."""
    return evaluation(index, status, RUNGS[-1], trial=20 + index, repeat=repeat)


def full(count: int) -> list[Candidate]:
    """So many candidates, each trained at both rungs."""
    return [*map(evaluation, range(count)), *members(*range(count))]


def members(*indices: int) -> list[Candidate]:
    """Fully trained candidates."""
    return [evaluation(index, epochs=RUNGS[-1], trial=10 + index) for index in indices]


HOLDING_AGAIN = Others((Holder(20 + 3, "other", 7), Holder(20 + 1, "other", 8)), starting=0, older=0)
SETTLED = End("The search is settled, so it ends here. Without --until-settled the same command goes on.")
DUE = Promotion(NETWORKS[0].digest, NETWORKS[0], 3)
STARTS = SpaceAt(SearchSpace.from_dict({**FEW, "start_from": [NETWORKS[0].to_dict()]}), FEW_AT.shape)
STUCK = Patience(duplicates_before_random=1, duplicates=1)


@pytest.mark.parametrize(
    ("now", "action"),
    [
        pytest.param(situation(), Ask(), id="nothing yet"),
        pytest.param(situation(unclaimed=(4, 5)), Ask(4), id="a trial that was asked for and never begun"),
        pytest.param(situation(at=STARTS), Ask(), id="a starting point waits for half of the candidates"),
        pytest.param(situation(evaluation(1), at=STARTS), Start(NETWORKS[0]), id="a starting point"),
        pytest.param(
            situation(evaluation(1), at=STARTS, unclaimed=(4,)), Start(NETWORKS[0]), id="a starting point comes first"
        ),
        pytest.param(situation(evaluation(0), at=STARTS), Ask(), id="the starting point is done"),
        pytest.param(
            situation(evaluation(1), at=STARTS, epoch_seconds=lambda _: 60.0), Ask(), id="a starting point that is slow"
        ),
        pytest.param(
            situation(evaluation(1), at=STARTS, counts_decide=False), Start(NETWORKS[0]), id="whatever the sampler"
        ),
        pytest.param(situation(evaluation(0, "running")), Adopt(evaluation(0, "running")), id="its worker is gone"),
        pytest.param(
            situation(evaluation(0, "running"), evaluation(1, "running")),
            Adopt(evaluation(0, "running")),
            id="the first of two",
        ),
        pytest.param(situation(evaluation(0, "running"), others=HOLDING), Ask(), id="its worker lives"),
        pytest.param(
            situation(evaluation(0, "running", trial=UNNUMBERED), others=STARTING),
            Wait(()),
            id="a claim that is about to get its trial, and counts twice until then",
        ),
        pytest.param(
            situation(evaluation(0, "running", trial=UNNUMBERED)),
            Adopt(evaluation(0, "running", trial=UNNUMBERED)),
            id="a claim that nobody will give a trial",
        ),
        pytest.param(situation(evaluation(0), others=STARTING), Wait(()), id="another takes the last place"),
        pytest.param(
            situation(evaluation(0, "running"), evaluation(1), others=HOLDING), Wait(HOLDING.holders), id="the last one"
        ),
        pytest.param(situation(evaluation(0), evaluation(1)), End(), id="the target is reached"),
        pytest.param(situation(evaluation(0), evaluation(1, "infeasible")), Ask(), id="infeasible ones do not count"),
        pytest.param(situation(evaluation(0), evaluation(0, epochs=3)), Ask(), id="promotions do not count"),
        pytest.param(
            situation(is_time_up=True),
            End("The time limit is reached. Run the same command to go on.", is_complete=False),
            id="the time is up",
        ),
        pytest.param(
            situation(*map(evaluation, range(6)), target=9),
            End("Every network of the space 'few' has been evaluated."),
            id="exhausted",
        ),
        pytest.param(
            situation(*map(evaluation, range(6)), target=9, others=HOLDING), Wait(HOLDING.holders), id="not yet over"
        ),
        pytest.param(situation(*full(3), target=9, confirm=1), Ask(), id="too few full trainings for a repeat"),
        pytest.param(situation(*full(4), target=9), Ask(), id="nothing is to be repeated"),
        pytest.param(
            situation(*full(4), target=9, confirm=1),
            Repeat(NETWORKS[1], 3, 1),
            id="the middle one in training time is repeated early",
        ),
        pytest.param(
            situation(evaluation(4, "running"), *full(4), target=9, confirm=1),
            Adopt(evaluation(4, "running")),
            id="what was begun comes before a repeat",
        ),
        pytest.param(
            situation(*full(4), again(3, "running"), target=9, confirm=1, others=HOLDING_AGAIN),
            Ask(),
            id="another worker repeats it",
        ),
        pytest.param(
            situation(*full(4), again(3, "running"), target=9, confirm=1),
            Adopt(again(3, "running")),
            id="the worker of a repeat is gone",
        ),
        pytest.param(situation(*full(4), again(3, "failed"), target=9, confirm=1), Ask(), id="a failed repeat is one"),
        pytest.param(
            situation(*full(4), target=9, confirm=1, is_time_up=True),
            End("The time limit is reached. Run the same command to go on.", is_complete=False),
            id="no repeat after the time limit",
        ),
        pytest.param(situation(*full(2), front=members(0, 1)), End(), id="the front is not to be confirmed"),
        pytest.param(situation(evaluation(0), is_settled=True), SETTLED, id="going on adds nothing"),
        pytest.param(
            situation(evaluation(0), is_settled=True, others=HOLDING), Wait(HOLDING.holders), id="another still works"
        ),
        pytest.param(
            situation(*full(2), is_settled=True, front=members(0, 1), confirm=1),
            Repeat(NETWORKS[1], 3, 1),
            id="a settled front is confirmed",
        ),
        pytest.param(
            situation(*full(2), front=members(0, 1), confirm=1),
            Repeat(NETWORKS[1], 3, 1),
            id="the front's cheapest first",
        ),
        pytest.param(
            situation(*full(2), again(1), front=members(0, 1), confirm=2),
            Repeat(NETWORKS[0], 3, 1),
            id="the one with the fewest repeats comes first",
        ),
        pytest.param(
            situation(*full(2), again(0), again(1), front=members(0, 1), confirm=2),
            Repeat(NETWORKS[1], 3, 2),
            id="a second repeat",
        ),
        pytest.param(
            situation(*full(2), again(0), front=members(1), confirm=1),
            Repeat(NETWORKS[1], 3, 1),
            id="who took the place of a member is confirmed as well",
        ),
        pytest.param(situation(*full(2), again(1), front=members(1), confirm=1), End(), id="all are confirmed"),
        pytest.param(
            situation(*full(2), again(1, "running"), front=members(1), confirm=1, others=HOLDING_AGAIN),
            Wait(HOLDING_AGAIN.holders),
            id="the last repeat is another worker's",
        ),
        pytest.param(
            situation(evaluation(0), evaluation(0, trial=20, repeat=1)), Ask(), id="repeats do not count as candidates"
        ),
    ],
)
def test_what_comes_next(now: Situation, action: Action) -> None:
    assert decide(now, no_promotion) == action


def test_there_are_a_few_early_repeats_each_of_another_candidate() -> None:
    found: list[Candidate] = []
    for count in range(1, 7):
        for _ in range(2):
            due = early_repeat([*full(count), *found], RUNGS[-1], Limits())
            if due is not None:
                found.append(again([one.digest for one in NETWORKS].index(due.architecture.digest)))
    assert [one.digest for one in found] == [NETWORKS[1].digest]
    many = [replace(one, digest=f"a1:{number}") for number in range(20) for one in members(0)]
    repeats = [replace(one, repeat=1) for one in many]
    are_due = [early_repeat([*many, *repeats[:count]], RUNGS[-1], Limits()) is not None for count in range(5)]
    assert are_due == [True, True, True, False, False]
    assert early_repeat(many, RUNGS[-1], Limits(max_latency_ms=1e-9)) is None


def test_a_repeat_that_a_limit_stopped_is_begun_again_when_it_is_relaxed() -> None:
    stopped = again(0, "infeasible")
    now = situation(*full(2), stopped, again(1), front=members(0, 1), confirm=1)
    assert decide(now, no_promotion) == Repeat(NETWORKS[0], RUNGS[-1], 1)


def test_a_promotion_comes_before_anything_new_and_knows_its_rival() -> None:
    asked: list[bool] = []

    def due(may_begin: bool) -> Promotion:
        asked.append(may_begin)
        return DUE

    for now in (situation(), situation(evaluation(0), evaluation(1)), situation(*map(evaluation, range(6)), target=9)):
        assert decide(now, due) == Promote(DUE)
    assert asked == [True, False, False]
    assert decide(situation(evaluation(0, "running")), due) == Adopt(evaluation(0, "running"))
    assert decide(situation(evaluation(0), is_settled=True), due) == SETTLED


def test_a_promotion_comes_after_an_early_repeat_and_before_the_front_is_confirmed() -> None:
    assert isinstance(decide(situation(*full(4), confirm=1), lambda _: DUE), Repeat)
    assert decide(situation(*full(2), front=members(0), confirm=1), lambda _: DUE) == Promote(DUE)


def test_without_a_ladder_nothing_is_promoted() -> None:
    def due(_may_begin: bool) -> Promotion:
        raise AssertionError

    now = situation()
    assert decide(replace(now, history=replace(now.history, rungs=(1,))), due) == Ask()


def test_a_stuck_sampler_yields_to_a_random_member_until_there_is_none() -> None:
    action = decide(situation(evaluation(0), patience=STUCK), no_promotion)
    assert isinstance(action, Draw)
    assert action.architecture in NETWORKS[1:]
    assert decide(situation(evaluation(0), patience=STUCK), no_promotion) == action  # nothing is drawn anew


def test_a_relaxed_limit_makes_a_candidate_new_again() -> None:
    over = [evaluation(index, "infeasible") for index in range(6)]
    assert decide(situation(*over), no_promotion) == Ask()
    tight = Limits(max_latency_ms=1e-9)
    ended = decide(situation(*over, limits=tight), no_promotion)
    assert ended == End("Every network of the space 'few' has been evaluated.")


@pytest.mark.parametrize(
    ("now", "problem"),
    [
        (
            situation(patience=Patience(failures=5, failure=Outcome("failed", reason_kind="build", reason="no way"))),
            "5 candidates in a row failed for the same reason: no way",
        ),
        (
            situation(
                evaluation(2, "infeasible"), limits=Limits(max_latency_ms=0.1), patience=Patience(infeasible=200)
            ),
            "200 candidates in a row broke a limit before training. The closest was trial 2: latency_ms",
        ),
        (
            situation(limits=Limits(max_parameters=3)),
            "No network of the space 'few' is within the limits: the smallest has parameters",
        ),
    ],
)
def test_a_hopeless_search_ends_with_its_reason(now: Situation, problem: str) -> None:
    action = decide(now, no_promotion)
    assert isinstance(action, End)
    assert action.failure is not None
    assert action.failure.problem.startswith(problem)
    assert action.failure.fix


def test_an_optuna_sampler_finds_out_by_itself_that_nothing_fits() -> None:
    assert decide(situation(limits=Limits(max_parameters=3), counts_decide=False), no_promotion) == Ask()


# patience -------------------------------------------------------------------------------------------------------------


def failed(kind: str) -> Outcome:
    return Outcome("failed", reason_kind=kind, reason=f"a failure of the kind {kind}")


def test_failures_count_while_they_are_of_one_reason() -> None:
    patience = Patience()
    for _ in range(4):
        patience = patience.after(failed("diverged"))
    patience = patience.after_duplicate().after(failed("diverged"))
    assert patience.failures == 5
    assert patience.after(failed("build")).failures == 1
    assert patience.after(Outcome("infeasible", reason_kind="limit")).failures == 0


def test_a_duplicate_ends_only_the_streak_of_duplicates() -> None:
    patience = Patience().after(Outcome("infeasible", reason_kind="limit")).after_duplicate()
    assert (patience.infeasible, patience.duplicates) == (1, 1)
    patience = patience.after(Outcome("complete", score=0.5))
    assert (patience.infeasible, patience.duplicates) == (0, 0)


def test_a_sampler_that_stays_stuck_gets_fewer_tries() -> None:
    patience, tries = Patience(), []
    for _ in range(7):
        count = 0
        while not patience.sampler_is_stuck:
            patience, count = patience.after_duplicate(), count + 1
        tries.append(count)
        patience = patience.after(Outcome("complete", score=0.5))  # the random member
    assert tries == [20, 10, 5, 2, 1, 1, 1]
    patience = patience.after(Outcome("complete", score=0.5))  # the sampler found a new one by itself
    assert (patience.allowed_duplicates, patience.sampler_is_stuck) == (20, False)


def test_how_much_is_borne() -> None:
    patience = Patience()
    assert (patience.infeasible_in_a_row, patience.failures_in_a_row, patience.duplicates_before_random) == (200, 5, 20)
