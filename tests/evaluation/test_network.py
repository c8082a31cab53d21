"""Who measures and who trains by the options of a study."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from osanas.engine.measuring import measuring_in
from osanas.errors import CandidateError, EnvironmentFailure, UsageError
from osanas.evaluation.drift import EVERY, LEAST, DriftWatch
from osanas.evaluation.measurer import NetworkMeasurer
from osanas.evaluation.network import build_network, network_evaluators
from osanas.evaluation.network_trainer import NetworkTrainer
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.space import SearchSpace
from osanas.measure.measurement import Measurement
from osanas.measure.protocol import MeasurementProtocol
from osanas.models.backbone import OSABackbone
from osanas.store.references import References
from osanas.store.store import Store
from osanas.study.config import StudyConfig
from osanas.study.events import Announcer, Event, Note
from osanas.study.recipe import Recipe
from osanas.study.records import DRIFT
from osanas.tasks.classification.data import load
from osanas.tasks.classification.task import Classification
from tests.evaluation.helpers import Meter, quick_setup

TINY = SearchSpace.load("tiny")
MEMBER = TINY.smallest()


def config(**options: Any) -> StudyConfig:
    base = {"space": "tiny", "data": "digits", "train_samples": 100}
    base |= {"device": "cpu", "energy": "estimated", "threads": 1}
    return StudyConfig.model_validate({**base, **options})


def evaluators(**options: Any) -> tuple[NetworkMeasurer, NetworkTrainer]:
    return network_evaluators(config(**options))


def identity(**options: Any) -> dict[str, Any]:
    measurer, trainer = evaluators(**options)
    return {**trainer.identity(), **measurer.identity()}


def task(resolution: int = 8) -> Classification:
    return Classification(load("digits", train_samples=50, resolution=resolution))


# options ----------------------------------------------------------------------------------------------------------


def test_options_decide_shape_protocol_and_recipe() -> None:
    measurer, trainer = evaluators(resolution=32, batch_size=2, precision="bf16", train_batch_size=16, seed=3)
    assert measurer.shape() == NetworkShape(resolution=32, in_channels=1, num_classes=10, stem_reduction=2)
    assert measurer.setup.protocol == MeasurementProtocol.for_search(batch_size=2, precision="bf16", threads=1)
    assert measurer.setup.energy_source == "estimated"
    assert trainer.recipe == Recipe(batch_size=16)
    assert (trainer.seed, trainer.device.type) == (3, "cpu")
    assert evaluators(recipe={"learning_rate": 0.5})[1].recipe == Recipe(learning_rate=0.5)


def test_measurer_and_trainer_build_the_same_networks_of_the_shape_told() -> None:
    measurer, trainer = evaluators(resolution=32)
    assert measurer.measure(MEMBER).parameters == measurer.shape().costs(MEMBER).parameters
    states = [network.state_dict() for network in (measurer.build(MEMBER), trainer.build(MEMBER, trainer.seed))]
    assert all(torch.equal(weight, states[1][name]) for name, weight in states[0].items())


def test_another_task_may_be_given() -> None:
    measurer, trainer = network_evaluators(config(data="no such data"), task(resolution=12))
    assert measurer.shape() == NetworkShape(12, 1, 10, 1)
    result = trainer.train(MEMBER, epochs=1, checkpoint=None, on_epoch=lambda _: None, should_stop=lambda: False)
    assert 0 <= result.score <= 1


def test_together_they_tell_what_makes_figures_comparable() -> None:
    assert identity().keys() == {
        "task", "data", "recipe", "augmentation", "device", "seed", "protocol", "energy_source", "stem_reduction",
    }  # fmt: skip


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
    assert identity()[key] != identity(**changed)[key]


def test_identity_keeps_what_may_change_on_resume() -> None:
    assert identity() == identity(trials=3, sampler="random", max_parameters=10, timeout=5.0)


def test_the_runtime_is_resolved_before_it_becomes_identity() -> None:
    assert identity(runtime="auto") == identity(runtime="eager")
    assert identity(runtime="auto")["protocol"]["runtime"] == "eager"


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
        evaluators(**options)


# keys -------------------------------------------------------------------------------------------------------------


def test_keys_are_the_same_whatever_is_searched_and_how_it_is_trained() -> None:
    others = {"study": "another", "seed": 7, "sampler": "random", "epochs": 2, "objectives": ["accuracy"]}
    assert evaluators()[0].keys() == evaluators(**others)[0].keys()


def test_a_cpu_is_measured_with_one_thread_where_none_are_named() -> None:
    measurer, _ = evaluators(threads=None)
    assert measurer.setup.protocol.threads == 1
    assert measurer.keys() == evaluators(threads=1)[0].keys()


@pytest.mark.parametrize(
    "changed",
    [
        {"batch_size": 2},
        {"precision": "bf16"},
        {"energy": "none"},
        {"resolution": 16},
        {"resolution": 32},  # the stem reduces by 2 there
    ],
)
def test_keys_are_others_where_figures_are(changed: dict[str, Any]) -> None:
    first, second = evaluators()[0].keys(), evaluators(**changed)[0].keys()
    assert first.search.digest != second.search.digest
    assert first.final.digest != second.final.digest


# building ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Failing(Classification):
    """A task under whose head nothing can be built."""

    error: Exception = field(default_factory=MemoryError)

    def head(self, backbone: OSABackbone) -> nn.Module:
        raise self.error


@pytest.mark.parametrize(
    ("error", "reason"), [(RuntimeError("invalid\n argument"), "invalid argument"), (MemoryError("9 TB"), "9 TB")]
)
def test_a_network_that_cannot_be_built(error: Exception, reason: str) -> None:
    measurer, trainer = network_evaluators(config(), Failing(task().data, error))

    def train(member: Architecture) -> object:
        return trainer.train(member, epochs=1, checkpoint=None, on_epoch=lambda _: None, should_stop=lambda: False)

    for attempt in (measurer.measure, train):
        with pytest.raises(CandidateError, match=f"The network cannot be built: {reason}") as caught:
            attempt(MEMBER)
        assert caught.value.kind == "build"


def test_equal_seeds_give_equal_weights_and_leave_torch_alone() -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first, again, other = (build_network(MEMBER, task=task(), seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(weight, again[name]) for name, weight in first.items())
    assert any(not torch.equal(weight, other[name]) for name, weight in first.items())


@pytest.mark.parametrize("resolution", [8, 32, 96])
def test_canonical_is_one_name_for_equal_networks(resolution: int) -> None:
    measurer, _ = evaluators(resolution=resolution)
    shape = measurer.shape()
    networks: dict[str, str] = {}
    for member in TINY.enumerate():
        canonical = shape.canonical(member)
        assert shape.canonical(canonical) == canonical
        built = str(measurer.build(member)) if len(networks) < 12 else None
        if built is not None:
            assert networks.setdefault(canonical.digest, built) == built
    assert shape.canonical(MEMBER).to_dict().keys() == MEMBER.to_dict().keys()


# in a study -------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 's.db'}", create=True)


def quick(meter: Meter) -> NetworkMeasurer:
    chosen = task()
    return NetworkMeasurer(quick_setup(meter), chosen.shape, partial(build_network, task=chosen, seed=0))


def test_in_a_study_the_device_is_watched_and_measurements_are_kept_whole(store: Store) -> None:
    study = store.register_study("s", {}, config(), {})
    said: list[Event] = []
    meter = Meter(notes=("energy is estimated, not measured: there is no RAPL zone",))
    measurer = quick(meter)
    working = measuring_in(store, study.id, measurer, Announcer(said.append).note)
    assert said == [Note("Energy is estimated, not measured: there is no RAPL zone.")]
    costs = working.costs(MEMBER)
    series = References(store, study.id, measurer.keys().search.digest)
    assert len(series.good_ms()) == LEAST
    record = store.measurement_record(measurer.keys().search.digest, MEMBER.digest)
    assert record is not None
    assert Measurement.from_dict(record.result).to_dict() == costs.result
    again = measuring_in(
        store, store.register_study("t", {}, config(), {}).id, quick(meter), Announcer(lambda _: None).note
    )
    assert again.costs(MEMBER) == costs
    assert len(meter.asked) == 1


def test_full_measurements_have_a_key_of_their_own(store: Store) -> None:
    study = store.register_study("s", {}, config(), {})
    meter = Meter()
    measurer = quick(meter)
    key = measurer.keys().final
    stored = {**measurer.measure(MEMBER).result, "latency_ms": 99.0}
    store.save_measurement(key.digest, key.document, MEMBER.digest, stored)
    working = measuring_in(store, study.id, measurer, Announcer(lambda _: None).note)
    assert working.costs(MEMBER, in_full=True).latency_ms == 99.0
    assert len(meter.asked) == 1
    assert working.costs(MEMBER).latency_ms != 99.0
    assert len(meter.asked) == 2


def test_a_failed_reading_is_no_result_for_ever(store: Store) -> None:
    study = store.register_study("s", {}, config(), {})
    working = measuring_in(store, study.id, quick(Meter(None)), Announcer(lambda _: None).note)
    with pytest.raises(EnvironmentFailure, match="gave no reading"):
        working.costs(MEMBER)
    assert replace(working, measurer=quick(Meter())).costs(MEMBER).energy_mj == 5.0


def test_what_is_stored_while_the_device_drifts_is_marked(store: Store) -> None:
    latencies_ms = [1.0] * LEAST + [1.3] * 4 + [1.0]
    series = References(store, store.register_study("s", {}, config(), {}).id, "m1:k")
    watch = DriftWatch(lambda: latencies_ms.pop(0), series, Announcer(lambda _: None).note, lambda _: None)
    networks = [str(number) for number in range(2 * EVERY + 1)]
    for network in networks:
        watch.before_measuring()
        store.save_measurement("m1:k", {}, network, {"latency_ms": 1.0, "flags": ["noisy"]})
        watch.measured("m1:k", network)
    found = store.measurements("m1:k", networks)
    assert [found[network].flags for network in networks] == [("noisy", DRIFT)] * 2 * EVERY + [("noisy",)]
    assert series.good_ms() == [1.0] * (LEAST + 1)
