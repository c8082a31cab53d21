"""The reference network's series: when a device counts as drifted, and what is marked then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.errors import CandidateError, EnvironmentFailure
from osanas.evaluation.drift import EVERY, LEAST, REFERENCE, WAITS_S, ReferenceWatch, tolerance_ms
from osanas.genotype.geometry import stem_reduction_for
from osanas.models.build import build
from osanas.store.references import references
from osanas.store.store import Store
from osanas.study.config import StudyConfig
from osanas.study.records import DRIFT


class Device:
    """A device whose reference latency the test sets; ``next`` comes first."""

    def __init__(self, latency_ms: float = 1.0) -> None:
        self.latency_ms = latency_ms
        self.next: list[float] = []
        self.measured = 0
        self.slept: list[float] = []
        self.said: list[str] = []

    def measure(self) -> float:
        self.measured += 1
        return self.next.pop(0) if self.next else self.latency_ms


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open(f"sqlite:///{tmp_path / 's.db'}", create=True)
    store.register_study("s", {}, StudyConfig(), {})
    store.register_study("t", {}, StudyConfig(), {})
    return store


def watch(store: Store, device: Device, *, key: str = "m1:k", study: int = 1) -> ReferenceWatch:
    return ReferenceWatch(device.measure, key, store, study, device.said.append, device.slept.append)


def measure_many(watched: ReferenceWatch, store: Store, networks: range) -> None:
    for network in networks:
        watched.before_measuring()
        store.save_measurement("m1:k", {}, str(network), {"latency_ms": 1.0, "flags": ["noisy"]})
        watched.measured("m1:k", str(network))


def flagged(store: Store, networks: range) -> list[int]:
    found = store.measurements("m1:k", [str(network) for network in networks])
    assert all("noisy" in record.flags for record in found.values())
    return sorted(int(network) for network, record in found.items() if DRIFT in record.flags)


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=20))
def test_a_series_tolerates_its_median_and_half_of_itself(series: list[float]) -> None:
    allowed = tolerance_ms(series)
    median = sorted(series)[len(series) // 2]
    assert allowed >= 0.05 * min(series)
    assert sum(abs(point - median) <= 2 * allowed for point in series) >= len(series) / 2


def test_tolerance() -> None:
    assert tolerance_ms([2.0, 2.0, 2.0]) == pytest.approx(0.1)
    assert tolerance_ms([1.0, 2.0, 4.0]) == pytest.approx(3.0)  # three times the median deviation of 1


def test_a_series_begins_with_a_few_points_and_goes_on_now_and_then(store: Store) -> None:
    device = Device()
    measure_many(watch(store, device), store, range(EVERY))
    assert device.measured == LEAST
    other = watch(store, device)  # another run: the series is there
    measure_many(other, store, range(EVERY, 2 * EVERY + 1))
    assert device.measured == LEAST + 2
    points = references(store, study_id=1, key_digest="m1:k")
    assert [(point.latency_ms, point.flags) for point in points] == [(1.0, ())] * (LEAST + 2)
    assert (device.slept, device.said) == ([], [])


def test_series_are_of_a_key_over_studies(store: Store) -> None:
    device = Device()
    watch(store, device).before_measuring()
    watch(store, device, study=2).before_measuring()
    assert device.measured == LEAST + 1
    watch(store, device, key="m1:other").before_measuring()
    assert device.measured == 2 * LEAST + 1
    assert [len(references(store, study_id=study)) for study in (1, 2)] == [2 * LEAST, 1]


def test_what_passes_by_itself_is_no_drift(store: Store) -> None:
    device = Device()
    watched = watch(store, device)
    measure_many(watched, store, range(EVERY))
    device.next = [1.2, 0.8, 1.04]
    measure_many(watched, store, range(EVERY, EVERY + 1))
    assert device.slept == list(WAITS_S[:2])
    assert device.said == []
    assert references(store, key_digest="m1:k")[-1].latency_ms == 1.04
    assert flagged(store, range(EVERY + 1)) == []


def test_drift_marks_what_was_measured_from_the_last_good_check_to_the_next(store: Store) -> None:
    device = Device()
    watched = watch(store, device)
    measure_many(watched, store, range(EVERY))
    device.latency_ms = 1.3
    measure_many(watched, store, range(EVERY, 3 * EVERY))  # a bad check, and another
    assert device.slept == list(WAITS_S)  # the second is not waited for
    device.latency_ms = 1.0
    measure_many(watched, store, range(3 * EVERY, 4 * EVERY + 1))
    assert flagged(store, range(5 * EVERY)) == list(range(3 * EVERY))
    assert [point.flags for point in references(store)] == [()] * LEAST + [(DRIFT,)] * 2 + [()] * 2
    (said,) = device.said
    assert "the reference network took 1.3 ms, 30% more than the 1 ms of 3 earlier checks" in said
    assert f"'{DRIFT}'" in said


def test_a_faster_device_has_drifted_too(store: Store) -> None:
    device = Device()
    watch(store, device).before_measuring()
    device.latency_ms = 0.9
    watch(store, device).before_measuring()
    assert "10% less than" in device.said[0]


@pytest.mark.parametrize(
    ("error", "passes"), [(CandidateError("forward", "No."), True), (EnvironmentFailure("Lost."), False)]
)
def test_a_reference_that_cannot_be_measured(store: Store, error: Exception, passes: bool) -> None:
    device = Device()
    fails: Callable[[], float] = lambda: (_ for _ in ()).throw(error)  # noqa: E731
    watched = ReferenceWatch(fails, "m1:k", store, 1, device.said.append, device.slept.append)
    if passes:
        measure_many(watched, store, range(2 * EVERY))
        assert device.said == ["The reference network cannot be measured, so drift of the device goes unseen: No."]
    else:
        with pytest.raises(EnvironmentFailure, match="Lost"):
            watched.before_measuring()
    assert references(store) == []


@pytest.mark.parametrize("resolution", [8, 28, 96, 224])
def test_the_reference_takes_whatever_a_study_takes(resolution: int) -> None:
    model = build(REFERENCE, num_classes=10, in_channels=3, stem_reduction=stem_reduction_for(resolution))
    assert sum(parameter.numel() for parameter in model.parameters()) < 500_000
