"""How studies and their trials look in a terminal. Units stand in the headings; a dash is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from osanas.cli.render.layout import Column, Listing, print_text
from osanas.cli.render.numbers import DASH, counted, fraction, millions, number, pairs
from osanas.study.config import OBJECTIVES

if TYPE_CHECKING:
    from osanas.results.study import StudyView
    from osanas.study.records import Candidate

STATUSES = ("complete", "running", "waiting", "infeasible", "failed", "duplicate")


def print_studies(rows: Sequence[dict[str, Any]]) -> None:
    """The studies of a folder or database."""
    columns = (Column(("study",), numeric=False), *(Column((status,)) for status in STATUSES), Column(("created",)))
    cells = []
    for row in rows:
        created = datetime.fromtimestamp(row["created_at"]).astimezone()
        counts = [str(row["counts"].get(status, 0)) for status in STATUSES]
        cells.append([row["study"], *counts, f"{created:%Y-%m-%d %H:%M}"])
    Listing(columns, cells).print()


def print_front(view: StudyView, *, all_rungs: bool = False) -> None:
    """The front of a study."""
    found = view.front(all_rungs=all_rungs)
    directions = ", ".join(f"{name} ({OBJECTIVES[name][0]})" for name in found.objectives)
    print_text(f"{view.name}: {counted(len(found.candidates), 'Pareto-efficient candidate')} by {directions}")
    Listing(
        (Column(("trial",)), Column(("epochs",)), *_figure_columns(view)),
        [[str(c.trial), str(c.epochs), *_figures(c), str(c.architecture)] for c in found.candidates],
        "architecture",
    ).print()
    reference = ", ".join(
        f"{name} {number(value)}" for name, value in zip(found.objectives, found.reference_point, strict=True)
    )
    print_text(f"hypervolume {number(found.hypervolume, 4)} against {reference}")
    protocol = "the full protocol" if found.measured == "full" else "the search's short protocol"
    remarks = [f"latency and energy measured by {protocol}"]
    if found.overtaken:
        remarks.append(f"{counted(found.overtaken, 'candidate')} left the front by the full figures")
    print_text("; ".join(remarks))
    _print_savings(view)
    _print_other_key(found.other_key)
    _print_drifted(view.drifted(found.candidates))


def print_trials(view: StudyView) -> None:
    """Every trial of a study."""
    candidates = view.candidates()
    Listing(
        (
            Column(("trial",)),
            Column(("status",), numeric=False),
            Column(("epochs",)),
            Column(("promoted", "from")),
            *_figure_columns(view)[:4],
        ),
        [
            [
                str(c.trial),
                c.status,
                str(c.epochs),
                DASH if c.promoted_from is None else str(c.promoted_from),
                *_figures(c)[:4],
                c.reason or str(c.architecture),
            ]
            for c in candidates
        ],
        "architecture, or why it has no accuracy",
    ).print()
    _print_savings(view)
    _print_other_key(view.front().other_key)
    _print_drifted(view.drifted(candidates))


def _print_savings(view: StudyView) -> None:
    saved = view.savings()
    ladder = ", ".join(map(str, view.rungs))
    fewer = f", {saved.epochs_saved:,} fewer than all candidates in full (rungs {ladder})"
    spared = (
        (saved.duplicates, counted(saved.duplicates, "duplicate")),
        (saved.infeasible, f"{saved.infeasible:,} over a limit"),
        (saved.failed_at_build, f"{saved.failed_at_build:,} that could not be built"),
    )
    untrained = ", ".join(words for count, words in spared if count)
    print_text(
        f"trained {counted(saved.epochs_trained, 'epoch')}{fewer if len(view.rungs) > 1 else ''}"
        f"{f'; not trained: {untrained}' if untrained else ''}"
    )


def _print_other_key(count: int) -> None:
    if count:
        print_text(
            f"{counted(count, 'trained candidate')} left out, measured under another key (device, driver or versions "
            "were others); 'osanas search' with --remeasure measures their front again"
        )


def _print_drifted(trials: Sequence[int]) -> None:
    if trials:
        print_text(
            f"measured while the reference network had drifted: {'trials' if len(trials) > 1 else 'trial'} "
            f"{', '.join(map(str, trials))}"
        )


def _figure_columns(view: StudyView) -> list[Column]:
    source = view.record.identity["energy_source"]
    return [
        Column(("accuracy",)),
        Column(("latency", "ms")),
        Column(("energy mJ", source) if source else ("energy", "mJ")),
        Column(("params", "M")),
        Column(("mult-adds", "M")),
        Column(("memory", "access M")),
    ]


def _figures(candidate: Candidate) -> list[str]:
    return [
        fraction(candidate.accuracy),
        number(candidate.latency_ms),
        number(candidate.energy_mj),
        millions(candidate.parameters),
        millions(candidate.multiply_adds),
        millions(candidate.memory_access_elements),
    ]


def print_trial(document: dict[str, Any]) -> None:
    """One trial in full."""
    from osanas.genotype.architecture import Architecture

    source = document["energy_source"]
    rows = [
        (key, str(document[key])) for key in ("study", "trial", "status", "reason", "digest", "epochs", "promoted_from")
    ]
    rows += [
        ("accuracy", fraction(document["accuracy"])),
        ("latency_ms", number(document["latency_ms"], 4)),
        ("energy_mj", f"{number(document['energy_mj'], 4)}{f' ({source})' if source else ''}"),
        *((key, number(document[key])) for key in ("parameters", "multiply_adds", "memory_access_elements")),
        ("measurement_key", str(document["measurement_key"])),
        ("training_seconds", number(document["training_seconds"])),
        ("architecture", str(Architecture.from_dict(document["architecture"]))),
    ]
    pairs([row for row in rows if row[1] != "None"])
    if document["curve"]:
        Listing(
            tuple(Column(heading) for heading in _CURVE),
            [
                [
                    str(point["epoch"]),
                    f"{point['train_loss']:.4f}",
                    f"{point['val_loss']:.4f}",
                    fraction(point["val_accuracy"]),
                    number(point["seconds"]),
                ]
                for point in document["curve"]
            ],
        ).print()


_CURVE = (("epoch",), ("train loss",), ("val loss",), ("val accuracy",), ("seconds",))


def print_signals(document: dict[str, Any]) -> None:
    """How well what is known early or without training has ranked the candidates of a study."""
    print_text(f"Rank correlation with the accuracy after {counted(document['epochs'], 'epoch')}")
    Listing(
        (Column(("signal",), numeric=False), Column(("Spearman",)), Column(("candidates",))),
        [
            [row["signal"], _correlation(row["correlation"]), str(row["candidates"]), row["reason"] or ""]
            for row in document["signals"]
        ],
        "",
    ).print()
    print_text(document["selection"])


def _correlation(value: float | None) -> str:
    return DASH if value is None else f"{value:+.2f}"
