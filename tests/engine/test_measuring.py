"""Costs are measured once, stored, and found again; the device is watched meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osanas.engine.measuring import Measuring, check_finite, measuring_in
from osanas.errors import CandidateError
from osanas.evaluation.drift import EVERY, LEAST, DriftWatch
from osanas.evaluation.evaluator import CandidateCosts
from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace
from osanas.store.references import References
from osanas.store.store import Store
from osanas.study.config import StudyConfig
from osanas.study.events import Announcer, Event, Note
from osanas.study.records import DRIFT
from tests.fakes import SMALL, TableEvaluator, costs_of

MEMBERS = list(SearchSpace.from_dict(SMALL).enumerate())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open(f"sqlite:///{tmp_path / 's.db'}", create=True)
    store.register_study("s", {"objectives": [], "rungs": [1], "energy_source": None}, StudyConfig(), {})
    return store


def two() -> TableEvaluator:
    return TableEvaluator(search_key="s1", final_key="f1", final_ms=0.5)


def test_each_protocol_measures_a_network_once(store: Store) -> None:
    first = two()
    for _ in range(2):
        costs = Measuring(store, first, None).costs(MEMBERS[0])
        in_full = Measuring(store, first, None).costs(MEMBERS[0], in_full=True)
    assert costs == costs_of(MEMBERS[0])
    assert in_full.latency_ms == (costs.latency_ms or 0) + 0.5
    assert first.measured == first.measured_in_full == [MEMBERS[0].digest]
    later = two()
    assert Measuring(store, later, None).costs(MEMBERS[0], in_full=True) == in_full
    assert later.measured_in_full == []
    other = TableEvaluator(search_key="s2")
    Measuring(store, other, None).costs(MEMBERS[0])
    assert other.measured == [MEMBERS[0].digest]


def test_the_whole_measurement_is_stored_and_handed_in(store: Store) -> None:
    handed: list[Mapping[str, Any] | None] = []

    class Detailed(TableEvaluator):
        def measure(
            self, architecture: Architecture, *, in_full: bool = False, stored: Mapping[str, Any] | None = None
        ) -> CandidateCosts:
            handed.append(stored)
            costs = super().measure(architecture, in_full=in_full, stored=stored)
            return replace(costs, result={"blocks_ms": [1.0, 2.0]})

    for _ in range(2):
        Measuring(store, Detailed(), None).costs(MEMBERS[0])
    assert handed[0] is None
    assert handed[1] is not None
    assert handed[1]["blocks_ms"] == [1.0, 2.0]
    assert handed[1]["latency_ms"] == costs_of(MEMBERS[0]).latency_ms


@pytest.mark.parametrize("name", ["latency_ms", "energy_mj"])
@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_not_stored(store: Store, name: str, figure: float) -> None:
    class Odd(TableEvaluator):
        def measure_search(self, architecture: Architecture) -> CandidateCosts:
            costs = super().measure_search(architecture)
            return replace(costs, latency_ms=figure) if name == "latency_ms" else replace(costs, energy_mj=figure)

    with pytest.raises(CandidateError, match=f"Its {name} is {figure}") as caught:
        Measuring(store, Odd(), None).costs(MEMBERS[0])
    assert caught.value.kind == "not_finite"
    assert store.measurement_record("table", MEMBERS[0].digest) is None
    check_finite(name, None)


def test_what_concerns_the_whole_run_is_said_at_its_beginning(store: Store) -> None:
    class Noted(TableEvaluator):
        def notes(self) -> tuple[str, ...]:
            return ("energy is estimated, not measured: no meter.",)

    said: list[Event] = []
    assert measuring_in(store, 1, Noted(), Announcer(said.append).note).watch is None
    assert said == [Note("Energy is estimated, not measured: no meter.")]
    watched = measuring_in(store, 1, TableEvaluator(reference_ms=lambda: 1.0), Announcer(said.append).note)
    watched.costs(MEMBERS[0])
    assert References(store, 1, "table").good_ms() == [1.0] * LEAST
    watched.costs(MEMBERS[0])  # from the database, which is no reason to look at the device
    assert len(References(store, 1, "table").good_ms()) == LEAST


def test_what_is_measured_while_the_device_drifts_is_flagged(store: Store) -> None:
    latencies_ms = [1.0] * LEAST + [1.3] * 4 + [1.0]
    said: list[Event] = []
    say = Announcer(said.append).note
    watch = DriftWatch(lambda: latencies_ms.pop(0), References(store, 1, "s1"), say, lambda _: None)
    measuring = Measuring(store, two(), watch)
    for member in MEMBERS[: 2 * EVERY + 1]:
        measuring.costs(member)
    flags = [found.flags for m in MEMBERS if (found := store.measurement_record("s1", m.digest)) is not None]
    assert flags == [(DRIFT,)] * 2 * EVERY + [()]
    assert [note.counted_as for note in said if isinstance(note, Note)] == ["the reference network had drifted"]
