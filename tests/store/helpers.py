"""Networks, costs and settings of the studies in these tests."""

from __future__ import annotations

from typing import Any

from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace
from osanas.store.leases import Lease
from tests.fakes import SMALL

MEMBERS: list[Architecture] = list(SearchSpace.from_dict(SMALL).enumerate())[:6]
IDENTITY: dict[str, Any] = {"space": {"name": "small"}, "objectives": ["accuracy"], "epochs": 2}
COSTS = {
    "latency_ms": 1.5,
    "energy_mj": None,
    "energy_source": None,
    "measurement_key": "m1:a",
    "parameters": 10,
    "multiply_adds": 2**40,
    "memory_access_elements": 30,
}


def claim(lease: Lease, index: int, trial: int | None, epochs: int = 2) -> int:
    """Claims one of the networks, which nobody has, and returns the number of its evaluation."""
    evaluation, ours = lease.claim(MEMBERS[index], epochs, trial)
    assert ours
    return evaluation.evaluation
