"""The reference network's series: when a device counts as drifted, and what is marked then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.errors import CandidateError, EnvironmentFailure
from osanas.evaluation.drift import EVERY, LEAST, REFERENCE, WAITS_S, DriftWatch, tolerance_ms
from osanas.genotype.geometry import stem_reduction_for
from osanas.models.build import build
from osanas.study.records import DRIFT


class Device:
    """A device whose reference latency the test sets; ``next`` comes first."""

    def __init__(self, latency_ms: float = 1.0) -> None:
        self.latency_ms = latency_ms
        self.next: list[float] = []
        self.measured = 0
        self.slept: list[float] = []
        self.said: list[str] = []
        self.counted: list[str | None] = []

    def say(self, text: str, counted_as: str | None = None) -> None:
        self.said.append(text)
        self.counted.append(counted_as)

    def measure(self) -> float:
        self.measured += 1
        return self.next.pop(0) if self.next else self.latency_ms


@dataclass
class Points:
    """A series in memory, and the networks whose measurements were flagged."""

    points: list[tuple[float, bool]] = field(default_factory=list)
    flagged: list[tuple[str, str]] = field(default_factory=list)

    def good_ms(self) -> list[float]:
        return [latency_ms for latency_ms, is_drift in self.points if not is_drift]

    def add(self, latency_ms: float, *, is_drift: bool) -> None:
        self.points.append((latency_ms, is_drift))

    def flag_drift(self, measured: Iterable[tuple[str, str]]) -> None:
        self.flagged += measured


def watch(device: Device, series: Points) -> DriftWatch:
    return DriftWatch(device.measure, series, device.say, device.slept.append)


def measure_many(watched: DriftWatch, networks: range) -> None:
    for network in networks:
        watched.before_measuring()
        watched.measured("m1:k", str(network))


def flagged(series: Points) -> list[int]:
    assert {key for key, _ in series.flagged} <= {"m1:k"}
    return sorted({int(network) for _, network in series.flagged})


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=20))
def test_a_series_tolerates_its_median_and_half_of_itself(series: list[float]) -> None:
    allowed = tolerance_ms(series)
    median = sorted(series)[len(series) // 2]
    assert allowed >= 0.05 * min(series)
    assert sum(abs(point - median) <= 2 * allowed for point in series) >= len(series) / 2


def test_tolerance() -> None:
    assert tolerance_ms([2.0, 2.0, 2.0]) == pytest.approx(0.1)
    assert tolerance_ms([1.0, 2.0, 4.0]) == pytest.approx(3.0)  # three times the median deviation of 1


def test_a_series_begins_with_a_few_points_and_goes_on_now_and_then() -> None:
    device, series = Device(), Points()
    measure_many(watch(device, series), range(EVERY))
    assert device.measured == LEAST
    other = watch(device, series)  # another run: the series is there
    measure_many(other, range(EVERY, 2 * EVERY + 1))
    assert device.measured == LEAST + 2
    assert series.points == [(1.0, False)] * (LEAST + 2)
    assert (device.slept, device.said, series.flagged) == ([], [], [])


def test_what_passes_by_itself_is_no_drift() -> None:
    device, series = Device(), Points()
    watched = watch(device, series)
    measure_many(watched, range(EVERY))
    device.next = [1.2, 0.8, 1.04]
    measure_many(watched, range(EVERY, EVERY + 1))
    assert device.slept == list(WAITS_S[:2])
    assert device.said == []
    assert series.points[-1] == (1.04, False)
    assert series.flagged == []


def test_drift_marks_what_was_measured_from_the_last_good_check_to_the_next() -> None:
    device, series = Device(), Points()
    watched = watch(device, series)
    measure_many(watched, range(EVERY))
    device.latency_ms = 1.3
    measure_many(watched, range(EVERY, 3 * EVERY))  # a bad check, and another
    assert device.slept == list(WAITS_S)  # the second is not waited for
    device.latency_ms = 1.0
    measure_many(watched, range(3 * EVERY, 4 * EVERY + 1))
    assert flagged(series) == list(range(3 * EVERY))
    assert series.points == [(1.0, False)] * LEAST + [(1.3, True)] * 2 + [(1.0, False)] * 2
    assert device.counted == ["the reference network had drifted"] * 2
    assert "the reference network took 1.3 ms, 30% more than the 1 ms of 3 earlier checks" in device.said[0]
    assert f"'{DRIFT}'" in device.said[0]


def test_a_faster_device_has_drifted_too() -> None:
    device, series = Device(), Points()
    watch(device, series).before_measuring()
    device.latency_ms = 0.9
    watch(device, series).before_measuring()
    assert "10% less than" in device.said[0]


@pytest.mark.parametrize(
    ("error", "passes"), [(CandidateError("forward", "No."), True), (EnvironmentFailure("Lost."), False)]
)
def test_a_reference_that_cannot_be_measured(error: Exception, passes: bool) -> None:
    device, series = Device(), Points()
    fails: Callable[[], float] = lambda: (_ for _ in ()).throw(error)  # noqa: E731
    watched = DriftWatch(fails, series, device.say)
    if passes:
        measure_many(watched, range(2 * EVERY))
        assert device.said == ["The reference network cannot be measured, so drift of the device goes unseen: No."] * 2
        assert device.counted == ["the reference network could not be measured"] * 2
    else:
        with pytest.raises(EnvironmentFailure, match="Lost"):
            watched.before_measuring()
    assert series.points == []


@pytest.mark.parametrize("resolution", [8, 28, 96, 224])
def test_the_reference_takes_whatever_a_study_takes(resolution: int) -> None:
    model = build(REFERENCE, num_classes=10, in_channels=3, stem_reduction=stem_reduction_for(resolution))
    assert sum(parameter.numel() for parameter in model.parameters()) < 500_000
