from __future__ import annotations

import pytest
import torch

from osanas.errors import Unavailable, UsageError
from osanas.machine.device import identify
from osanas.measure.energy.estimate import EstimateMeter
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.setup import set_up

CPU = torch.device("cpu")
PROTOCOL = MeasurementProtocol.for_search(batch_size=2)


def test_what_the_user_named_is_made_ready() -> None:
    setup = set_up("cpu", "auto", "estimated", PROTOCOL)
    assert (setup.device, setup.identity) == (CPU, identify(CPU))
    assert isinstance(setup.meter, EstimateMeter)
    assert setup.energy_source == "estimated"
    assert setup.protocol == PROTOCOL  # on a CPU, auto is eager


def test_the_runtime_takes_the_place_of_the_protocol_s() -> None:
    protocol = PROTOCOL.model_copy(update={"runtime": "compile"})
    assert set_up("cpu", "eager", "none", protocol).protocol == PROTOCOL


def test_without_a_meter_there_is_a_reason() -> None:
    setup = set_up("cpu", "eager", "none", PROTOCOL)
    assert setup.meter == Unavailable("energy is not measured (--energy none)")
    assert setup.energy_source is None


def test_the_device_is_identified_with_the_protocol_s_threads_and_the_process_keeps_its_own() -> None:
    before = torch.get_num_threads()
    setup = set_up("cpu", "eager", "estimated", PROTOCOL.model_copy(update={"threads": before + 1}))
    assert (setup.identity.threads, torch.get_num_threads()) == (before + 1, before)
    assert isinstance(setup.meter, EstimateMeter)
    assert setup.meter.describe() == EstimateMeter("cpu", before + 1).describe()
    assert setup.meter.describe() != EstimateMeter("cpu", before).describe()
    assert set_up("cpu", "eager", "none", PROTOCOL).identity.threads == before  # none named: as they are


@pytest.mark.parametrize(
    ("device", "runtime", "energy", "precision", "message"),
    [
        ("gpu", "eager", "none", "fp32", "Unknown device 'gpu'"),
        ("cpu", "eagre", "none", "fp32", "Unknown runtime 'eagre'"),
        ("cpu", "cudagraph", "none", "fp32", "CUDA graphs need a GPU"),
        ("cpu", "eager", "solar", "fp32", "Unknown energy meter 'solar'"),
        ("cpu", "eager", "none", "fp16", "fp16"),
    ],
)
def test_what_cannot_be_had_is_refused(device: str, runtime: str, energy: str, precision: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        set_up(device, runtime, energy, PROTOCOL.model_copy(update={"precision": precision}))
