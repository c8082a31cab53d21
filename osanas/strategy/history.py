"""What is known of a study, as the strategy sees it: plain data, from any evaluator and any storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from osanas.genotype.architecture import Architecture
from osanas.study.config import Limits, Objective


@dataclass(frozen=True)
class Seen:
    """A candidate that has been proposed.

    Attributes:
        architecture: In canonical form.
        costs: ``latency_ms``, ``energy_mj``, ``parameters``, ``multiply_adds``; None or missing where not known (yet).
        accuracies: Validation accuracy, 0 to 1, after each number of epochs to which it was trained (the rungs).
        losses: Mean training loss of the last epoch before each of them, where it is told: it ranks young networks
            better than their accuracy does.
        running: Epochs to which it is being trained now; None if it is not.
        is_closed: Whether it is over a limit or failed: it is never trained again.
    """

    digest: str
    architecture: Architecture
    costs: Mapping[str, float | None]
    accuracies: Mapping[int, float] = field(default_factory=dict)
    losses: Mapping[int, float] = field(default_factory=dict)
    running: int | None = None
    is_closed: bool = False

    @property
    def epochs(self) -> int:
        """Epochs behind its latest accuracy; 0 without one."""
        return max(self.accuracies, default=0)


@dataclass(frozen=True)
class History:
    """A study's candidates and what is asked of them.

    Attributes:
        rungs: Rising numbers of epochs; the last is full training.
        objectives: Of the study.
        limits: Its hard limits.
        seen: Every candidate, in the order of their proposals.
    """

    rungs: tuple[int, ...]
    objectives: tuple[Objective, ...]
    limits: Limits
    seen: Sequence[Seen]

    @property
    def cost_objectives(self) -> tuple[str, ...]:
        """The objectives that need no training."""
        return tuple(name for name in self.objectives if name != "accuracy")

    def cost_values(self, seen: Seen) -> tuple[float, ...] | None:
        """Its values of the cost objectives; None if one is not known."""
        values = [seen.costs.get(name) for name in self.cost_objectives]
        known = tuple(float(value) for value in values if value is not None)
        return known if len(known) == len(values) else None
