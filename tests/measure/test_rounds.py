from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.measure.energy.meter import EnergyReading, EnergyWindow
from osanas.measure.energy.windows import collect, reading
from osanas.measure.latency import stop_reason
from osanas.measure.measurement import Measurement
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.rounds import interleaved, per_round, pooled

PROTOCOL = MeasurementProtocol(rounds=3)
STEADY = Measurement(
    latency_ms=2.0,
    latency_interval_ms=(2.0, 2.0),
    blocks_ms=(2.0,) * 10,
    disturbed_blocks_ms=(9.0,),
    iterations=50,
    stopped_by="interval",
    energy_mj=None,
    energy_source=None,
    energy_method=None,
    power_w=None,
    idle_power_w=None,
    converged=True,
    conditions={"seconds": 1.0},
)


def round_of(latency_ms: float = 2.0, **values: Any) -> Measurement:
    return replace(STEADY, **{"latency_ms": latency_ms, "blocks_ms": (latency_ms,) * 10, **values})


def metered(*joules: float, idle_power_w: float = 20.0, **values: Any) -> Measurement:
    """A round whose windows took a second and 500 iterations each."""
    windows = [EnergyWindow(value, 1.0, 500) for value in joules]
    mean = sum(joules) / len(joules)
    energy: dict[str, Any] = {
        "energy_mj": mean * 1e3 / 500,
        "energy_net_mj": (mean - idle_power_w) * 1e3 / 500,
        "energy_source": "nvml",
        "energy_method": "counter",
        "power_w": mean,
        "idle_power_w": idle_power_w,
        "energy_details": {"scope": "board", "void_windows": {}},
        "energy_windows": tuple(window.to_dict() for window in windows),
    }
    return round_of(**{**energy, **values})


# the order --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 20), st.integers(1, 5), st.integers(0, 9))
def test_every_round_is_a_permutation(count: int, rounds: int, seed: int) -> None:
    orders = interleaved(count, rounds, seed)
    assert [sorted(order) for order in orders] == [list(range(count))] * rounds
    assert interleaved(count, rounds, seed) == orders


def test_rounds_differ() -> None:
    assert len(set(map(tuple, interleaved(12, 5, 0)))) == 5
    assert interleaved(12, 5, 0) != interleaved(12, 5, 1)


# a round's share --------------------------------------------------------------------------------------------------


def test_one_round_is_the_protocol_itself() -> None:
    protocol = MeasurementProtocol()
    assert per_round(protocol) is protocol


@pytest.mark.parametrize("make", [MeasurementProtocol, MeasurementProtocol.for_search])
@pytest.mark.parametrize("rounds", [2, 3, 5])
def test_rounds_together_take_what_the_protocol_allows(make: Any, rounds: int) -> None:
    protocol = make().model_copy(update={"rounds": rounds})
    share = per_round(protocol)
    assert share.rounds == 1
    for name in ("warmup_min_seconds", "warmup_max_seconds", "min_seconds", "max_seconds"):
        assert getattr(share, name) * rounds == pytest.approx(getattr(protocol, name))
    assert share.min_blocks * rounds >= protocol.min_blocks
    assert share.energy_min_windows * rounds >= protocol.energy_min_windows
    assert share.energy_max_windows == share.energy_min_windows
    unchanged = protocol.to_dict().keys() - {
        "rounds", "warmup_min_seconds", "warmup_max_seconds", "min_seconds", "max_seconds", "interval_target",
        "min_blocks", "energy_min_windows", "energy_max_windows",
    }  # fmt: skip
    assert {name: share.to_dict()[name] for name in unchanged} == {name: protocol.to_dict()[name] for name in unchanged}


def test_network_of_5_ms_takes_at_most_3_seconds_and_10_with_energy() -> None:
    share = per_round(PROTOCOL)
    latency_s = share.warmup_max_seconds + share.max_seconds
    assert 3 * latency_s <= 3.0 + 1e-9
    energy_s = share.energy_warmup_seconds + share.energy_max_windows * share.energy_window_seconds
    assert 3 * energy_s <= 10.0


