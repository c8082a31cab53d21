from __future__ import annotations

import pytest
from pydantic import ValidationError

from osanas.errors import ConfigError
from osanas.measure.protocol import MeasurementProtocol


def test_every_problem_is_reported_at_once_as_our_error() -> None:
    with pytest.raises(ConfigError) as failure:
        MeasurementProtocol.model_validate(
            {"runtime": "tensorrt", "precision": "fp31", "batch_size": 0, "treads": 2, "interval_target": float("nan")}
        )
    keys = {problem.key for problem in failure.value.problems}
    assert keys == {"runtime", "precision", "batch_size", "treads", "interval_target"}
    text = str(failure.value)
    assert "Did you mean 'fp32'?" in text
    assert "Did you mean 'threads'?" in text
    assert "one of eager, compile, cudagraph, onnxruntime was expected, got 'tensorrt'" in text


@pytest.mark.parametrize(
    "settings",
    [{"min_seconds": 9.0}, {"warmup_min_seconds": 2.0}, {"energy_min_windows": 8, "energy_max_windows": 4}],
)
def test_limits_that_cross_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="is above"):
        MeasurementProtocol.model_validate(settings)


def test_settings_survive_json_and_cannot_be_changed() -> None:
    protocol = MeasurementProtocol.for_search(batch_size=4, precision="bf16", runtime="compile", threads=2)
    assert MeasurementProtocol.model_validate(protocol.to_dict()) == protocol
    assert (protocol.interval_target, protocol.bytes_per_element) == (0.02, 2)
    with pytest.raises(ValidationError, match="frozen"):
        protocol.batch_size = 1  # type: ignore[misc]


def test_a_search_pays_for_fewer_ticks_of_the_meter() -> None:
    full, search = MeasurementProtocol(), MeasurementProtocol.for_search()
    assert (full.version, full.rounds, full.energy_min_ticks, full.energy_window_seconds) == (3, 1, 20, 2.0)
    assert (search.rounds, search.energy_min_ticks, search.energy_window_seconds) == (1, 5, 0.5)
