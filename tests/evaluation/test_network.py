"""The evaluator of real networks, with measurement and training in place but small."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from osanas.errors import CandidateError, EnvironmentFailure, TrainingStopped, UsageError
from osanas.evaluation import network
from osanas.evaluation.drift import LEAST
from osanas.evaluation.network import NetworkEvaluator, network_evaluator
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.space import SearchSpace
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.measurement import Measurement
from osanas.measure.protocol import MeasurementProtocol
from osanas.store.references import references
from osanas.store.store import Store
from osanas.study.config import StudyConfig
from osanas.study.recipe import Recipe
from osanas.study.records import CurvePoint

TINY = SearchSpace.load("tiny")
MEMBER = TINY.smallest()
OTHER = TINY.largest()

MEASURED = Measurement(
    latency_ms=2.0,
    latency_interval_ms=(1.9, 2.1),
    blocks_ms=(1.9, 2.0, 2.1),
    disturbed_blocks_ms=(),
    iterations=30,
    stopped_by="interval",
    energy_mj=5.0,
    energy_source="estimated",
    energy_method="analytic",
    power_w=2.5,
    idle_power_w=None,
    converged=True,
)


def config(**options: Any) -> StudyConfig:
    base = {"space": "tiny", "device": "cpu", "energy": "estimated", "threads": 1, "train_samples": 100}
    return StudyConfig.model_validate({**base, **options})


def evaluator(store: Store | None = None, **options: Any) -> NetworkEvaluator:
    made = network_evaluator(config(**options))
    return replace(made, store=store)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 's.db'}", create=True)


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> list[Measurement]:
    """Measurements in place of real ones; each call takes the last and appends another like it."""
    taken = [MEASURED]

    def measure(*_: Any, **__: Any) -> Measurement:
        taken.append(replace(taken[-1], latency_ms=taken[-1].latency_ms + 1))
        return taken[-2]

    monkeypatch.setattr(network, "measure", measure)
    return taken


def calls(measurements: list[Measurement]) -> int:
    return len(measurements) - 1


# measuring --------------------------------------------------------------------------------------------------------


def test_real_costs() -> None:
    costs = evaluator().measure(MEMBER)
    assert costs.parameters is not None
    assert costs.parameters == sum(parameter.numel() for parameter in evaluator()._build(MEMBER).parameters())
    assert costs.multiply_adds is not None
    assert costs.multiply_adds > 0
    assert costs.latency_ms is not None
    assert 0 < costs.latency_ms < 1000
    assert costs.energy_mj is not None
    assert costs.energy_mj > 0
    assert costs.energy_source == "estimated"


def test_the_shape_tells_what_a_network_costs() -> None:
    made = evaluator(resolution=32)
    shape = made.shape()
    assert shape == NetworkShape(resolution=32, in_channels=1, num_classes=10, stem_reduction=2)
    counted = shape.costs(MEMBER)
    assert counted.parameters == sum(parameter.numel() for parameter in made._build(MEMBER).parameters())


def test_a_measurement_is_reused_under_the_same_key(store: Store, measurements: list[Measurement]) -> None:
    first = evaluator(store).measure(MEMBER)
    assert evaluator(store).measure(MEMBER) == first
    assert evaluator(store, seed=7, sampler="random", epochs=9).measure(MEMBER) == first
    assert calls(measurements) == 1
    assert evaluator(store).measure(OTHER).latency_ms == 3.0
    assert calls(measurements) == 2


def test_the_stored_measurement_is_whole(store: Store, measurements: list[Measurement]) -> None:
    evaluator(store).measure(MEMBER)
    measurements.append(replace(MEASURED, latency_ms=99.0))
    known = evaluator(store)
    record = store.measurement_record(known.keys().search, MEMBER.digest)
    assert record is not None
    assert Measurement.from_dict(record.result) == MEASURED
    assert known.measure(MEMBER).latency_ms == MEASURED.latency_ms


@pytest.mark.parametrize(
    "changed",
    [
        {"batch_size": 2},
        {"precision": "bf16"},
        {"energy": "none"},
        {"threads": None},
        {"resolution": 16},
        {"resolution": 32},  # the stem reduces by 2 there
    ],
)
def test_a_measurement_is_not_reused_under_another_key(
    store: Store, measurements: list[Measurement], changed: dict[str, Any]
) -> None:
    evaluator(store).measure(MEMBER)
    evaluator(store, **changed).measure(MEMBER)
    assert calls(measurements) == 2
    evaluator(store).measure(MEMBER)
    assert calls(measurements) == 2


@pytest.mark.parametrize("changed", [{"num_classes": 11}, {"in_channels": 3}])
def test_the_network_around_the_architecture_is_part_of_the_key(
    store: Store, measurements: list[Measurement], changed: dict[str, Any]
) -> None:
    known = evaluator(store)
    known.measure(MEMBER)
    replace(known, data=replace(known.data, **changed)).measure(MEMBER)
    assert calls(measurements) == 2


def test_a_measurement_of_another_study_of_the_database_is_reused(
    store: Store, measurements: list[Measurement], tmp_path: Path
) -> None:
    first, second = (
        evaluator(store),
        evaluator(store, study="another", epochs=2, sampler="random", objectives=["accuracy"]),
    )
    assert first.keys() == second.keys()
    costs = first.measure(MEMBER)
    assert second.measure(MEMBER) == costs
    assert calls(measurements) == 1
    other = Store.open(f"sqlite:///{tmp_path / 'other.db'}", create=True)
    assert evaluator(other).measure(MEMBER) != costs


def test_the_full_protocol_has_its_own_key(store: Store, measurements: list[Measurement]) -> None:
    known = evaluator(store, batch_size=2, precision="bf16")
    search, final = known.measure(MEMBER), known.measure_final(MEMBER)
    assert calls(measurements) == 2
    assert (search.measurement_key, final.measurement_key) == (known.keys().search, known.keys().final)
    assert search.measurement_key != final.measurement_key
    assert known.measure_final(MEMBER) == final
    assert calls(measurements) == 2
    assert known.final_protocol == MeasurementProtocol(batch_size=2, precision="bf16", runtime="eager", threads=1)


def test_a_new_driver_is_a_new_key() -> None:
    known = evaluator()
    newer = replace(known, device_identity=replace(known.device_identity, torch="99.0"))
    assert known.identity() == newer.identity()
    assert known.keys().search != newer.keys().search
    assert known.keys().final != newer.keys().final


def test_in_a_study_the_device_is_watched_and_the_estimate_explained(
    store: Store, measurements: list[Measurement], monkeypatch: pytest.MonkeyPatch
) -> None:
    measurements[0] = MEASURED
    study = store.register_study("s", {}, config(), {})
    said: list[str] = []
    made = network_evaluator(config())
    assert isinstance(made.meter, EnergyMeter)
    made.meter.notes = ("energy is estimated, not measured: there is no RAPL zone",)
    known = made.in_study(store, study.id, said.append)
    assert said == ["Energy is estimated, not measured: there is no RAPL zone."]
    known.measure(MEMBER)
    assert calls(measurements) == LEAST + 1  # a series of the reference first
    known.measure(MEMBER)
    known.measure_final(MEMBER)
    assert calls(measurements) == LEAST + 2
    points = references(store, study_id=study.id, key_digest=known.keys().search)
    assert [point.latency_ms for point in points] == [2.0 + index for index in range(LEAST)]


def test_the_reference_is_measured_as_candidates_are(store: Store) -> None:
    study = store.register_study("s", {}, config(), {})
    known = network_evaluator(config()).in_study(store, study.id, lambda _: None)
    assert known.watch is not None
    assert 0 < known.watch.measure() < 1000


def test_nothing_is_kept_without_a_store(measurements: list[Measurement]) -> None:
    unstored = evaluator()
    unstored.measure(MEMBER)
    unstored.measure(MEMBER)
    assert calls(measurements) == 2


def test_no_energy_reading_from_a_meter(store: Store, measurements: list[Measurement]) -> None:
    measurements[0] = replace(MEASURED, energy_mj=None, energy_source=None, notes=("the board was reset",))
    with pytest.raises(EnvironmentFailure, match=r"energy meter \(estimated\) gave no reading: the board was reset\."):
        evaluator(store).measure(MEMBER)


def test_a_failed_reading_is_no_result_for_ever(store: Store, measurements: list[Measurement]) -> None:
    measurements[0] = replace(MEASURED, energy_mj=None, energy_source=None)
    with pytest.raises(EnvironmentFailure, match="no reason given"):
        evaluator(store).measure(MEMBER)
    measurements.append(MEASURED)
    assert evaluator(store).measure(MEMBER).energy_mj == 5.0


def test_no_meter_is_wanted(measurements: list[Measurement]) -> None:
    measurements[0] = replace(MEASURED, energy_mj=None, energy_source=None)
    costs = evaluator(energy="none").measure(MEMBER)
    assert (costs.latency_ms, costs.energy_mj, costs.energy_source) == (2.0, None, None)


# building ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [RuntimeError("invalid\n argument"), MemoryError("9 TB")])
def test_network_that_cannot_be_built(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def build(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(network, "build", build)
    for attempt in (evaluator().measure, lambda member: train(evaluator(), member)):
        with pytest.raises(CandidateError, match=r"The network cannot be built: (invalid argument|9 TB)") as caught:
            attempt(MEMBER)
        assert caught.value.kind == "build"


def test_equal_seeds_give_equal_weights_and_leave_torch_alone() -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first, again, other = (evaluator(seed=seed)._build(MEMBER).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(weight, again[name]) for name, weight in first.items())
    assert any(not torch.equal(weight, other[name]) for name, weight in first.items())


# identity ---------------------------------------------------------------------------------------------------------


def test_identity_is_json() -> None:
    found = evaluator()
    identity = found.identity()
    assert json.loads(json.dumps(identity, allow_nan=False)) == identity
    assert set(identity) == {
        "task", "data", "recipe", "augmentation", "device", "seed", "protocol", "energy_source", "stem_reduction",
    }  # fmt: skip
    assert json.loads(json.dumps(found.device())) == found.device()


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"train_samples": 120}, "data"),
        ({"resolution": 16}, "data"),
        ({"split_seed": 1}, "data"),
        ({"train_batch_size": 16}, "recipe"),
        ({"recipe": {"learning_rate": 0.01}}, "recipe"),
        ({"batch_size": 2}, "protocol"),
        ({"precision": "bf16"}, "protocol"),
        ({"energy": "none"}, "energy_source"),
        ({"resolution": 32}, "stem_reduction"),
    ],
)
def test_identity_tells_what_makes_figures_another(changed: dict[str, Any], key: str) -> None:
    assert evaluator().identity()[key] != evaluator(**changed).identity()[key]


def test_identity_keeps_what_may_change_on_resume() -> None:
    other = evaluator(trials=3, sampler="random", max_parameters=10, timeout=5.0)
    assert evaluator().identity() == other.identity()


@pytest.mark.parametrize("resolution", [8, 32, 96])
def test_canonical_is_one_name_for_equal_networks(resolution: int) -> None:
    found = evaluator(resolution=resolution)
    networks: dict[str, str] = {}
    for member in TINY.enumerate():
        canonical = found.shape().canonical(member)
        assert found.shape().canonical(canonical) == canonical
        built = str(found._build(member)) if len(networks) < 12 else None
        if built is not None:
            assert networks.setdefault(canonical.digest, built) == built
    assert found.shape().canonical(MEMBER).to_dict().keys() == MEMBER.to_dict().keys()


# training ---------------------------------------------------------------------------------------------------------


def train(
    found: NetworkEvaluator,
    member: Architecture,
    *,
    epochs: int = 1,
    checkpoint: Path | None = None,
    on_epoch: Callable[[CurvePoint], None] = lambda _: None,
    stop: bool = False,
) -> float:
    return found.train(
        member, epochs=epochs, checkpoint=checkpoint, on_epoch=on_epoch, should_stop=lambda: stop
    ).accuracy


def test_training_tells_each_epoch_and_is_repeatable(tmp_path: Path) -> None:
    points: list[CurvePoint] = []
    accuracy = train(evaluator(), MEMBER, epochs=2, checkpoint=tmp_path / "c", on_epoch=points.append)
    assert [point.epoch for point in points] == [1, 2]
    assert points[-1].val_accuracy == accuracy
    assert train(evaluator(), MEMBER, epochs=2) == accuracy
    continued: list[CurvePoint] = []
    train(evaluator(), MEMBER, epochs=3, checkpoint=tmp_path / "c", on_epoch=continued.append)
    assert [point.epoch for point in continued][-1] == 3


def test_training_stops_when_told() -> None:
    with pytest.raises(TrainingStopped):
        train(evaluator(), MEMBER, epochs=50, stop=True)


# what a user may get wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"data": "mnist"}, UsageError, "There is no data set 'mnist'"),
        ({"device": "gpu"}, UsageError, "Unknown device 'gpu'"),
        ({"energy": "solar"}, UsageError, "Unknown energy meter 'solar'"),
        ({"runtime": "cudagraph"}, UsageError, "CUDA graphs need a GPU"),
        ({"resolution": 2}, UsageError, "Resolution 2 is too small"),
    ],
)
def test_wrong_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        evaluator(**options)


def test_the_runtime_is_resolved_before_it_becomes_identity() -> None:
    assert evaluator(runtime="auto").identity() == evaluator(runtime="eager").identity()
    assert evaluator(runtime="auto").identity()["protocol"]["runtime"] == "eager"


def test_the_training_batch_goes_into_the_recipe() -> None:
    assert evaluator(train_batch_size=16).recipe == Recipe(batch_size=16)
