"""A history of members of the space `vovnet_slim`, with scores and costs that follow their structure."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence

from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.strategy.features import Features
from osanas.strategy.history import CandidateState, History
from osanas.study.objectives import Limits

SHAPE = NetworkShape(resolution=14, in_channels=1, num_classes=10, stem_reduction=1)
SPACE = SearchSpace.load("vovnet_slim")
AT = SpaceAt(SPACE, SHAPE)
FEATURES = Features(AT)
OBJECTIVES: tuple[str, ...] = ("accuracy", "latency_ms")


def members(count: int, seed: int = 0) -> list[Architecture]:
    rng, found = random.Random(seed), dict[str, Architecture]()
    while len(found) < count:
        member = AT.sample(rng)
        found.setdefault(member.digest, member)
    return list(found.values())


def costs(member: Architecture) -> dict[str, float | None]:
    found = AT.costs(member)
    layers = sum(stage.modules * (stage.layers + 1) for stage in member.stages)
    return {
        "latency_ms": 0.02 * layers + found.multiply_adds * 1e-8 + found.memory_access_elements * 2e-8,
        "energy_mj": found.multiply_adds * 1e-7 + 0.01,
        "parameters": found.parameters,
        "multiply_adds": found.multiply_adds,
    }


def accuracy(member: Architecture, epochs: int) -> float:
    """Grows with width, with epochs, and a little less with depth; no noise."""
    width = math.log(sum(stage.conv_channels for stage in member.stages))
    depth = sum(stage.layers for stage in member.stages)
    final = 0.6 + 0.05 * width - 0.002 * abs(depth - 9)
    return final - 0.3 * (1 + 0.02 * depth) / (1 + epochs)


def seen(
    member: Architecture, rungs: Iterable[int], *, running: int | None = None, closed: bool = False
) -> CandidateState:
    reached = list(rungs)
    return CandidateState(
        digest=member.digest,
        architecture=member,
        costs=costs(member),
        scores={epochs: accuracy(member, epochs) for epochs in reached},
        losses={epochs: 1.0 - accuracy(member, epochs) for epochs in reached},
        running=running,
        is_closed=closed,
    )


def history(
    known: Sequence[CandidateState],
    rungs: tuple[int, ...] = (1, 3, 9),
    limits: Limits | None = None,
    objectives: tuple[str, ...] = OBJECTIVES,
) -> History:
    return History(rungs, objectives, limits or Limits(), tuple(known))
