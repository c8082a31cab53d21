"""``osanas.search``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from osanas.engine import optuna_study as adapter
from osanas.engine.remeasure import Ask
from osanas.engine.worker import Worker
from osanas.errors import UsageError
from osanas.evaluation.evaluator import Evaluator
from osanas.genotype.space import SearchSpace
from osanas.results.places import storage_url, study_folder
from osanas.results.study import StudyView
from osanas.store.store import Store
from osanas.study.config import Objective, SamplerName, StudyConfig, difference, overridden
from osanas.study.events import CandidateDone, Event, Listener, Note
from osanas.study.records import Candidate
from osanas.validation import validate


def search(
    space: str | Path | Mapping[str, Any] | SearchSpace | None = None,
    trials: int | None = None,
    *,
    config: StudyConfig | None = None,
    evaluator: Evaluator | None = None,
    storage: str | None = None,
    study: str | None = None,
    data: str | None = None,
    sampler: SamplerName | None = None,
    objectives: Sequence[Objective] | None = None,
    epochs: int | None = None,
    rungs: Sequence[int] | None = None,
    seed: int | None = None,
    remeasure: bool | None = None,
    on_candidate: Callable[[Candidate], None] | None = None,
) -> StudyView:
    """Runs or continues a study, in this process.

    Args:
        space: A space by name, file, document or object.
        trials: Distinct trained candidates that the study should reach.
        config: All other options; the arguments given here go before it.
        sampler: ``known-cost`` or one of Optuna's: ``tpe``, ``nsga2``, ``gp``, ``random``.
        epochs: The highest rung of the ladder, in place of ``rungs``; each lower one has a third of it.
        rungs: Rising numbers of epochs: every candidate is trained to the first, the promising ones to the next.
        evaluator: Instead of training and measuring networks, anything that answers for an architecture.
        storage: A database URL; None is an SQLite file in ``studies/<study>/``.
        remeasure: Whether the front of candidates measured under another key (another driver, say) is measured again.
        on_candidate: Called after each trial.

    Returns:
        The study, with ``pareto()``, ``candidates()`` and ``to_dataframe()``.

    Raises:
        UsageError: Something given is wrong (``ConfigError`` and others).
        EnvironmentFailure: Device, meter or database failed; the same call resumes.
        SearchFailed: It ended without what was asked for.
    """
    loaded = _load_space(space)
    given: dict[str, Any] = {
        "trials": trials,
        "study": study,
        "data": data,
        "sampler": sampler,
        "objectives": None if objectives is None else list(objectives),
        "epochs": epochs,
        "rungs": None if rungs is None else list(rungs),
        "seed": seed,
        "space": None if loaded is None else loaded.name,
    }
    base = (config or StudyConfig()).to_dict()
    options = overridden(base, {key: value for key, value in given.items() if value is not None})
    complete = validate(StudyConfig, options, "The arguments of search()")

    def listener(event: Event) -> None:
        if on_candidate is not None and isinstance(event, CandidateDone):
            on_candidate(event.candidate)

    return run_search(
        complete, storage=storage, listener=listener, space=loaded, evaluator=evaluator, remeasure=remeasure
    )


def run_search(
    config: StudyConfig,
    *,
    storage: str | None,
    listener: Listener,
    space: SearchSpace | None = None,
    evaluator: Evaluator | None = None,
    remeasure: bool | None = None,
    ask: Ask | None = None,
) -> StudyView:
    """As ``search``, with a complete configuration, a listener for every event and a way to ask the user."""
    chosen = config.chosen_objectives()
    space = space or SearchSpace.load(config.space)
    name = config.name
    evaluator = evaluator or _network_evaluator(config)  # before a database: what it refuses leaves no study behind
    identity = study_identity(config, space, evaluator, chosen)
    store = Store.open(storage_url(name, storage), create=True)
    try:
        before = store.known_device(name)
        keys = evaluator.keys()
        record = store.register_study(
            name, identity, config, evaluator.device(), search_key=keys.search, final_key=keys.final
        )
        if before is not None:
            for line in difference(before, evaluator.device()):
                listener(Note(f"Device or software has changed ({line}): figures of before and after may differ."))
        with adapter.optuna_study(store, name, chosen) as study:
            worker = Worker(
                store=store,
                record=record,
                study=study,
                space=space,
                evaluator=evaluator,
                config=config,
                objectives=chosen,
                folder=study_folder(name),
                listener=listener,
                remeasure=remeasure,
                ask=ask,
            )
            worker.run()
        return StudyView(store, name)
    except BaseException:
        store.close()
        raise


def study_identity(
    config: StudyConfig, space: SearchSpace, evaluator: Evaluator, objectives: Sequence[Objective]
) -> dict[str, Any]:
    """What may not change when a study resumes, as JSON, but that rungs may be added at the end.

    Sampler, limits, trials and timeout may change.
    """
    found = evaluator.identity()
    if "energy_mj" in objectives and found["energy_source"] is None:
        raise UsageError(
            "Energy is an objective, but there is no meter and no estimate.",
            "Choose another --energy, or leave energy_mj out of --objectives.",
        )
    return {"space": space.to_dict(), "objectives": list(objectives), "rungs": list(config.rungs), **found}


def _load_space(space: str | Path | Mapping[str, Any] | SearchSpace | None) -> SearchSpace | None:
    if space is None or isinstance(space, SearchSpace):
        return space
    if isinstance(space, Mapping):
        return SearchSpace.from_dict(dict(space), "space")
    return SearchSpace.load(str(space))


def _network_evaluator(config: StudyConfig) -> Evaluator:
    from osanas.evaluation.network import network_evaluator  # imports torch and Lightning

    return network_evaluator(config)
