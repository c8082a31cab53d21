"""Optuna's samplers on a study in which a candidate may have several trials, one a rung of the ladder."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from osanas.engine.optuna_study import PROMOTED_ATTR


class FirstRungs(BaseSampler):
    """Another sampler, from which promotions are hidden: it sees one value a candidate, that of its first rung.

    Args:
        inner: The sampler.
    """

    def __init__(self, inner: BaseSampler) -> None:
        self._inner = inner

    def reseed_rng(self) -> None:
        """As the sampler does."""
        self._inner.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the sampler does."""
        return self._inner.infer_relative_search_space(_WithoutPromotions(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler does."""
        return self._inner.sample_relative(_WithoutPromotions(study), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the sampler does."""
        return self._inner.sample_independent(_WithoutPromotions(study), trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """As the sampler does."""
        if PROMOTED_ATTR not in trial.user_attrs:
            self._inner.before_trial(_WithoutPromotions(study), trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """As the sampler does."""
        if PROMOTED_ATTR not in trial.user_attrs:
            self._inner.after_trial(_WithoutPromotions(study), trial, state, values)


class _WithoutPromotions(Study):
    """A study as it would be without promotions. Samplers read trials through this one method."""

    def __init__(self, study: Study) -> None:
        vars(self).update(vars(study))  # its storage and caches; the database is not asked again

    def _get_trials(
        self,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 - Optuna's own signature
        states: Container[TrialState] | None = None,
        use_cache: bool = False,  # noqa: FBT001, FBT002
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy, states, use_cache)
        return [trial for trial in trials if PROMOTED_ATTR not in trial.user_attrs]
