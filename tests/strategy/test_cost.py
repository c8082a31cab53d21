from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from osanas.strategy.cost import FEWEST, CostModel
from tests.strategy.helpers import FEATURES, costs, members


def test_predicts_what_follows_from_the_blocks() -> None:
    everyone = members(120)
    values = [float(costs(member)["latency_ms"] or 0) for member in everyone]
    rows = FEATURES.cost(everyone)
    model = CostModel(rows[:40], values[:40])
    assert model.error < 0.03
    relative = model.predict(rows[40:]) / values[40:] - 1
    assert np.median(np.abs(relative)) < 0.03


def test_noise_shows_in_the_held_out_error() -> None:
    everyone = members(60)
    rng = np.random.default_rng(0)
    values = [
        float(costs(member)["latency_ms"] or 0) * float(np.exp(0.2 * rng.standard_normal())) for member in everyone
    ]
    assert CostModel(FEATURES.cost(everyone), values).error > 0.05


@given(st.integers(FEWEST, 12), st.integers(0, 100))
def test_predictions_are_positive_however_little_is_known(count: int, seed: int) -> None:
    everyone = members(count + 20, seed)
    rows = FEATURES.cost(everyone)
    model = CostModel(rows[:count], [float(costs(member)["latency_ms"] or 0) for member in everyone[:count]])
    assert np.all(model.predict(rows) > 0)
    assert np.isfinite(model.error)
