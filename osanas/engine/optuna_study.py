"""Our way into Optuna: storage, samplers, parameters, and trials that are made or adopted.

Optuna 5 is used through ask and tell. Where a comment names a trap, it was found by running 5.0.0.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from osanas.errors import EnvironmentFailure, StudyError, UsageError
from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.store.database import (
    creation_lock,
    database_errors,
    database_failure,
    engine_options,
    masked,
    tune,
)
from osanas.store.store import Store
from osanas.study.objectives import is_cost

ARCHITECTURE_ATTR = "digest"
EPOCHS_ATTR = "epochs"
PROMOTED_ATTR = "promoted_from"
"""On promotions alone: the trial whose training they go on with."""
REPEAT_ATTR = "repeat"
"""On repeated trainings alone: which one of its candidate it is, from 1."""
OWNER_ATTR = "made_by"
_NO_NEWS = ("The constraint value is ignored", "Fixed parameter")
"""Warnings of several workers that tell one result, and of an enqueued trial that is then refused with a reason."""


@contextmanager
def optuna_study(store: Store, name: str, objectives: Sequence[str]) -> Iterator[optuna.study.Study]:
    """Creates or opens the Optuna study of this name in our database, with Optuna's own log silenced meanwhile.

    Raises:
        StudyError: The name is that of an Optuna study of another program, or Optuna's tables are of another version.
        EnvironmentFailure: The database failed, here or in the body of the ``with`` statement.
    """
    with _quiet(), _storage_errors(store):
        with creation_lock(store.engine):
            storage = _storage(store)
            study = _open(storage, store, name, objectives)
        try:
            yield study
        finally:
            storage.remove_session()
            storage.engine.dispose()


@contextmanager
def _quiet() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
            for message in _NO_NEWS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


@contextmanager
def _storage_errors(store: Store) -> Iterator[None]:
    """Turns errors of Optuna's storage, wrapped by it or not, into ours."""
    try:
        with database_errors(store.url):
            yield
    except StorageInternalError as error:
        raise database_failure(store.url, error.__cause__ or error) from error


def _open(storage: RDBStorage, store: Store, name: str, objectives: Sequence[str]) -> optuna.study.Study:
    wanted = [StudyDirection.MINIMIZE if is_cost(objective) else StudyDirection.MAXIMIZE for objective in objectives]
    study = optuna.create_study(storage=storage, study_name=name, directions=wanted, load_if_exists=True)
    ours = OWNER_ATTR in study.user_attrs
    if study.directions != wanted or (not ours and study.get_trials(deepcopy=False)):
        raise StudyError(
            f"The database {masked(store.url)} holds another program's Optuna study named '{name}'.",
            "Give this study another name with --study.",
        )
    if not ours:
        study.set_user_attr(OWNER_ATTR, "osanas")
        study.set_metric_names(list(objectives))
    return study


def _storage(store: Store) -> RDBStorage:
    try:
        storage = RDBStorage(
            store.url.render_as_string(hide_password=False),
            engine_kwargs=engine_options(store.url),
        )
    except RuntimeError as error:
        raise StudyError(
            f"Optuna's tables in the database {masked(store.url)} are of another version ({error}).",
            "Use the Optuna that made them, or start a new study.",
        ) from error
    tune(storage.engine)
    storage.engine.dispose()  # connections opened before `tune` lack its settings
    return storage


def distributions(at: SpaceAt) -> dict[str, BaseDistribution]:
    """Every dimension as an ordinal: an index into its values."""
    return {dimension.name: IntDistribution(0, len(dimension.values) - 1) for dimension in at.dimensions}


def ask(study: optuna.study.Study, at: SpaceAt) -> Trial:
    """A new trial from the sampler, or one that a user has enqueued."""
    return study.ask(distributions(at))


def add_running(
    study: optuna.study.Study,
    at: SpaceAt,
    architecture: Architecture,
    *,
    epochs: int,
    promoted_from: int | None = None,
    repeat: int = 0,
) -> Trial:
    """A new RUNNING trial of a given architecture, so that no other worker can pop it as it could a WAITING one.

    Args:
        epochs: To which it is trained.
        promoted_from: The trial whose training it goes on with.
        repeat: Which of the candidate's trainings to these epochs it is; 0 is its own.
    """
    digest = architecture.digest
    repeated = {REPEAT_ATTR: repeat} if repeat else {}
    promotion = {} if promoted_from is None else {PROMOTED_ATTR: promoted_from}
    study.add_trial(
        create_trial(
            state=TrialState.RUNNING,
            params=at.encode(architecture),
            distributions=distributions(at),
            user_attrs={ARCHITECTURE_ATTR: digest, EPOCHS_ATTR: epochs, **promotion, **repeated},
        )
    )
    found = find_running(study, digest, epochs, repeat)
    if found is None:
        raise EnvironmentFailure(
            f"The trial just added for {digest} is not in the database.", "Run the same command again."
        )
    return found


def running(study: optuna.study.Study) -> list[FrozenTrial]:
    """The unfinished trials."""
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def find_running(study: optuna.study.Study, digest: str, epochs: int, repeat: int = 0) -> Trial | None:
    """The newest unfinished trial that was added for a network at a rung, or for a repeat of it."""
    for frozen in reversed(running(study)):
        if added_for(frozen) == (digest, epochs, repeat):
            return adopt_trial(study, frozen)
    return None


def added_for(frozen: FrozenTrial) -> tuple[str | None, int | None, int]:
    """Digest, epochs and repeat of the evaluation that a trial was added for; no digest if a sampler proposed it."""
    attributes = frozen.user_attrs
    return attributes.get(ARCHITECTURE_ATTR), attributes.get(EPOCHS_ATTR), attributes.get(REPEAT_ATTR, 0)


def by_number(study: optuna.study.Study, number: int) -> FrozenTrial:
    """A trial by its number."""
    return study.get_trials(deepcopy=False)[number]


def adopt_trial(study: optuna.study.Study, frozen: FrozenTrial) -> Trial:
    """A handle on an unfinished trial that another process began. The sampler is not called."""
    return Trial(study, frozen._trial_id)


def decode(at: SpaceAt, params: Mapping[str, Any]) -> Architecture | None:
    """The architecture of a trial's parameters.

    Returns:
        None if the trial was cut off before all were stored, or enqueued with values that Optuna does not check.
    """
    try:
        return at.decode(params)
    except (UsageError, TypeError):
        return None


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
    PRUNED one. Constraints come first: after ``tell`` they are refused. A trial that is finished already stays so:
    several workers may tell one stored result.
    """
    stored = by_number(study, trial.number)
    if stored.state.is_finished():
        return
    with suppress(UpdateFinishedTrialError):
        for key, value in excess.items() if values is not None else ():
            if key not in stored.constraints:  # the first value stays, a second only warns
                trial.set_constraint(key, value)
        for key, note in notes.items():
            trial.set_user_attr(key, note)
        state = TrialState.FAIL if values is None else TrialState.COMPLETE
        study.tell(trial, values, state, skip_if_finished=True)
