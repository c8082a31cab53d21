"""What samplers see of a study with promotions, and what the known-cost sampler asks of its strategy."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Literal

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from osanas.engine.optuna_study import EPOCHS_ATTR, PROMOTED_ATTR, REPEAT_ATTR, distributions
from osanas.engine.samplers import FirstRungs, KnownCostSampler, make_sampler
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.strategy.features import Features
from osanas.strategy.history import CandidateState, History
from osanas.strategy.known_cost import KnownCost
from osanas.study.config import OptunaSampler
from osanas.study.objectives import Limits
from tests.fakes import SMALL, accuracy_of, costs_of

SPACE = SearchSpace.from_dict(SMALL)
AT = SpaceAt(SPACE, NetworkShape(8, 1, 10, 1))
DIRECTIONS: list[Literal["minimize", "maximize"]] = ["maximize", "minimize"]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


def values(architecture: Architecture, epochs: int) -> list[float]:
    latency_ms = costs_of(architecture).latency_ms
    assert latency_ms is not None
    return [accuracy_of(architecture, epochs), latency_ms]


def proposals(name: OptunaSampler, count: int, *, promote: bool, hide: bool) -> list[dict[str, Any]]:
    """What a sampler proposes to a study, in which each second one may be promoted or repeated at once."""
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler(name, 3))
    asked = FirstRungs(study, make_sampler(name, 3)) if hide else study
    found = []
    for number in range(count):
        trial = asked.ask(distributions(AT))
        found.append(dict(trial.params))
        architecture = SPACE.decode(trial.params)
        study.tell(trial, values(architecture, 1))
        if promote and number % 2:
            attributes = {PROMOTED_ATTR if number % 3 else REPEAT_ATTR: trial.number, EPOCHS_ATTR: 9}
            study.add_trial(
                create_trial(
                    state=TrialState.RUNNING if number % 4 == 1 else TrialState.COMPLETE,
                    values=None if number % 4 == 1 else [0.999, 0.001],
                    params=trial.params,
                    distributions=distributions(AT),
                    user_attrs=attributes,
                )
            )
            if number % 4 == 1:  # adopted and told, as the worker does
                running = study.get_trials(deepcopy=False)[-1]
                study.tell(optuna.trial.Trial(study, running._trial_id), [0.999, 0.001])
    return found


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(
    ("name", "count"), [("tpe", 16), ("gp", 14), ("random", 8), pytest.param("nsga2", 120, marks=pytest.mark.slow)]
)
def test_promotions_and_repeats_are_hidden(name: OptunaSampler, count: int) -> None:
    """A sampler proposes the same with and without promotions and repeats, whose values would draw it elsewhere."""
    without = proposals(name, count, promote=False, hide=True)
    assert proposals(name, count, promote=True, hide=True) == without
    assert proposals(name, count, promote=False, hide=False) == without
    if name == "tpe":
        assert proposals(name, count, promote=True, hide=False) != without


def test_the_study_itself_shows_everything() -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    asked = FirstRungs(study, make_sampler("random", 0))
    study.add_trial(create_trial(values=[0.5, 1.0], user_attrs={PROMOTED_ATTR: 0}))
    study.add_trial(create_trial(values=[0.5, 1.0], user_attrs={REPEAT_ATTR: 1}))
    asked.ask(distributions(AT))
    assert len(study.trials) == 3
    assert len(asked.trials) == 1


# known costs --------------------------------------------------------------------------------------------------------


def features() -> Features:
    return Features(AT)


def costs(architecture: Architecture) -> dict[str, float | None]:
    found = costs_of(architecture)
    return {name: getattr(found, name) for name in ("latency_ms", "energy_mj", "parameters", "multiply_adds")}


def history(count: int) -> History:
    members = random.Random(1).sample(list(AT.enumerate()), count)
    seen = [CandidateState(member.digest, member, costs(member), {1: accuracy_of(member, 1)}) for member in members]
    return History((1,), ("accuracy", "latency_ms"), Limits(), seen)


@pytest.mark.parametrize("count", [0, 30, 143])
def test_the_strategys_member_is_proposed(count: int) -> None:
    known = history(count)
    study = optuna.create_study(
        directions=DIRECTIONS, sampler=KnownCostSampler(KnownCost(features(), 5), lambda: known, 0)
    )
    trial = study.ask(distributions(AT))
    proposed = AT.decode(trial.params)
    assert proposed == KnownCost(features(), 5).propose(known)
    assert proposed.digest not in {member.digest for member in known.seen}


def test_where_the_strategy_finds_nothing_any_member_is_drawn() -> None:
    known = history(144)
    sampler = KnownCostSampler(KnownCost(features(), 5), lambda: known, 0)
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    drawn = {SPACE.decode(study.ask(distributions(AT)).params).digest for _ in range(20)}
    assert len(drawn) > 10


def test_history_is_read_anew_for_each_proposal() -> None:
    known = [history(20)]
    sampler = KnownCostSampler(KnownCost(features(), 5), lambda: known[0], 0)
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    found = []
    for _ in range(3):
        member = AT.decode(study.ask(distributions(AT)).params)
        found.append(member.digest)
        seen = CandidateState(member.digest, member, costs(member), {1: accuracy_of(member, 1)})
        known[0] = History((1,), ("accuracy", "latency_ms"), Limits(), [*known[0].seen, seen])
    assert len(set(found)) == 3
