"""Our way into Optuna: storage, samplers, parameters, and trials that are made or adopted.

Optuna 5 is used through ask and tell. Where a comment names a trap, it was found by running 5.0.0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.exceptions import DuplicatedStudyError, StorageInternalError
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from osanas.arch import Architecture
from osanas.config import OBJECTIVES, Objective, SamplerName
from osanas.errors import EnvironmentFailure, StudyError
from osanas.spaces import SearchSpace
from osanas.store.database import creation_lock, engine_options, masked, tune
from osanas.store.store import Store

ARCHITECTURE_ATTR = "digest"


@contextmanager
def quiet_optuna(store: Store) -> Iterator[None]:
    """Silences Optuna's own log and experimental warnings, and turns its storage errors into ours."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    except StorageInternalError as error:
        cause = error.__cause__ or error
        raise EnvironmentFailure(
            f"The database {masked(store.url)} failed during the search ({' '.join(str(cause).split())[:200]}).",
            "Check that it can be reached and written, then run the same command again: nothing finished is lost.",
        ) from error
    finally:
        optuna.logging.set_verbosity(verbosity)


def make_sampler(name: SamplerName, seed: int) -> BaseSampler:
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


def open_optuna_study(
    store: Store, name: str, objectives: Sequence[Objective], sampler: BaseSampler
) -> optuna.study.Study:
    """Creates or opens the Optuna study of this name in our database.

    Raises:
        StudyError: A study of this name exists with other objectives.
    """
    directions = [
        StudyDirection.MAXIMIZE if OBJECTIVES[o][0] == "maximize" else StudyDirection.MINIMIZE for o in objectives
    ]
    with creation_lock(store.url):
        study = _create(_storage(store), name, directions, sampler)
    if study.directions != directions:
        raise StudyError(
            f"The database {masked(store.url)} holds another Optuna study named '{name}' "
            f"with {len(study.directions)} objectives.",
            "Give this study another name with --study.",
        )
    study.set_metric_names(list(objectives))
    return study


# Two processes that make tables at once fail in several ways; all are over a moment later.
@retry(
    retry=retry_if_exception_type((StorageInternalError, DuplicatedStudyError)),
    wait=wait_random_exponential(0.1, max=2.0),
    stop=stop_after_delay(20),
    reraise=True,
)
def _create(
    storage: RDBStorage, name: str, directions: list[StudyDirection], sampler: BaseSampler
) -> optuna.study.Study:
    return optuna.create_study(
        storage=storage, study_name=name, directions=directions, sampler=sampler, load_if_exists=True
    )


@retry(
    retry=retry_if_exception_type(StorageInternalError),
    wait=wait_random_exponential(0.1, max=2.0),
    stop=stop_after_delay(20),
    reraise=True,
)
def _storage(store: Store) -> RDBStorage:
    storage = RDBStorage(
        store.url.render_as_string(hide_password=False),
        engine_kwargs=engine_options(store.url),
    )
    tune(storage.engine)
    storage.engine.dispose()  # connections opened before `tune` lack its settings
    return storage


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Every dimension as an ordinal: an index into its values."""
    return {dimension.name: IntDistribution(0, len(dimension.values) - 1) for dimension in space.dimensions}


def ask(study: optuna.study.Study, space: SearchSpace) -> tuple[Trial, Architecture]:
    """A new trial from the sampler."""
    trial = study.ask(distributions(space))
    return trial, space.decode(trial.params)


def add_running(
    study: optuna.study.Study,
    space: SearchSpace,
    architecture: Architecture,
    canonical: Callable[[Architecture], Architecture],
) -> Trial:
    """A new RUNNING trial of a given architecture, so that no other worker can pop it as it could a WAITING one."""
    digest = architecture.digest
    study.add_trial(
        create_trial(
            state=TrialState.RUNNING,
            params=space.encode(architecture, canonical),
            distributions=distributions(space),
            user_attrs={ARCHITECTURE_ATTR: digest},
        )
    )
    found = find_running(study, digest)
    if found is None:
        raise EnvironmentFailure(
            f"The trial just added for {digest} is not in the database.", "Run the same command again."
        )
    return found


def running(study: optuna.study.Study) -> list[FrozenTrial]:
    """The unfinished trials."""
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def find_running(study: optuna.study.Study, digest: str) -> Trial | None:
    """The newest unfinished trial that was added for a network."""
    for frozen in reversed(running(study)):
        if frozen.user_attrs.get(ARCHITECTURE_ATTR) == digest:
            return adopt_trial(study, frozen)
    return None


def adopt_trial(study: optuna.study.Study, frozen: FrozenTrial) -> Trial:
    """A handle on an unfinished trial that another process began. The sampler is not called."""
    return Trial(study, frozen._trial_id)


def decode(space: SearchSpace, frozen: FrozenTrial) -> Architecture | None:
    """The architecture of a trial, or None if it was cut off before all its parameters were stored."""
    if set(frozen.params) != {dimension.name for dimension in space.dimensions}:
        return None
    return space.decode(frozen.params)


def tell(
    study: optuna.study.Study,
    trial: Trial,
    *,
    values: Sequence[float] | None,
    excess: Mapping[str, float],
    notes: Mapping[str, Any],
) -> None:
    """Ends a trial: COMPLETE with values, or FAIL without.

    A candidate over a limit is told COMPLETE with a positive constraint, since GP and NSGA-II learn nothing from a
    PRUNED one. Constraints come first: after ``tell`` they are refused. A trial that is finished already stays so.
    """
    stored = study.get_trials(deepcopy=False)[trial.number]
    if stored.state.is_finished():
        return
    if values is not None:
        for key, value in excess.items():
            if key not in stored.constraints:  # the first value stays, a second only warns
                trial.set_constraint(key, value)
    for key, note in notes.items():
        trial.set_user_attr(key, note)
    if values is None:
        study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
    else:
        study.tell(trial, list(values), skip_if_finished=True)
