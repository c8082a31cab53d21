"""How studies and their trials look in a terminal. Units stand in the headings; a dash is unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import typer

from osanas.cli.render.layout import Column, Listing, print_text
from osanas.cli.render.numbers import DASH, counted, fraction, millions, number, pairs
from osanas.genotype.architecture import Architecture
from osanas.study.objectives import COST_UNITS

STATUSES = ("complete", "running", "waiting", "infeasible", "failed", "duplicate")


def print_studies(document: dict[str, Any]) -> None:
    """The studies of a folder or database."""
    rows = document["studies"]
    if not rows:
        typer.echo("No studies here. Start one with: osanas search", err=True)
        return
    columns = (Column(("study",), numeric=False), *(Column((status,)) for status in STATUSES), Column(("created",)))
    cells = []
    for row in rows:
        created = datetime.fromtimestamp(row["created_at"]).astimezone()
        counts = [str(row["counts"].get(status, 0)) for status in STATUSES]
        cells.append([row["study"], *counts, f"{created:%Y-%m-%d %H:%M}"])
    Listing(columns, cells).print()


def print_front(document: dict[str, Any]) -> None:
    """The front of a study, from the document of ``osanas pareto``."""
    objectives, candidates = document["objectives"], document["candidates"]
    by = ", ".join(f"{one['name']} ({one['direction']})" for one in objectives)
    print_text(f"{document['study']}: {counted(len(candidates), 'Pareto-efficient candidate')} by {by}")
    (score, scores), *costs = _figure_columns(document["score"], document["energy_source"])
    seeds = _seed_columns(document)
    Listing(
        (
            *(Column(("trial",)), Column(("epochs",)), scores),
            *(column for column, _ in seeds),
            *(column for _, column in costs),
        ),
        [
            [
                *(str(row["trial"]), str(row["epochs"]), fraction(row[score])),
                *(cell(row) for _, cell in seeds),
                *_cost_cells(row, costs),
                str(_architecture(row)),
            ]
            for row in candidates
        ],
        "architecture",
    ).print()
    _print_certainty(document)
    reference = ", ".join(
        f"{one['name']} {number(value)}" for one, value in zip(objectives, document["reference_point"], strict=True)
    )
    print_text(f"hypervolume {number(document['hypervolume'], 4)}, counted from {reference}")
    protocol = "the full protocol" if document["measured"] == "full" else "the search's short protocol"
    remarks = [f"latency and energy measured by {protocol}"]
    if document["overtaken"]:
        remarks.append(f"{counted(document['overtaken'], 'candidate')} left the front by the full figures")
    print_text("; ".join(remarks))
    _print_remarks(document)


def print_trials(document: dict[str, Any]) -> None:
    """Every trial of a study, from the document of ``osanas show STUDY``."""
    columns = _figure_columns(document["score"], document["energy_source"])[:4]
    Listing(
        (
            Column(("trial",)),
            Column(("status",), numeric=False),
            Column(("epochs",)),
            Column(("promoted", "from")),
            *(column for _, column in columns),
        ),
        [
            [
                str(row["trial"]),
                row["status"],
                str(row["epochs"]),
                _or_dash(row["promoted_from"]),
                fraction(row[document["score"]]),
                *_cost_cells(row, columns[1:]),
                row["reason"] or f"{_repeat(row)}{_architecture(row)}",
            ]
            for row in document["trials"]
        ],
        f"architecture, or why it has no {document['score']}",
    ).print()
    _print_remarks(document)
    if document["signals"] is not None:
        _print_signals(document["signals"], document["score"])


def _architecture(row: dict[str, Any]) -> Architecture:
    return Architecture.from_dict(row["architecture"])


def _print_remarks(document: dict[str, Any]) -> None:
    """What was saved, and what a reader of the figures should know."""
    saved, rungs = document["savings"], document["rungs"]
    fewer = (
        f", {saved['epochs_saved']:,} fewer than if every candidate had been trained to the end "
        f"(rungs {', '.join(map(str, rungs))})"
    )
    spared = (
        (saved["duplicates"], counted(saved["duplicates"], "duplicate")),
        (saved["infeasible"], f"{saved['infeasible']:,} over a limit"),
        (saved["failed_at_build"], f"{saved['failed_at_build']:,} that could not be built"),
    )
    untrained = ", ".join(words for count, words in spared if count)
    print_text(
        f"trained for {counted(saved['epochs_trained'], 'epoch')} in all{fewer if len(rungs) > 1 else ''}"
        f"{f'; not trained: {untrained}' if untrained else ''}"
    )
    if document["other_key"]:
        print_text(
            f"{counted(document['other_key'], 'trained candidate')} left out, measured with another device, driver, "
            "version or setting; 'osanas search' with --remeasure measures their front again"
        )
    drifted = document["drifted"]
    if drifted:
        print_text(
            f"measured while the device was faster or slower than before: {'trials' if len(drifted) > 1 else 'trial'} "
            f"{', '.join(map(str, drifted))}"
        )


def _figure_columns(score: str, energy_source: str | None) -> list[tuple[str, Column]]:
    """The figures of a trial by their keys."""
    return [
        (score, Column((score,))),
        ("latency_ms", Column(("latency", "ms"))),
        ("energy_mj", Column(("energy mJ", energy_source) if energy_source else ("energy", "mJ"))),
        ("parameters", Column(("params", "M"))),
        ("multiply_adds", Column(("mult-adds", "M"))),
        ("memory_access_elements", Column(("memory", "access M"))),
    ]


def _cost_cells(row: dict[str, Any], columns: Sequence[tuple[str, Column]]) -> list[str]:
    return [number(row[key]) if key in COST_UNITS else millions(row[key]) for key, _ in columns]


def _repeat(row: dict[str, Any]) -> str:
    return f"repeat {row['repeat']} of " if row["repeat"] else ""


def _seed_columns(document: dict[str, Any]) -> list[tuple[Column, Callable[[dict[str, Any]], str]]]:
    """What repeated trainings tell of the members of a front; nothing where none was repeated."""
    if document["seed_noise"] is None:
        return []
    interval = f"{document['score']}_interval"
    return [
        (Column(("±", "95 %")), lambda row: _half_width(row[interval])),
        (Column(("seeds",)), lambda row: str(row["seeds"])),
        (Column(("like", "trial")), lambda row: _or_dash(row["indistinct_from"])),
    ]


def _half_width(interval: Sequence[float] | None) -> str:
    return fraction(None if interval is None else (interval[1] - interval[0]) / 2)


def _or_dash(value: int | None) -> str:
    return DASH if value is None else str(value)


def _print_certainty(document: dict[str, Any]) -> None:
    """How far the scores of a front can be trusted."""
    score, noise = document["score"], document["seed_noise"]
    single = sum(row["seeds"] == 1 for row in document["candidates"])
    remarks = []
    if noise is not None:
        remarks.append(
            f"trainings of one network with different seeds differ by {fraction(noise['deviation'])} in {score} "
            "(standard deviation); 'like trial' names one that costs no more and may be as good"
        )
    if single:
        which = f"the {score} of members with 1 seed is" if noise is not None else f"each {score} is"
        remarks.append(f"{which} of a single training, and the best of many look better than they are")
    if remarks:
        print_text("; ".join(remarks))


def print_trial(document: dict[str, Any]) -> None:
    """One trial in full."""
    source, score = document["energy_source"], document["score"]
    rows = [
        (key, str(document[key])) for key in ("study", "trial", "status", "reason", "digest", "epochs", "promoted_from")
    ]
    rows += [
        ("repeat", str(document["repeat"] or None)),
        (score, fraction(document[score])),
        ("latency_ms", number(document["latency_ms"], 4)),
        ("energy_mj", f"{number(document['energy_mj'], 4)}{f' ({source})' if source else ''}"),
        *((key, number(document[key])) for key in ("parameters", "multiply_adds", "memory_access_elements")),
        ("measurement_key", str(document["measurement_key"])),
        ("training_seconds", number(document["training_seconds"])),
        ("architecture", str(_architecture(document))),
    ]
    pairs([row for row in rows if row[1] != "None"])
    if document["curve"]:
        Listing(
            tuple(Column((heading,)) for heading in ("epoch", "train loss", "val loss", f"val {score}", "seconds")),
            [
                [
                    str(point["epoch"]),
                    f"{point['train_loss']:.4f}",
                    f"{point['val_loss']:.4f}",
                    fraction(point[f"val_{score}"]),
                    number(point["seconds"]),
                ]
                for point in document["curve"]
            ],
        ).print()


def _print_signals(document: dict[str, Any], score: str) -> None:
    """How well what is known early or without training has ranked the candidates of a study."""
    print_text(f"Rank correlation with the {score} after {counted(document['epochs'], 'epoch')}")
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
