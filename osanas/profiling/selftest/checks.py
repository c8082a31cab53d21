"""``osanas doctor --selftest``: whether what is measured and trained on this device can be relied on.

Everything runs through the code of a search, on the default data. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from osanas.errors import OsanasError
from osanas.evaluation.network import network_evaluators
from osanas.profiling.selftest import measuring
from osanas.profiling.selftest.check import Check
from osanas.profiling.selftest.training import image_files, training
from osanas.study.config import StudyConfig


def self_test(config: StudyConfig) -> Iterator[Check]:
    """The checks, each as soon as it is done; some minutes in all.

    Args:
        config: Device, energy meter, runtime, precision and threads; of data the default.

    Raises:
        UsageError: Device or meter is unknown or not here.
        EnvironmentFailure: The device is here and does not work.
    """
    measurer, trainer = network_evaluators(config)
    networks = measuring.members(measurer)
    model = measurer.build(networks[0])
    checks: dict[str, Callable[[], Check]] = {
        "repeatability": lambda: measuring.repeatability(measurer, networks),
        "runtimes": lambda: measuring.runtimes(measurer, model),
        "energy": lambda: measuring.energy(measurer, model),
        "meter": lambda: measuring.looks(measurer),
        "memory": lambda: measuring.memory(measurer, model),
        "overflow": lambda: measuring.out_of_memory(measurer, model),
        "training": lambda: training(trainer, networks[0]),
        "files": image_files,
    }
    for name, check in checks.items():
        try:
            found = check()
        except OsanasError as error:
            found = Check(is_sound=False, told=error.problem, fix=error.fix)
        yield replace(found, name=name)
