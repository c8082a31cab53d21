"""``osanas.search``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from osanas.engine import optuna_study as adapter
from osanas.engine.companions import Companions, Order
from osanas.engine.next_step import Patience
from osanas.engine.remeasure import Question
from osanas.engine.worker import Worker
from osanas.errors import UsageError
from osanas.evaluation.evaluator import Measurer, Trainer
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.results.places import storage_url, study_folder
from osanas.results.study import StudyView
from osanas.store.leases import Pace
from osanas.store.store import Store
from osanas.study.config import SamplerName, StudyConfig, difference, overridden
from osanas.study.events import Announcer, CandidateDone, Event, Listener, Note
from osanas.study.identity import study_identity
from osanas.study.records import Candidate
from osanas.validation import validate


def search(
    space: str | Path | Mapping[str, Any] | SearchSpace | None = None,
    trials: int | None = None,
    *,
    config: StudyConfig | None = None,
    measurer: Measurer | None = None,
    trainer: Trainer | None = None,
    storage: str | None = None,
    study: str | None = None,
    data: str | None = None,
    sampler: SamplerName | None = None,
    objectives: Sequence[str] | None = None,
    epochs: int | None = None,
    rungs: Sequence[int] | None = None,
    seed: int | None = None,
    confirm: int | None = None,
    remeasure: bool | None = None,
    on_candidate: Callable[[Candidate], None] | None = None,
) -> StudyView:
    """Runs or continues a study, in this process and further ones beside it (``StudyConfig.workers``).

    Args:
        space: A space by name, file, document or object.
        trials: Distinct trained candidates that the study should reach.
        config: All other options; the arguments given here go before it.
        measurer: Says what networks cost, instead of measuring them on this device.
        trainer: Says what networks reach, instead of training them on this device.
        storage: A database URL; None is an SQLite file in ``studies/<study>/``.
        study: Its name; None is ``<space>-<data>``.
        data: What ``--data`` names.
        sampler: ``known-cost`` or one of Optuna's: ``tpe``, ``nsga2``, ``gp``, ``random``.
        objectives: Any of the score (``accuracy``), ``latency_ms`` and ``energy_mj``; None is all that can be had.
        epochs: The highest rung of the ladder, in place of ``rungs``; each lower one has half of it, down to a quarter.
        rungs: Rising numbers of epochs: every candidate is trained to the first, the promising ones to the next.
        seed: Of sampling and training.
        confirm: Times that each member of the final front is trained again with another seed; 0 repeats no training.
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
        "confirm": confirm,
        "space": None if loaded is None else loaded.name,
    }
    base = (config or StudyConfig()).to_dict()
    options = overridden(base, {key: value for key, value in given.items() if value is not None})
    context = None if trainer is None else {"score": trainer.score.name}
    complete = validate(StudyConfig, options, "The arguments of search()", context=context)

    def listener(event: Event) -> None:
        if on_candidate is not None and isinstance(event, CandidateDone):
            on_candidate(event.candidate)

    return run_search(
        complete,
        storage=storage,
        listener=listener,
        space=loaded,
        measurer=measurer,
        trainer=trainer,
        remeasure=remeasure,
    )


