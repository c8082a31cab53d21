from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.strategy.features import STRUCTURE, Features
from osanas.strategy.history import CandidateState, History
from osanas.strategy.signals import FEWEST, SELECTION, Signal, rank_correlations, signals_document
from osanas.study.objectives import Limits
from tests.fakes import SMALL

SPACE = SearchSpace.from_dict(SMALL)
FEATURES = Features(SpaceAt(SPACE, NetworkShape(8, 1, 10, 1)))
MEMBERS = random.Random(0).sample(list(SPACE.enumerate()), 30)


def history(seen: list[CandidateState]) -> History:
    return History((1, 3, 9), ("accuracy", "latency_ms"), Limits(), seen)


def candidate(index: int, full: float | None, **costs: float) -> CandidateState:
    """One whose accuracy at 1 epoch has the order of ``full``, and at 3 epochs the opposite one."""
    architecture = MEMBERS[index]
    value = 0.0 if full is None else full
    scores = {1: value**3, 3: 1 - value} | ({} if full is None else {9: full})
    return CandidateState(architecture.digest, architecture, costs, scores, {1: 2 - value})


def by_name(signals: list[Signal]) -> dict[tuple[str, int | None], Signal]:
    return {(signal.name, signal.epochs): signal for signal in signals}


def test_orders() -> None:
    seen = [candidate(index, 0.5 + index / 100, latency_ms=1 + index % 2) for index in range(20)]
    found = by_name(rank_correlations(history(seen), FEATURES))
    assert found["accuracy", 1].correlation == pytest.approx(1.0)
    assert found["accuracy", 3].correlation == pytest.approx(-1.0)
    assert found["train_loss", 1].correlation == pytest.approx(-1.0)
    assert {signal.candidates for signal in found.values()} == {0, 20}
    assert found["train_loss", 3] == Signal("train_loss", 3, None, 0, f"fewer than {FEWEST} candidates have it")
    assert found["energy_mj", None].correlation is None
    assert abs(found["latency_ms", None].correlation or 1.0) < 0.1


def test_structure_is_counted() -> None:
    ordered = sorted(MEMBERS, key=lambda member: tuple(FEATURES.structure(member)))
    seen = [CandidateState(m.digest, m, {}, {9: 0.5 + index / 100}) for index, m in enumerate(ordered)]
    found = by_name(rank_correlations(history(seen), FEATURES))
    assert [name for name, epochs in found if epochs is None] == [*STRUCTURE, "latency_ms", "energy_mj"]
    assert found["parameters", None].correlation == pytest.approx(1.0)  # by which they are ordered first
    assert 0 < (found["depth", None].correlation or 0) < 1


def test_only_the_fully_trained_count() -> None:
    done = [candidate(index, 0.5 + index / 100) for index in range(FEWEST)]
    half = [candidate(index, None) for index in range(FEWEST, 30)]
    found = by_name(rank_correlations(history(done + half), FEATURES))
    assert found["accuracy", 1].candidates == FEWEST
    assert found["accuracy", 1].correlation == pytest.approx(1.0)
    fewer = by_name(rank_correlations(history(done[1:] + half), FEATURES))
    assert fewer["accuracy", 1].correlation is None
    assert fewer["accuracy", 1].candidates == FEWEST - 1


def test_what_does_not_vary_ranks_nothing() -> None:
    seen = [candidate(index, 0.5 + index / 100, latency_ms=2.0) for index in range(10)]
    latency = by_name(rank_correlations(history(seen), FEATURES))["latency_ms", None]
    assert (latency.correlation, latency.reason) == (None, "all candidates have one value of it")
    level = [candidate(index, 0.5, latency_ms=1.0 + index) for index in range(10)]
    latency = by_name(rank_correlations(history(level), FEATURES))["latency_ms", None]
    assert (latency.correlation, latency.reason) == (None, "all candidates have one accuracy")


@given(st.lists(st.integers(1, 1000), min_size=FEWEST, max_size=30, unique=True))
def test_any_rising_function_ranks_perfectly(thousandths: list[int]) -> None:
    seen = [candidate(index, n / 1000, latency_ms=n**3) for index, n in enumerate(thousandths)]
    assert by_name(rank_correlations(history(seen), FEATURES))["latency_ms", None].correlation == pytest.approx(1.0)


def test_document_names_the_rung_and_the_selection() -> None:
    seen = [candidate(index, 0.5 + index / 100) for index in range(10)]
    document = signals_document(rank_correlations(history(seen), FEATURES), (1, 3, 9))
    assert document["epochs"] == 9
    assert document["selection"] == SELECTION
    assert [row["signal"] for row in document["signals"]][:4] == [
        "accuracy at 1",
        "train_loss at 1",
        "accuracy at 3",
        "train_loss at 3",
    ]
    row = document["signals"][0]
    assert row["correlation"] == pytest.approx(1.0)
    assert (row["name"], row["epochs"], row["candidates"], row["reason"]) == ("accuracy", 1, 10, None)