def test_a_round_stops_as_soon_as_all_of_them_would_suffice() -> None:
    """Blocks that spread by 1.5 % are too few in a round for its own 1 %, and enough for a third of the whole."""
    blocks = [1.0, 1.015, 0.985] * 5
    share = per_round(PROTOCOL)
    assert stop_reason(blocks, share.min_seconds, share) == "interval"
    strict = share.model_copy(update={"interval_target": PROTOCOL.interval_target})
    assert stop_reason(blocks, share.min_seconds, strict) is None


def test_energy_of_a_round_is_one_window_and_voided_ones_are_taken_again() -> None:
    windows = iter(
        [EnergyWindow(9.0, 2.0, 10, "counter_reset"), EnergyWindow(4.0, 2.0, 10), EnergyWindow(1.0, 2.0, 10)]
    )
    share = per_round(PROTOCOL)
    taken = collect(lambda: next(windows), share)
    assert [window.voided_by for window in taken] == ["counter_reset", None]
    found: EnergyReading = reading(taken, share, source="nvml", method="counter", idle_power_w=None)
    assert found.joules_per_iteration == 0.4
    assert "energy_unstable" not in found.flags


# rounds together --------------------------------------------------------------------------------------------------


def test_a_single_round_is_taken_as_it_is() -> None:
    assert pooled([STEADY], MeasurementProtocol()) is STEADY


def test_steady_rounds() -> None:
    whole = pooled([round_of(), round_of(), round_of()], PROTOCOL)
    assert whole.latency_ms == 2.0
    assert whole.latency_interval_ms == (2.0, 2.0)
    assert whole.blocks_ms == (2.0,) * 30
    assert whole.disturbed_blocks_ms == (9.0,) * 3
    assert whole.iterations == 150
    assert whole.converged
    assert whole.flags == ()
    assert whole.conditions == {"rounds": [{"latency_ms": 2.0, "seconds": 1.0}] * 3}
    assert (whole.energy_mj, whole.energy_source, whole.gpu_time_ms) == (None, None, None)
    assert Measurement.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole


def test_rounds_may_be_less_certain_than_the_whole() -> None:
    spread = tuple(2.0 + 0.001 * number for number in range(10))
    parts = [round_of(blocks_ms=spread, stopped_by="cap", converged=False)] * 3
    assert pooled(parts, PROTOCOL).converged
    assert pooled(parts, PROTOCOL).stopped_by == "interval"
    wide = tuple(2.0 + 0.1 * number for number in range(10))
    whole = pooled([round_of(blocks_ms=wide, stopped_by=why) for why in ("plateau", "cap", "plateau")], PROTOCOL)
    assert (whole.converged, whole.stopped_by) == (False, "cap")
    assert pooled([round_of(blocks_ms=wide, stopped_by="plateau")] * 3, PROTOCOL).stopped_by == "plateau"


@pytest.mark.parametrize(("medians", "drifts"), [((2.0, 2.05, 2.09), False), ((2.0, 2.05, 2.12), True)])
def test_drift_is_flagged(medians: tuple[float, ...], drifts: bool) -> None:
    whole = pooled([round_of(value, flags=("noisy",)) for value in medians], PROTOCOL)
    assert whole.flags == ("noisy", "drift") if drifts else ("noisy",)
    assert whole.latency_ms == 2.05


BLOCKS = st.lists(st.floats(0.5, 50.0), min_size=6, max_size=30)


