"""What a study trades off, and what it does not accept: objectives and hard limits. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationInfo
from pydantic_core import PydanticKnownError

if TYPE_CHECKING:
    from osanas.pareto import Direction  # with numpy, which the check of an option is not to wait for

COST_UNITS = {"latency_ms": "ms", "energy_mj": "mJ/image"}
"""The objectives that need no training, less being better, each with its unit."""
LIMITED = (*COST_UNITS, "parameters", "multiply_adds")
"""What limits are about."""


@dataclass(frozen=True)
class Score:
    """The figure by which a task judges networks: higher is better, and 0 is worth nothing.

    Attributes:
        name: As an objective and as a key of JSON documents.
        unit: In words, ``top1`` for instance.
        chance: What a network that knows nothing reaches; no part of what a score is.
    """

    name: str
    unit: str
    chance: float = field(default=0.0, compare=False)


ACCURACY = Score("accuracy", "top1")


def _known(name: str, info: ValidationInfo) -> str:
    score = (info.context or {}).get("score", ACCURACY.name)
    known = (score, *COST_UNITS)
    if name in known:
        return name
    raise PydanticKnownError("literal_error", {"expected": ", ".join(f"'{word}'" for word in known)})


Objective = Annotated[str, AfterValidator(_known)]
"""The name of the task's score or of a cost. The score is accuracy unless the validation's context names another."""


def is_cost(objective: str) -> bool:
    """Whether an objective needs no training."""
    return objective in COST_UNITS


def directions(objectives: Sequence[str]) -> list[Direction]:
    """Which way each objective is better."""
    return ["minimize" if is_cost(name) else "maximize" for name in objectives]


Finite = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Limits(BaseModel):
    """Hard limits: a candidate beyond one is stopped before training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_latency_ms: Finite | None = None
    max_energy_mj: Finite | None = None
    max_parameters: PositiveInt | None = None
    max_multiply_adds: PositiveInt | None = None

    def excess(self, costs: Mapping[str, float | None]) -> dict[str, float]:
        """By how much each limit is exceeded, relative to it: at most 0 is feasible.

        Args:
            costs: ``latency_ms``, ``energy_mj``, ``parameters``, ``multiply_adds`` of a candidate.

        Returns:
            All four keys every time, so that samplers see equal sets; -1 where there is no limit. A limited figure
            that could not be measured counts as exceeded by 1.
        """
        excess = {}
        for name in Limits.model_fields:
            limit = getattr(self, name)
            value = costs[name.removeprefix("max_")]
            if limit is None:
                excess[name] = -1.0
            else:
                excess[name] = 1.0 if value is None else value / limit - 1.0
        return excess

    def broken_by(self, costs: Mapping[str, float | None]) -> str | None:
        """The limits that a candidate breaks in words, or None."""
        broken = [name for name, excess in self.excess(costs).items() if excess > 0]
        if not broken:
            return None
        return ", ".join(_exceeded(name, costs[name.removeprefix("max_")], getattr(self, name)) for name in broken)


def _exceeded(name: str, value: float | None, limit: Any) -> str:
    quantity = name.removeprefix("max_")
    if value is None:
        return f"{quantity} could not be measured, limit {limit:,.6g}"
    return f"{quantity} {value:,.6g} over the limit {limit:,.6g}"
