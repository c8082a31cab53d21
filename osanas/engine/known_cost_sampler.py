"""The known-cost strategy as a sampler of Optuna."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from osanas.engine.optuna_study import distributions
from osanas.strategy.history import History
from osanas.strategy.known_cost import KnownCost, Price


@dataclass
class KnownCostSampler(BaseSampler):
    """Proposes what the strategy does. It learns from our tables, not from Optuna's trials.

    Attributes:
        history: Reads what is known of the study now.
        price: Measures a member without training it.
        seed: Of what is drawn where the strategy finds no member.
    """

    strategy: KnownCost
    history: Callable[[], History]
    price: Price
    seed: int
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)  # noqa: S311 - a draw, not a secret

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """All dimensions of the space."""
        return distributions(self.strategy.features.space)

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """The member expected to be worth most; nothing if none is found."""
        architecture = self.strategy.propose(self.history(), self.price)
        features = self.strategy.features
        return {} if architecture is None else dict(features.space.encode(architecture, features.canonical))

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,  # noqa: ARG002
        param_distribution: BaseDistribution,
    ) -> Any:
        """Any value."""
        assert isinstance(param_distribution, IntDistribution)
        return self._rng.randint(param_distribution.low, param_distribution.high)
