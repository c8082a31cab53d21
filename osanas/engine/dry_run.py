"""What a search would do and what one candidate costs, without storing anything."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from osanas.config import StudyConfig
from osanas.engine.api import study_identity
from osanas.evaluation.network import network_evaluator
from osanas.spaces import SearchSpace
from osanas.store.database import masked, parse_url
from osanas.store.places import storage_url


def dry_run(config: StudyConfig, storage: str | None = None) -> dict[str, Any]:
    """Measures one sample candidate and trains it for one epoch.

    The sample is the space's first starting point, or its smallest member if it has none.

    Returns:
        ``search`` (what would run), ``sample`` (the candidate and its figures), ``notes``.
    """
    space = SearchSpace.load(config.space)
    objectives = config.chosen_objectives()
    evaluator = network_evaluator(config)
    identity = study_identity(config, space, evaluator, objectives)
    label, architecture = space.start_from[0] if space.start_from else ("smallest member", space.smallest())
    architecture = evaluator.canonical(architecture)
    started = time.perf_counter()
    costs = evaluator.measure(architecture)
    measuring_s = time.perf_counter() - started
    started = time.perf_counter()
    evaluator.train(architecture, epochs=1, checkpoint=None, on_epoch=lambda _: None, should_stop=lambda: False)
    epoch_s = time.perf_counter() - started
    figures = {
        **{
            key: value
            for key, value in asdict(costs).items()
            if key not in {"energy_source", "notes", "measurement_key"}
        },
        "measuring_s": measuring_s,
        "training_s_per_epoch": epoch_s,
        "training_s": epoch_s * config.epochs,
    }
    total_min = (measuring_s + epoch_s * config.epochs) * config.trials / 60
    notes = [f"As many candidates of this cost as there are trials would take about {total_min:,.2g} minutes."]
    broken = config.limits.broken_by({key: figures[key] for key in _LIMITED})
    if broken:
        notes.append(f"It would be stopped before training: {broken}.")
    return {
        "search": {
            "study": config.name,
            "storage": masked(parse_url(storage_url(config.name, storage))),
            "space": f"{space.name} ({space.size:,} members)",
            "starting points": ", ".join(name for name, _ in space.start_from) or None,
            "sampler": config.sampler,
            "trials": config.trials,
            "epochs": config.epochs,
            "objectives": ", ".join(objectives),
            "energy source": identity["energy_source"],
            "device": evaluator.device().get("name"),
            "data": f"{identity['data']['name']} at {identity['data']['resolution']} pixels",
            "limits": ", ".join(f"{name} {value:,}" for name, value in config.limits if value is not None) or None,
        },
        "sample": {"name": label, "architecture": str(architecture), "figures": figures},
        "notes": notes,
    }


_LIMITED = ("latency_ms", "energy_mj", "parameters", "multiply_adds")
