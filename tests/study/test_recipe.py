from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.errors import ConfigError
from osanas.study.recipe import Recipe


def test_changes() -> None:
    recipe = Recipe.of({"learning_rate": 0.2, "gradient_clip_norm": None, "batch_size": 64})
    assert (recipe.learning_rate, recipe.gradient_clip_norm, recipe.batch_size) == (0.2, None, 64)
    assert Recipe.of({}) == Recipe()


def test_json_and_back() -> None:
    recipe = Recipe(learning_rate=0.3, augment=False)
    assert Recipe.of(json.loads(json.dumps(recipe.model_dump(mode="json")))) == recipe


def test_every_problem_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Recipe.of({"learning_rates": 0.1, "momentum": 1.0, "batch_size": 1, "weight_decay": float("nan")})
    problems = {problem.key: problem.message for problem in caught.value.problems}
    assert problems.keys() == {"learning_rates", "momentum", "batch_size", "weight_decay"}
    assert problems["learning_rates"] == "unknown key. Did you mean 'learning_rate'?"


def test_rate_and_momentum_are_the_optimisers_unless_given() -> None:
    assert (Recipe().optimizer, Recipe().learning_rate, Recipe().momentum) == ("muon", 0.05, 0.95)
    sgd = Recipe.of({"optimizer": "sgd"})
    assert (sgd.learning_rate, sgd.momentum) == (0.1, 0.9)
    assert Recipe.of({"optimizer": "sgd", "learning_rate": 0.3}).learning_rate == 0.3


def test_a_default_that_cannot_be_had_is_no_problem_of_its_own() -> None:
    with pytest.raises(ConfigError) as caught:
        Recipe.of({"optimizer": "adam"})
    assert [problem.key for problem in caught.value.problems] == ["optimizer"]


def test_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().learning_rate = 1.0  # type: ignore[misc]


@given(warmup=st.floats(0, 3), steps_per_epoch=st.integers(1, 50), power=st.floats(0, 1), step=st.integers(0, 500))
def test_the_rate_rises_then_never_rises_again(*, warmup: float, steps_per_epoch: int, power: float, step: int) -> None:
    recipe = Recipe(warmup_epochs=warmup, decay_power=power)
    now, after = (recipe.learning_rate_at(at, steps_per_epoch) for at in (step, step + 1))
    assert 0 < now <= recipe.learning_rate * (1 + 1e-9)
    if step + 1 >= warmup * steps_per_epoch:
        assert after <= now * (1 + 1e-9)
    else:
        assert after > now or step + 2 > warmup * steps_per_epoch
    if power == 0 and step + 1 >= warmup * steps_per_epoch:
        assert now == recipe.learning_rate


@given(power=st.floats(0.5, 20), step=st.integers(0, 10_000))
def test_the_average_remembers_longer_as_training_goes_on(power: float, step: int) -> None:
    recipe = Recipe(averaging_power=power)
    now, after = recipe.averaging_decay_at(step), recipe.averaging_decay_at(step + 1)
    assert 0 < now <= after <= recipe.averaging_max_decay


def test_the_mean_age_of_what_is_averaged() -> None:
    recipe = Recipe(averaging_power=4.0, averaging_max_decay=0.99999)
    weights: list[float] = []
    for step in range(1000):
        decay = recipe.averaging_decay_at(step)
        weights = [weight * decay for weight in weights] + [1 - decay]
    age = sum(weight * (999 - step) for step, weight in enumerate(weights)) / sum(weights)
    assert age == pytest.approx(1000 / (4 + 1), rel=0.01)
