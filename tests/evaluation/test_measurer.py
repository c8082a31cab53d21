"""The measurer of networks, with measurements that are real and short."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor, nn

from osanas.errors import CandidateError, EnvironmentFailure, Unavailable
from osanas.evaluation.evaluator import MeasurementKey, Measurer
from osanas.evaluation.keys import network_key
from osanas.evaluation.measurer import NetworkMeasurer
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.space import SearchSpace
from osanas.measure.measurement import Measurement, key_digest
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.setup import Setup
from osanas.models.build import build
from tests.evaluation.helpers import QUICK, Meter, quick_setup

TINY = SearchSpace.load("tiny")
MEMBER = TINY.smallest()
SHAPE = NetworkShape(8, 1, 10, 1)


def network(architecture: Architecture) -> nn.Module:
    return build(architecture, num_classes=10, in_channels=1, stem_reduction=1)


def measurer(setup: Setup | None = None, shape: NetworkShape = SHAPE) -> NetworkMeasurer:
    return NetworkMeasurer(setup or quick_setup(), shape, network)


def test_it_loads_no_trainer_database_or_sampler() -> None:
    script = "import sys, osanas.evaluation.measurer; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    assert not loaded & {"pytorch_lightning", "lightning", "sqlalchemy", "optuna"}


# measuring ------------------------------------------------------------------------------------------------------------


def test_costs_are_counted_and_measured() -> None:
    known: Measurer = measurer()
    costs = known.measure(MEMBER)
    counted = SHAPE.costs(MEMBER)
    assert (costs.parameters, costs.multiply_adds, costs.memory_access_elements) == (
        counted.parameters,
        counted.multiply_adds,
        counted.memory_access_elements,
    )
    assert costs.latency_ms is not None
    assert 0 < costs.latency_ms < 1000
    assert (costs.energy_mj, costs.energy_source) == (5.0, "rapl")


def test_the_whole_measurement_goes_along_and_comes_back() -> None:
    meter = Meter()
    known = measurer(quick_setup(meter))
    costs = known.measure(MEMBER)
    result = Measurement.from_dict(json.loads(json.dumps(costs.stored_form())))
    assert (result.latency_ms, result.energy_mj, result.power_w) == (costs.latency_ms, 5.0, 2.5)
    assert known.measure(MEMBER, stored=json.loads(json.dumps(costs.stored_form()))) == costs
    assert known.measure(MEMBER, in_full=True, stored=costs.result) == costs
    assert len(meter.asked) == 1


def test_flags_of_a_measurement_are_notes() -> None:
    known = measurer()
    result = Measurement.from_dict(known.measure(MEMBER).result)
    stored = replace(result, flags=("very_noisy", "odd")).to_dict()
    assert known.measure(MEMBER, stored=stored).notes == (
        "its measurement is flagged very noisy (the blocks differ by more than 25 % of the median)",
        "its measurement is flagged odd",
    )


def test_in_full_is_by_the_full_protocol_under_the_same_conditions() -> None:
    meter = Meter()
    search = QUICK.model_copy(update={"batch_size": 2, "precision": "bf16", "threads": 1})
    known = measurer(quick_setup(meter, search))
    known.measure(MEMBER)
    known.measure(MEMBER, in_full=True)
    full = MeasurementProtocol(batch_size=2, precision="bf16", runtime="eager", threads=1)
    assert meter.asked == [search, full]
    assert known.final_protocol == full


def test_a_network_that_does_not_run_is_the_candidate_s_failure() -> None:
    class Broken(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            if not x.is_meta:
                raise RuntimeError("no such kernel")
            return super().forward(x)

    with pytest.raises(CandidateError, match="no such kernel"):
        NetworkMeasurer(quick_setup(), SHAPE, lambda _: Broken(1, 4, 3)).measure(MEMBER)


# energy ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("notes", "reason"), [(("the board was reset",), "the board was reset"), ((), "no reason")])
def test_no_reading_from_a_meter_is_a_failure_of_the_machine(notes: tuple[str, ...], reason: str) -> None:
    known = measurer(quick_setup(Meter(None, reading_notes=notes)))
    with pytest.raises(EnvironmentFailure, match=rf"energy meter \(rapl\) gave no reading: .*{reason}"):
        known.measure(MEMBER)


def test_no_meter_is_wanted() -> None:
    known = measurer(replace(quick_setup(), meter=Unavailable("not asked for")))
    costs = known.measure(MEMBER)
    assert costs.latency_ms is not None
    assert (costs.energy_mj, costs.energy_source) == (None, None)
    assert known.identity()["energy_source"] is None
    assert known.notes() == ()


def test_notes_are_the_meter_s() -> None:
    assert measurer(quick_setup(Meter(notes=("the whole package is metered",)))).notes() == (
        "the whole package is metered",
    )


# the reference --------------------------------------------------------------------------------------------------------


def test_the_reference_is_measured_as_candidates_are_without_energy() -> None:
    meter = Meter()
    assert 0 < measurer(quick_setup(meter)).reference_ms() < 1000
    assert meter.asked == []


# keys and identity ----------------------------------------------------------------------------------------------------


def test_keys_are_those_of_networks_under_both_protocols() -> None:
    known = measurer()
    setup = known.setup
    for protocol, key in ((QUICK, known.keys().search), (known.final_protocol, known.keys().final)):
        document = network_key(setup.identity, protocol, SHAPE, setup.meter)
        assert key == MeasurementKey(key_digest(document), document)
        assert json.loads(json.dumps(document)) == document
    assert known.keys().search != known.keys().final
    assert measurer().keys() == known.keys()


@pytest.mark.parametrize(
    "changed",
    [{"batch_size": 2}, {"precision": "bf16"}, {"threads": 1}, {"max_seconds": 0.02}],
)
def test_another_protocol_has_another_key(changed: dict[str, Any]) -> None:
    other = measurer(quick_setup(protocol=QUICK.model_copy(update=changed)))
    assert measurer().keys().search.digest != other.keys().search.digest
    assert measurer().identity()["protocol"] != other.identity()["protocol"]


@pytest.mark.parametrize(
    "shape",
    [NetworkShape(16, 1, 10, 1), NetworkShape(8, 3, 10, 1), NetworkShape(8, 1, 11, 1), NetworkShape(8, 1, 10, 2)],
)
def test_another_network_around_the_architecture_has_another_key(shape: NetworkShape) -> None:
    assert measurer().keys().search.digest != measurer(shape=shape).keys().search.digest
    assert measurer().keys().final.digest != measurer(shape=shape).keys().final.digest


def test_another_meter_has_another_key_and_identity() -> None:
    other = measurer(replace(quick_setup(), meter=Unavailable("not asked for")))
    assert measurer().keys().search.digest != other.keys().search.digest
    assert measurer().identity()["energy_source"] == "rapl"
    assert other.identity()["energy_source"] is None


def test_a_new_driver_is_a_new_key_of_the_same_study() -> None:
    known = measurer()
    newer = measurer(replace(known.setup, identity=replace(known.setup.identity, torch="99.0")))
    assert known.identity() == newer.identity()
    assert known.keys().search.digest != newer.keys().search.digest
    assert known.keys().final.digest != newer.keys().final.digest


def test_identity_and_device_are_json() -> None:
    known = measurer()
    assert json.loads(json.dumps(known.identity(), allow_nan=False)) == known.identity()
    assert known.identity().keys() == {"device", "protocol", "energy_source", "stem_reduction"}
    assert json.loads(json.dumps(known.device())) == known.device() == known.setup.identity.to_dict()
    assert known.shape() == SHAPE
