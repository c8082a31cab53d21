from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from osanas.strategy.accuracy import AccuracyModel, Forecast, forecasts
from tests.strategy.helpers import FEATURES, accuracy, members, seen

RUNGS = (1, 3, 9)
SEED_NOISE = 0.006


def test_a_fully_trained_candidate_is_forecast_its_own_accuracy() -> None:
    member = members(1)[0]
    found = forecasts([seen(member, RUNGS)], RUNGS, SEED_NOISE)
    assert found[member.digest] == Forecast(accuracy(member, 9), SEED_NOISE)


def test_first_epochs_promise_what_the_others_reached() -> None:
    everyone = members(40)
    known = [seen(member, RUNGS) for member in everyone[:20]] + [seen(member, [1]) for member in everyone[20:]]
    found = forecasts(known, RUNGS, SEED_NOISE)
    forecast = [found[member.digest].mean for member in everyone[20:]]
    truth = [accuracy(member, 9) for member in everyone[20:]]
    assert spearmanr(forecast, truth)[0] > 0.9
    assert np.abs(np.subtract(forecast, truth)).max() < 0.02


def test_the_mean_over_seeds_is_surer_than_one() -> None:
    one = seen(members(1)[0], RUNGS)
    twice = replace(one, repeats=(one.scores[9] - 0.01,))
    found = forecasts([twice], RUNGS, SEED_NOISE)[one.digest]
    assert found.mean == pytest.approx(one.scores[9] - 0.005)
    assert found.std == pytest.approx(SEED_NOISE / 2**0.5)


def test_before_anybody_was_trained_further_a_rung_ranks_with_much_doubt() -> None:
    known = [seen(member, [1]) for member in members(12)]
    found = forecasts(known, RUNGS, SEED_NOISE)
    by_rung = sorted(known, key=lambda one: one.scores[1])
    assert spearmanr([found[one.digest].mean for one in by_rung], range(12))[0] > 0.9
    spread = np.std([one.scores[1] for one in known])
    assert all(found[one.digest].std > 0.3 * spread for one in known)


def test_the_gain_of_the_first_that_went_on_is_expected_of_all() -> None:
    everyone = members(12)
    known = [seen(everyone[0], RUNGS), *(seen(member, [1]) for member in everyone[1:])]
    found = forecasts(known, RUNGS, SEED_NOISE)
    gain = accuracy(everyone[0], 9) - accuracy(everyone[0], 1)
    expected = np.mean([found[member.digest].mean - accuracy(member, 1) for member in everyone[1:]])
    assert expected == pytest.approx(gain, abs=0.05)


def test_forecasts_chain_over_the_rungs() -> None:
    """Nobody at rung 1 alone has a direct neighbour at the top, but those at rung 3 have."""
    everyone = members(40)
    known = (
        [seen(member, [3, 9]) for member in everyone[:10]]
        + [seen(member, [1, 3]) for member in everyone[10:25]]
        + [seen(member, [1]) for member in everyone[25:]]
    )
    found = forecasts(known, RUNGS, SEED_NOISE)
    error = [found[member.digest].mean - accuracy(member, 9) for member in everyone[25:]]
    assert np.abs(error).max() < 0.04


def test_losses_may_be_missing() -> None:
    everyone = members(20)
    known = [seen(member, RUNGS) for member in everyone[:10]] + [seen(member, [3]) for member in everyone[10:]]
    silent = [type(one)(**{**vars(one), "losses": {}}) for one in known]
    assert forecasts(silent, RUNGS, SEED_NOISE).keys() == {member.digest for member in everyone}


def test_the_model_ranks_what_it_has_not_seen_and_is_surer_of_what_it_has() -> None:
    everyone = members(120)
    rows = FEATURES.accuracy(everyone)
    known = [Forecast(accuracy(member, 9), SEED_NOISE) for member in everyone[:60]]
    model = AccuracyModel(rows[:60], known)
    mean, std = model.predict(rows)
    truth = [accuracy(member, 9) for member in everyone]
    assert spearmanr(mean[60:], truth[60:])[0] > 0.8
    assert std[:60].mean() < std[60:].mean()
    own, own_std = model.known()
    assert np.abs(own - truth[:60]).mean() < np.abs(mean[:60] - truth[:60]).mean()
    assert np.all(own_std < std[:60])


def test_a_forecast_in_doubt_counts_less() -> None:
    everyone = members(30)
    rows = FEATURES.accuracy(everyone)
    sure = [Forecast(0.7 + 0.001 * index, SEED_NOISE) for index in range(30)]
    odd = Forecast(0.9, SEED_NOISE)
    believed = AccuracyModel(rows, [*sure[:-1], odd]).predict(rows[-1:])[0][0]
    doubted = AccuracyModel(rows, [*sure[:-1], Forecast(0.9, 0.2)]).predict(rows[-1:])[0][0]
    assert doubted < believed


def test_equal_accuracies_are_no_error() -> None:
    everyone = members(12)
    model = AccuracyModel(FEATURES.accuracy(everyone), [Forecast(0.5, SEED_NOISE)] * 12)
    mean, std = model.predict(FEATURES.accuracy(everyone))
    assert mean == pytest.approx(0.5, abs=1e-6)
    assert np.all(np.isfinite(std))
