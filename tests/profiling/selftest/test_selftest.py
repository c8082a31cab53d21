from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from torch import nn

from osanas.cli.render.doctor import print_check
from osanas.evaluation.measurer import NetworkMeasurer
from osanas.evaluation.network import network_evaluators
from osanas.measure.energy.meter import EnergyMeter, EnergyReading, EnergySource, Load
from osanas.measure.protocol import MeasurementProtocol
from osanas.profiling.selftest import measuring
from osanas.profiling.selftest.check import Check
from osanas.study.config import StudyConfig


@pytest.fixture(scope="module")
def measurer() -> NetworkMeasurer:
    options = {"space": "tiny", "data": "digits", "device": "cpu", "threads": 1, "energy": "none"}
    return network_evaluators(StudyConfig.model_validate(options))[0]


@pytest.fixture
def network(measurer: NetworkMeasurer) -> nn.Module:
    return measurer.build(measuring.members(measurer)[0])


@dataclass
class Meter(EnergyMeter):
    """Shows what ``joules`` makes of a load."""

    joules: Callable[[Load], float]
    source: ClassVar[EnergySource] = "rapl"

    @property
    def method(self) -> str:
        return "counter"

    def describe(self) -> dict[str, Any]:
        return {"source": self.source}

    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        load.launch(1)()
        return EnergyReading(self.source, self.method, self.joules(load), 50.0, 20.0)


def _metered(measurer: NetworkMeasurer, joules: Callable[[Load], float]) -> NetworkMeasurer:
    return replace(measurer, setup=replace(measurer.setup, meter=Meter(joules)))


def test_a_meter_is_checked_against_itself(measurer: NetworkMeasurer, network: nn.Module) -> None:
    sound = measuring.energy(_metered(measurer, lambda load: 30 * load.iteration_seconds), network)
    assert sound.is_sound
    assert sound.figures["ratio_of_twice"] == pytest.approx(2.0)
    assert "twice the work takes 2.00 times the energy" in sound.told
    deaf = measuring.energy(_metered(measurer, lambda load: 0.01), network)
    assert deaf.is_sound is False
    assert deaf.fix is not None
    assert "twice the work takes 1.00 times" in deaf.told


def test_without_a_meter_energy_is_not_known(measurer: NetworkMeasurer, network: nn.Module) -> None:
    assert measuring.energy(measurer, network).is_sound is None
    assert measuring.looks(measurer).is_sound is None
    read = measuring.looks(_metered(measurer, lambda load: 0.01))
    assert read.is_sound
    assert len(read.figures["reads_ms"]) == 100


def test_memory_that_grows_is_told(
    measurer: NetworkMeasurer, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_BUILDS", 2)
    used = iter([1000.0, 1010.0, 1000.0, 1100.0])
    monkeypatch.setattr(measuring, "_used_mib", lambda device: next(used))
    assert measuring.memory(measurer, network).is_sound
    grown = measuring.memory(measurer, network)
    assert (grown.is_sound, grown.figures["growth_mib"]) == (False, 100.0)
    assert "+100 MiB after a network was made ready 2 times (eager)" in grown.told


def test_what_does_not_fit_is_refused_and_the_next_one_runs(measurer: NetworkMeasurer, network: nn.Module) -> None:
    assert measuring.out_of_memory(measurer, network).is_sound


def test_the_networks_differ_in_size(measurer: NetworkMeasurer) -> None:
    members = measuring.members(measurer)
    assert len({member.digest for member in members}) == 5


def test_a_check_is_told_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    print_check(Check(is_sound=False, told="+100 MiB", fix="Report it.", name="memory").to_dict())
    print_check(Check(is_sound=None, told="there is no meter to read", name="meter").to_dict())
    assert capsys.readouterr().out.splitlines() == [
        "NOT SOUND  memory: +100 MiB",
        "             Report it.",
        "not known  meter: there is no meter to read",
    ]
