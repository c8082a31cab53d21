from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from torch import nn

from osanas.costs import count_costs
from osanas.errors import Unavailable
from osanas.machine.device import identify
from osanas.machine.exclusive import exclusive
from osanas.measure.energy.choose import MeterSources, open_meter
from osanas.measure.energy.estimate import EstimateMeter
from osanas.measure.energy.meter import EnergyMeter, EnergyReading, EnergyWindow, Load
from osanas.measure.measurement import Measurement, key_digest, measurement_key
from osanas.measure.network import measure, peak_memory_bytes
from osanas.measure.protocol import MeasurementProtocol
from tests.measure.simulation import FakeNvml, SimulatedClock

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)
SEARCH = MeasurementProtocol.for_search()


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


@pytest.fixture(scope="module")
def estimated(model: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    folder = tmp_path_factory.mktemp("locks")
    return measure(model, SHAPE, CPU, SEARCH, EstimateMeter("cpu", 1, ("no meter",)), lock_folder=folder)


def test_an_estimate_is_labelled_and_needs_no_costs_from_the_caller(estimated: Measurement, model: nn.Module) -> None:
    assert (estimated.energy_source, estimated.energy_method) == ("estimated", "analytic")
    costs = count_costs(model, SHAPE)
    dynamic_mj = (costs.multiply_adds * 4.6 + costs.memory_access_elements * 4 * 162.5) * 1e-9
    assert estimated.energy_mj == pytest.approx(dynamic_mj + 41 / 18 * estimated.latency_ms)
    assert "no meter" in estimated.notes
    assert estimated.energy_details["coefficients"]["static_power_w"] == pytest.approx(41 / 18)


def test_a_measurement_survives_json(estimated: Measurement) -> None:
    document = json.loads(json.dumps(estimated.to_dict()))
    assert Measurement.from_dict(document) == estimated
    assert document["latency_interval_ms"][0] <= document["latency_ms"] <= document["latency_interval_ms"][1]
    assert len(document["blocks_ms"]) >= 6
    on_gpu = replace(
        estimated, gpu_time_ms=1.0, gpu_time_interval_ms=(0.9, 1.1), percentiles_ms={"p90": 1.2}, exclusive="yes"
    )
    assert Measurement.from_dict(json.loads(json.dumps(on_gpu.to_dict()))) == on_gpu


class _PerBatch(EnergyMeter):
    source = "nvml"

    def __init__(self, joules: float | None) -> None:
        self._joules = joules
        self.seen: list[Load] = []

    @property
    def method(self) -> str:
        return "counter"

    def describe(self) -> dict[str, object]:
        return {"source": self.source}

    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        load.launch(2)()
        self.seen.append(load)
        notes = () if self._joules else ("no reading today",)
        return EnergyReading(
            "nvml",
            "counter",
            self._joules,
            None,
            None,
            net_joules_per_iteration=None if self._joules is None else self._joules / 4,
            windows=() if self._joules is None else (EnergyWindow(self._joules * 10, 0.05, 10),),
            exclusive="yes",
            converged=False,
            flags=("a",),
            notes=notes,
        )


def test_energy_is_per_image(model: nn.Module, tmp_path: Path) -> None:
    meter = _PerBatch(0.008)
    protocol = MeasurementProtocol.for_search(batch_size=4)
    found = measure(model, SHAPE, CPU, protocol, meter, lock_folder=tmp_path)
    assert found.energy_mj == pytest.approx(2.0)
    assert found.energy_net_mj == pytest.approx(0.5)
    assert found.energy_iteration_ms == pytest.approx(5.0)
    assert found.exclusive == "yes"
    assert not found.converged
    assert "a" in found.flags
    assert meter.seen[0].iteration_seconds == pytest.approx(found.latency_ms / 1e3)
    assert meter.seen[0].costs is None


def test_no_reading_is_none_with_its_reason_and_no_source(model: nn.Module, tmp_path: Path) -> None:
    found = measure(model, SHAPE, CPU, SEARCH, _PerBatch(None), lock_folder=tmp_path)
    assert (found.energy_mj, found.energy_net_mj, found.energy_source, found.energy_method) == (None, None, None, None)
    assert found.energy_iteration_ms is None
    assert "no reading today" in found.notes
    found = measure(model, SHAPE, CPU, SEARCH, Unavailable("switched off"), lock_folder=tmp_path)
    assert found.energy_mj is None
    assert (found.notes, found.exclusive) == (("switched off",), "unknown")
    assert measure(model, SHAPE, CPU, SEARCH, None, lock_folder=tmp_path).notes == ()


def test_the_device_is_held_while_it_is_measured(model: nn.Module, tmp_path: Path) -> None:
    tried: list[str] = []

    class Curious(_PerBatch):
        @property
        def lock_name(self) -> str | None:
            return "GPU-1"

        def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
            tried.extend(sorted(path.name for path in tmp_path.glob("*.lock")))
            return super().measure(load, protocol)

    measure(model, SHAPE, CPU, SEARCH, Curious(0.1), lock_folder=tmp_path)
    assert tried == ["GPU-1.lock", "cpu.lock"]
    with exclusive(["cpu", "GPU-1"], timeout_s=0.5, folder=tmp_path):
        pass


def test_cpu_work_can_be_metered_by_a_board(model: nn.Module, tmp_path: Path) -> None:
    clock = SimulatedClock()
    nvml = FakeNvml(clock)
    meter = open_meter("nvml:0", CPU, sources=MeterSources(clock, nvml))
    assert isinstance(meter, EnergyMeter)
    reading = meter.measure(clock.load(0.002), SEARCH)
    assert reading.joules_per_iteration == pytest.approx(0.2, rel=0.02)


def test_keys_tell_apart_what_may_not_be_compared() -> None:
    identity = identify(CPU)
    estimate = EstimateMeter("cpu", 1)

    def digest(
        protocol: MeasurementProtocol = SEARCH,
        shape: tuple[int, int, int] = SHAPE,
        meter: EnergyMeter | Unavailable | None = estimate,
        name: str = identity.name,
    ) -> str:
        return key_digest(measurement_key(replace(identity, name=name), protocol, shape, meter))

    assert digest() == digest()
    assert digest().startswith("m1:")
    others = [
        digest(protocol=MeasurementProtocol()),
        digest(protocol=MeasurementProtocol.for_search(batch_size=2)),
        digest(protocol=MeasurementProtocol.for_search(precision="bf16")),
        digest(protocol=MeasurementProtocol.for_search(threads=5)),
        digest(protocol=MeasurementProtocol.for_search(runtime="compile")),
        digest(protocol=MeasurementProtocol.for_search(runtime="onnxruntime")),
        digest(shape=(3, 8, 8)),
        digest(meter=Unavailable("off")),
        digest(meter=_PerBatch(1.0)),
        digest(name="another CPU"),
    ]
    assert len({digest(), *others}) == 1 + len(others)
    assert digest(meter=None) == digest(meter=Unavailable("off"))


def test_the_key_is_json_and_its_threads_are_those_that_compute() -> None:
    key = measurement_key(identify(CPU), MeasurementProtocol(threads=3), SHAPE, None)
    assert json.loads(json.dumps(key)) == key
    assert key["device"]["threads"] == 3
    assert key["protocol"]["version"] == 3
    assert (key["runtime"], key["memory_format"]) == ({"name": "eager"}, "channels_last")
    assert list(reversed(key)) != list(key)
    assert key_digest(key) == key_digest({name: key[name] for name in reversed(key)})


def test_the_key_names_the_runtimes_versions() -> None:
    key = measurement_key(identify(CPU), MeasurementProtocol(runtime="onnxruntime"), SHAPE, None)
    assert key["runtime"]["provider"] == "CPUExecutionProvider"
    assert key["runtime"]["onnxruntime"] == version("onnxruntime")
    assert key["memory_format"] == "contiguous"


def test_conditions_and_runtime_are_recorded(model: nn.Module, tmp_path: Path) -> None:
    protocol = MeasurementProtocol.for_search(runtime="onnxruntime")
    found = measure(model, SHAPE, CPU, protocol, None, lock_folder=tmp_path)
    assert found.runtime_details["provider"] == "CPUExecutionProvider"
    assert found.runtime_details["output_difference"] < 1e-4
    assert {"cpu_governor", "cpu_quota", "threads", "load_average", "seconds"} <= found.conditions.keys()
    assert json.loads(json.dumps(found.conditions)) == found.conditions


def test_peak_memory_on_a_cpu_is_parameters_and_activations(model: nn.Module) -> None:
    costs = count_costs(model, SHAPE)
    expected = costs.parameters * 4 + costs.peak_activation_bytes
    for protocol, peak in (
        (MeasurementProtocol(), expected),
        (MeasurementProtocol(precision="bf16"), expected // 2),
        (MeasurementProtocol(batch_size=3), costs.parameters * 4 + 3 * costs.peak_activation_bytes),
    ):
        assert peak_memory_bytes(model, SHAPE, CPU, protocol, costs=costs) == peak