def run_search(
    config: StudyConfig,
    *,
    storage: str | None,
    listener: Listener,
    space: SearchSpace | None = None,
    measurer: Measurer | None = None,
    trainer: Trainer | None = None,
    remeasure: bool | None = None,
    ask: Question | None = None,
    pace: Pace | None = None,
    patience: Patience | None = None,
    is_companion: bool = False,
    until: float | None = None,
) -> StudyView:
    """As ``search``, with a complete configuration and a listener for every event.

    Args:
        config: All options.
        storage: As for ``search``.
        listener: Told of everything that happens.
        space: Instead of the configuration's.
        measurer: As for ``search``.
        trainer: As for ``search``.
        remeasure: As for ``search``.
        ask: For a question to the user; None where nobody can answer.
        pace: How often a worker looks, and how long it waits.
        patience: With duplicates, failures and candidates over a limit in a row.
        is_companion: Whether another process has begun this search and ends it.
        until: When no candidate is begun any more, in seconds since 1970; None is by the configuration's ``timeout``.
    """
    is_ours = measurer is None and trainer is None
    chosen_space = space or SearchSpace.load(config.space)
    threads = _torch_threads() if is_ours else 1
    measurer, trainer = evaluators(config, measurer, trainer)  # before a database: what is refused leaves no study
    objectives = config.chosen_objectives(trainer.score)
    identity = study_identity(
        chosen_space.to_dict(), objectives, config.rungs, trainer.score, trainer.identity(), measurer.identity()
    )
    count = 0 if is_companion else workers_at_once(config, measurer, is_ours=is_ours) - 1
    order = Order.of(config, storage, chosen_space, threads)
    name, pace = config.name, pace or Pace()
    store = Store.open(storage_url(name, storage), create=True, patience_s=pace.database_s)
    try:
        before = store.known_device(name)
        keys = measurer.keys()
        record = store.register_study(
            name,
            identity,
            config,
            measurer.device(),
            search_key=keys.search.digest,
            final_key=keys.final.digest,
        )
        if before is not None:
            for line in difference(before, measurer.device()):
                listener(Note(f"Device or software has changed ({line}): figures of before and after may differ."))
        with adapter.optuna_study(store, name, objectives) as study, Companions(order, count) as companions:
            worker = Worker(
                store=store,
                record=record,
                study=study,
                at=SpaceAt(chosen_space, measurer.shape()),
                measurer=measurer,
                trainer=trainer,
                folder=study_folder(name),
                announcer=Announcer(listener),
                remeasure=remeasure,
                ask=ask,
                pace=pace,
                patience=patience or Patience(),
                companions=companions,
                is_companion=is_companion,
                time_left_s=config.timeout if until is None else until - time.time(),
            )
            worker.run()
        return StudyView(store, name)
    except BaseException:
        store.close()
        raise


def evaluators(
    config: StudyConfig, measurer: Measurer | None = None, trainer: Trainer | None = None
) -> tuple[Measurer, Trainer]:
    """Those given, otherwise who measures and trains networks on this device.

    Raises:
        UsageError: Data, device, meter, recipe or resolution is wrong.
        EnvironmentFailure: The device or the meter is here and does not work.
    """
    if measurer is not None and trainer is not None:
        return measurer, trainer
    from osanas.evaluation.network import network_evaluators  # imports torch and Lightning

    if measurer is not None or trainer is not None:
        config = config.model_copy(update={"workers": 1})  # they serve this process, which has the machine to itself
    ours = network_evaluators(config)
    return measurer or ours[0], trainer or ours[1]


def workers_at_once(config: StudyConfig, measurer: Measurer, *, is_ours: bool) -> int:
    """How many processes a search starts, this one included.

    Args:
        config: Its options.
        measurer: Who measures.
        is_ours: Whether measurer and trainer are those of networks on this device, which every process can make.

    Raises:
        UsageError: Several are asked for beside a measurer or trainer of the user's own.
    """
    if is_ours:
        from osanas.machine.sharing import worker_count  # imports torch

        return worker_count(config.workers, measurer.device()["kind"])
    if (config.workers or 1) > 1:
        raise UsageError(
            f"{config.workers} workers were asked for, but a measurer or trainer of your own serves one process.",
            "Leave out 'workers', or call search() in several processes.",
        )
    return 1


def _load_space(space: str | Path | Mapping[str, Any] | SearchSpace | None) -> SearchSpace | None:
    if space is None or isinstance(space, SearchSpace):
        return space
    if isinstance(space, Mapping):
        return SearchSpace.from_dict(dict(space), "space")
    return SearchSpace.load(str(space))


def _torch_threads() -> int:
    import torch

    return torch.get_num_threads()
