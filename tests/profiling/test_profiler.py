"""Profiles with measurements in place of real ones: what is measured when, kept, and made of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from osanas.costs import count_costs
from osanas.errors import CandidateError, Unavailable, UsageError
from osanas.evaluation.keys import network_key
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.variants import VARIANTS
from osanas.machine.device import identify
from osanas.measure.energy.estimate import EstimateMeter
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.measurement import Measurement, key_digest, measurement_key
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.rounds import per_round
from osanas.measure.setup import Setup
from osanas.models.zoo import build_peer
from osanas.profiling import profiler as profile
from osanas.profiling.networks import Network, network
from osanas.profiling.profiler import Profiler, Turn
from osanas.store.store import Store

CPU = torch.device("cpu")
METER = EstimateMeter("cpu", 1)
NAMES = ("squeezenet1_1", "shufflenet_v2_x0_5", "vovnet19_slim_dw_v2")
NETWORKS = [network(name) for name in NAMES]
SHAPE = NetworkShape.of(32, 3, 10)
PARAMETERS = {name: sum(p.numel() for p in network(name).build(SHAPE).parameters()) for name in NAMES}
MEASURED = Measurement(
    latency_ms=2.0,
    latency_interval_ms=(1.9, 2.1),
    blocks_ms=(2.0,) * 6,
    disturbed_blocks_ms=(),
    iterations=30,
    stopped_by="interval",
    energy_mj=5.0,
    energy_source="estimated",
    energy_method="analytic",
    power_w=2.5,
    idle_power_w=1.0,
    converged=True,
    energy_net_mj=3.0,
    flags=("noisy",),
    notes=("a note",),
)


@dataclass
class Measured:
    """Stands in for ``measure``: the latency of a network is its parameters over ``1e6 / batch``."""

    calls: list[tuple[str, MeasurementProtocol, object]] = field(default_factory=list)
    weights: dict[str, set[float]] = field(default_factory=dict)
    fails: Callable[[str, int], bool] = lambda _name, _batch: False
    energy_mj: float | None = 5.0

    def __call__(
        self,
        model: nn.Module,
        _shape: object,
        _device: object,
        protocol: MeasurementProtocol,
        meter: object,
        **_: object,
    ) -> Measurement:
        parameters = sum(parameter.numel() for parameter in model.parameters())
        name = next(name for name, count in PARAMETERS.items() if count == parameters)
        self.calls.append((name, protocol, meter))
        self.weights.setdefault(name, set()).add(float(sum(p.detach().double().sum() for p in model.parameters())))
        if self.fails(name, protocol.batch_size):
            raise CandidateError("forward", "It does not run.")
        latency_ms = parameters / 1e6 * protocol.batch_size
        energy_mj = self.energy_mj if isinstance(meter, EnergyMeter) else None
        return replace(MEASURED, latency_ms=latency_ms, blocks_ms=(latency_ms,) * 6, energy_mj=energy_mj)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    stand_in = Measured()
    monkeypatch.setattr(profile, "measure", stand_in)
    return stand_in


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 's.db'}", create=True)


def profiler(
    rounds: int = 1,
    *,
    protocol: MeasurementProtocol | None = None,
    meter: EnergyMeter | Unavailable = METER,
    **options: Any,
) -> Profiler:
    chosen = protocol or MeasurementProtocol(rounds=rounds)
    return Profiler(Setup(CPU, identify(CPU), chosen, meter), SHAPE, **options)


def rows(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert json.loads(json.dumps(document)) == document
    return {row["model"]: row for row in document["models"]}


# rounds -----------------------------------------------------------------------------------------------------------


def test_rounds_are_interleaved_and_recorded(measured: Measured) -> None:
    turns: list[Turn] = []
    document = profiler(4).document(NETWORKS, on_turn=turns.append)
    order = document["order"]
    assert [sorted(names) for names in order] == [sorted(NAMES)] * 4
    assert len({tuple(names) for names in order}) > 1
    assert [name for name, _, _ in measured.calls] == [name for names in order for name in names]
    assert {protocol for _, protocol, _ in measured.calls} == {per_round(MeasurementProtocol(rounds=4))}
    assert [turn.number for turn in turns] == list(range(1, 13))
    assert {turn.total for turn in turns} == {12}
    assert profiler(4).document(NETWORKS)["order"] == order
    assert profiler(4, seed=5).document(NETWORKS)["order"] != order
    assert list(rows(document)) == list(NAMES)
    assert rows(document)["squeezenet1_1"]["latency_ms"] == PARAMETERS["squeezenet1_1"] / 1e6


@dataclass(frozen=True)
class Counted(Network):
    """Counts how often it is built."""

    builds: list[NetworkShape] = field(default_factory=list)

    def build(self, shape: NetworkShape) -> nn.Module:
        self.builds.append(shape)
        return super().build(shape)


@pytest.mark.parametrize(("room", "builds"), [(Profiler.kept_parameters, 1), (0, 5), (PARAMETERS[NAMES[0]], 1)])
def test_networks_are_kept_or_built_again_the_same(measured: Measured, room: int, builds: int) -> None:
    first = Counted(NAMES[0], None)
    profiler(3, kept_parameters=room).document([first, *NETWORKS[1:]])
    assert first.builds == [SHAPE] * builds
    assert [len(sums) for sums in measured.weights.values()] == [1, 1, 1]


def test_network_that_fails_is_not_tried_again(measured: Measured) -> None:
    measured.fails = lambda name, _: name == NAMES[1] and len(measured.calls) > 3
    found = rows(profiler(3).document(NETWORKS))
    failed = found[NAMES[1]]
    assert failed["parameters"] == PARAMETERS[NAMES[1]]
    figures = (
        "latency_ms",
        "latency_interval_ms",
        "energy_mj",
        "images_per_second",
        "peak_memory_bytes",
        "measured_at",
    )
    assert [failed[name] for name in figures] == [None] * len(figures)
    assert failed["notes"] == ["It does not run."]
    assert failed["flags"] == []
    assert Counter(name for name, _, _ in measured.calls) == {NAMES[0]: 3, NAMES[1]: 2, NAMES[2]: 3}
    assert found[NAMES[0]]["latency_ms"] is not None


def test_nothing_is_measured_if_one_cannot_take_such_images(measured: Measured) -> None:
    with pytest.raises(UsageError, match=r"^alexnet: The network cannot take an input of 3x32x32"):
        profiler().document([*NETWORKS, network("alexnet")])
    assert measured.calls == []


# rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("measured")
def test_row() -> None:
    name = NAMES[2]
    row = rows(profiler(protocol=MeasurementProtocol(precision="bf16")).document([network(name)]))[name]
    costs = count_costs(network(name).build(SHAPE), (3, 32, 32))
    assert row["digest"] == VARIANTS[name].digest
    assert row["multiply_adds"] == costs.multiply_adds
    assert row["memory_access_bytes"] == 2 * costs.memory_access_elements
    assert row["memory_access_bound"] == costs.memory_access_bound
    assert row["memory_access_excess"] == costs.memory_access_excess
    assert row["images_per_second"] == pytest.approx(1e3 / row["latency_ms"])
    assert row["multiply_adds_per_second"] == pytest.approx(costs.multiply_adds * 1e3 / row["latency_ms"])
    assert (row["energy_mj"], row["energy_net_mj"], row["batch_size"], row["throughput_batch_size"]) == (5, 3, 1, 1)
    assert row["notes"] == ["a note"]
    assert row["flags"] == ["noisy"]
    assert row["uncounted"] == list(costs.uncounted)
    assert "hardtanh" in " ".join(row["uncounted"]) or "relu" in " ".join(row["uncounted"])
    assert row["is_stored"] is False


def test_throughput_is_measured_at_a_batch_of_its_own(measured: Measured) -> None:
    found = rows(profiler(2, throughput_batch_size=16).document(NETWORKS))
    assert Counter((protocol.batch_size, meter) for _, protocol, meter in measured.calls) == {
        (1, METER): 6,
        (16, None): 6,
    }
    row = found[NAMES[0]]
    assert row["latency_ms"] == PARAMETERS[NAMES[0]] / 1e6
    assert (row["batch_size"], row["throughput_batch_size"]) == (1, 16)
    assert row["images_per_second"] == pytest.approx(1e9 / PARAMETERS[NAMES[0]])
    assert row["energy_mj"] == 5.0
    assert "images per second at batch 16: noisy" in row["notes"]


def test_throughput_at_the_same_batch_is_the_latency_s(measured: Measured) -> None:
    profiler(throughput_batch_size=1).document(NETWORKS)
    assert len(measured.calls) == 3


def test_throughput_that_does_not_fit_leaves_the_latency(measured: Measured) -> None:
    measured.fails = lambda _name, batch: batch == 16
    row = rows(profiler(throughput_batch_size=16).document(NETWORKS))[NAMES[0]]
    assert row["latency_ms"] is not None
    assert row["images_per_second"] is row["multiply_adds_per_second"] is None
    assert row["notes"][0] == "images per second at batch 16: It does not run."


def test_ratios_to_a_baseline(measured: Measured) -> None:
    base, other, failed = NAMES
    measured.fails = lambda name, _: name == failed
    found = rows(profiler().document(NETWORKS, baseline=base))
    assert [found[base][name] for name in profile.RATIOS] == [1.0] * 4
    expected = PARAMETERS[other] / PARAMETERS[base]
    assert found[other]["parameters_ratio"] == found[other]["latency_ratio"] == pytest.approx(expected)
    assert found[other]["energy_ratio"] == 1.0
    assert found[failed]["latency_ratio"] is found[failed]["energy_ratio"] is None
    assert found[failed]["multiply_adds_ratio"] > 0
    without = profiler().document(NETWORKS)
    assert without["baseline"] is None
    assert not profile.RATIOS.keys() & without["models"][0].keys()


def test_ratios_to_a_baseline_that_failed(measured: Measured) -> None:
    measured.fails = lambda name, _: name == NAMES[0]
    row = rows(profiler().document(NETWORKS, baseline=NAMES[0]))[NAMES[1]]
    assert row["latency_ratio"] is row["energy_ratio"] is None
    assert row["parameters_ratio"] is not None


# the store --------------------------------------------------------------------------------------------------------


def test_key_is_that_of_a_network() -> None:
    used = profiler()
    key = network_key(used.setup.identity, used.setup.protocol, SHAPE, METER)
    assert used.key() == key
    plain = measurement_key(used.setup.identity, used.setup.protocol, (3, 32, 32), METER)
    assert key == {**plain, "num_classes": 10, "stem_reduction": 2}
    assert json.loads(json.dumps(key)) == key


def test_stored_measurements_are_used_again(measured: Measured, store: Store) -> None:
    stored = [replace(network, store=store) for network in NETWORKS]
    first = profiler(2, throughput_batch_size=4).document(stored)
    count = len(measured.calls)
    again = profiler(2, throughput_batch_size=4).document(stored)
    assert len(measured.calls) == count == 12
    assert again["order"] == []
    for before, after in zip(first["models"], again["models"], strict=True):
        assert (before["is_stored"], after["is_stored"]) == (False, True)
        assert after["measured_at"] == pytest.approx(before["measured_at"], abs=60)
        ignored = {"is_stored", "measured_at"}
        assert {k: v for k, v in before.items() if k not in ignored} == {
            k: v for k, v in after.items() if k not in ignored
        }
    # another protocol, another key
    profiler(3).document(stored)
    assert len(measured.calls) == count + 9
    # without a store nothing is known
    assert not rows(profiler(2).document(NETWORKS))[NAMES[0]]["is_stored"]


def test_store_s_names_are_those_of_a_search(measured: Measured, store: Store) -> None:
    used = profiler()
    used.document([replace(network, store=store) for network in NETWORKS])
    digest = key_digest(used.key())
    assert store.measurement_record(digest, NAMES[0]) is not None
    assert store.measurement_record(digest, SHAPE.canonical(VARIANTS[NAMES[2]]).digest) is not None
    # what a search has stored under this key is taken
    store.save_measurement(digest, used.key(), SHAPE.canonical(VARIANTS["vovnet39"]).digest, MEASURED.to_dict())
    count = len(measured.calls)
    row = rows(used.document([network("vovnet39", store=store)]))["vovnet39"]
    assert (row["latency_ms"], row["is_stored"], len(measured.calls)) == (2.0, True, count)


def test_fresh_measures_again_and_replaces(measured: Measured, store: Store) -> None:
    stored = [replace(NETWORKS[0], store=store)]
    profiler().document(stored)
    measured.energy_mj = 7.0
    assert rows(profiler().document(stored))[NAMES[0]]["energy_mj"] == 5.0
    fresh = rows(profiler(is_fresh=True).document(stored))[NAMES[0]]
    assert (fresh["energy_mj"], fresh["is_stored"]) == (7.0, False)
    assert rows(profiler().document(stored))[NAMES[0]]["energy_mj"] == 7.0


def test_what_is_incomplete_is_not_kept(measured: Measured, store: Store) -> None:
    stored = [replace(network, store=store) for network in NETWORKS[:2]]
    measured.energy_mj = None
    measured.fails = lambda name, _: name == NAMES[1]
    profiler().document(stored)
    count = len(measured.calls)
    profiler().document(stored)
    assert len(measured.calls) == 2 * count
    # where no energy is asked for, none is missing
    unmetered = profiler(meter=Unavailable("none"))
    unmetered.document(stored[:1])
    assert rows(unmetered.document(stored[:1]))[NAMES[0]]["is_stored"]


def test_peers_of_the_test_are_small() -> None:
    """The sum of parameters is what tells them apart in this file."""
    assert len(set(PARAMETERS.values())) == 3
    assert sum(p.numel() for p in build_peer(NAMES[0], 10).parameters()) == PARAMETERS[NAMES[0]]
