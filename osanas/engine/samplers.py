"""Optuna's samplers on a study in which a candidate may have several trials, one a rung of the ladder."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from osanas.engine.optuna_study import PROMOTED_ATTR, REPEAT_ATTR, distributions
from osanas.strategy.history import History
from osanas.strategy.known_cost import KnownCost
from osanas.study.config import OptunaSampler, StudyConfig


class FirstRungs(Study):
    """A study for a sampler to be asked, without promotions and repeats: it sees one value a candidate.

    That is the value of its first rung.

    Args:
        study: The whole study.
        sampler: It reads trials through the one method below.
    """

    def __init__(self, study: Study, sampler: BaseSampler) -> None:
        vars(self).update(vars(study))  # its storage and caches; the database is not asked again
        self.sampler = sampler

    def _get_trials(
        self,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 - Optuna's own signature
        states: Container[TrialState] | None = None,
        use_cache: bool = False,  # noqa: FBT001, FBT002
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy, states, use_cache)
        return [trial for trial in trials if not trial.user_attrs.keys() & {PROMOTED_ATTR, REPEAT_ATTR}]


@dataclass
class KnownCostSampler(BaseSampler):
    """Proposes what the strategy does. It learns from our tables, not from Optuna's trials."""

    strategy: KnownCost
    history: Callable[[], History]
    seed: int
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)  # noqa: S311 - a draw, not a secret

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """All dimensions of the space."""
        return distributions(self.strategy.features.at)

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """The member expected to be worth most; nothing if none is found."""
        architecture = self.strategy.propose(self.history())
        return {} if architecture is None else dict(self.strategy.features.at.encode(architecture))

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


def make_sampler(name: OptunaSampler, seed: int) -> BaseSampler:
    """One of Optuna's samplers. Constraints reach them through ``Trial.set_constraint``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        match name:
            case "tpe":
                return TPESampler(seed=seed)
            case "nsga2":
                return NSGAIISampler(seed=seed)
            case "gp":
                return GPSampler(seed=seed)
            case "random":
                return RandomSampler(seed=seed)


def study_to_ask(
    study: Study, config: StudyConfig, strategy: KnownCost, history: Callable[[], History], *, older: int
) -> Study:
    """The study with the sampler that its options name, and the trials that this sampler is to see.

    Args:
        study: The whole study.
        config: Its options.
        strategy: Behind the sampler ``known-cost``.
        history: Gives what the strategy decides from.
        older: How many workers began before this one.
    """
    # a seed that differs between runs and workers, since samplers of equal seeds repeat each other
    done = len(study.get_trials(deepcopy=False))
    seed = (config.seed * 1_000_003 + done * 1009 + older) % 2**32
    if config.sampler == "known-cost":
        return FirstRungs(study, KnownCostSampler(strategy, history, seed))
    return FirstRungs(study, make_sampler(config.sampler, seed))