@given(st.lists(BLOCKS, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_median_lies_in_its_interval_whatever_the_order_of_the_rounds(rounds: list[list[float]], random: Any) -> None:
    parts = [round_of(blocks_ms=tuple(blocks)) for blocks in rounds]
    whole = pooled(parts, PROTOCOL)
    low, high = whole.latency_interval_ms
    assert low <= whole.latency_ms <= high
    random.shuffle(parts)
    again = pooled(parts, PROTOCOL)
    assert (again.latency_ms, again.latency_interval_ms) == (whole.latency_ms, whole.latency_interval_ms)


def test_flags_and_notes_are_joined() -> None:
    parts = [round_of(flags=("a",), notes=("x", "y")), round_of(flags=("b", "a"), notes=("y", "z"))]
    whole = pooled(parts, PROTOCOL)
    assert whole.flags == ("a", "b")
    assert whole.notes == ("x", "y", "z")


def test_energy_is_joules_over_iterations_of_all_windows() -> None:
    flagged = ("energy_not_converged",)  # a single window never is
    parts = [metered(100.0, flags=flagged, converged=False), metered(101.0, flags=flagged), metered(99.0, 100.0)]
    whole = pooled(parts, PROTOCOL)
    assert whole.energy_mj == pytest.approx(400.0 / 2000 * 1e3)
    assert whole.energy_net_mj == pytest.approx((400.0 - 4 * 20.0) / 2000 * 1e3)
    assert whole.power_w == pytest.approx(100.0)
    assert whole.energy_iteration_ms == pytest.approx(2.0)
    assert whole.idle_power_w == 20.0
    assert (whole.energy_source, whole.energy_method) == ("nvml", "counter")
    assert len(whole.energy_windows) == 4
    assert whole.converged
    assert whole.flags == ()
    per_image = pooled(parts, PROTOCOL.model_copy(update={"batch_size": 4}))
    assert per_image.energy_mj == pytest.approx(50.0)


def test_windows_that_differ_are_not_converged() -> None:
    whole = pooled([metered(100.0), metered(120.0), metered(80.0)], PROTOCOL)
    assert whole.flags == ("energy_not_converged",)
    assert not whole.converged


def test_void_windows_do_not_count_unless_there_is_no_other() -> None:
    void = {"joules": 500.0, "seconds": 1.0, "iterations": 500, "voided_by": "counter_reset", "flags": []}
    throttled = {**void, "joules": 130.0, "voided_by": "throttled"}
    with_void = metered(100.0)
    with_void = replace(with_void, energy_windows=(void, throttled, *with_void.energy_windows))
    whole = pooled([with_void, metered(100.0), metered(100.0)], PROTOCOL)
    assert whole.energy_mj == pytest.approx(200.0)
    assert len(whole.energy_windows) == 5
    assert whole.energy_details == {"scope": "board", "void_windows": {"counter_reset": 1, "throttled": 1}}
    forced = replace(with_void, energy_windows=(void, throttled), energy_mj=260.0, flags=("energy_unstable",))
    whole = pooled([forced, metered(100.0), metered(100.0)], PROTOCOL)
    assert whole.energy_mj == pytest.approx(330.0 / 1500 * 1e3)
    assert "energy_unstable" in whole.flags


def test_estimates_are_the_rounds_median() -> None:
    estimate: dict[str, Any] = {"energy_source": "estimated", "energy_method": "analytic", "idle_power_w": 2.0}
    parts = [round_of(energy_mj=value, power_w=value / 2, **estimate) for value in (5.0, 9.0, 6.0)]
    whole = pooled(parts, PROTOCOL)
    assert (whole.energy_mj, whole.power_w, whole.energy_net_mj, whole.idle_power_w) == (6.0, 3.0, None, 2.0)
    assert whole.energy_source == "estimated"
    assert whole.converged


def test_rounds_without_a_reading_leave_the_others_energy() -> None:
    whole = pooled([round_of(notes=("no reading",)), metered(100.0), metered(102.0)], PROTOCOL)
    assert whole.energy_mj == pytest.approx(202.0)
    assert whole.energy_source == "nvml"
    assert whole.notes == ("no reading",)


@pytest.mark.parametrize(
    ("rounds", "whole"),
    [
        (("yes", "yes"), "yes"),
        (("yes", "unknown"), "unknown"),
        (("unknown", "no", "yes"), "no"),
    ],
)
def test_exclusive_is_what_the_worst_round_was(rounds: tuple[Any, ...], whole: str) -> None:
    assert pooled([metered(100.0, exclusive=value) for value in rounds], PROTOCOL).exclusive == whole


def test_gpu_time_and_percentiles() -> None:
    parts = [
        round_of(gpu_time_ms=1.0, gpu_time_interval_ms=(0.9, 1.1), percentiles_ms={"p90": 3.0, "p95": 4.0}),
        round_of(gpu_time_ms=1.4, gpu_time_interval_ms=(1.3, 1.5), percentiles_ms={"p90": 5.0}),
        round_of(gpu_time_ms=1.1, gpu_time_interval_ms=(1.0, 1.2), percentiles_ms={"p90": 3.5, "p95": 9.0}),
    ]
    whole = pooled(parts, PROTOCOL)
    assert whole.gpu_time_ms == 1.1
    assert whole.gpu_time_interval_ms == (0.9, 1.5)
    assert whole.percentiles_ms == {"p90": 3.5}
