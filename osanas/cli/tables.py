"""How listings look in a terminal. Standard output; numbers with their units in the heading; a dash for unknown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from osanas.config import OBJECTIVES

if TYPE_CHECKING:
    from osanas.store.records import Candidate
    from osanas.store.view import StudyView

DASH = "-"


def console() -> Console:
    """Standard output. As wide as it takes when piped, so that no figure is cut off."""
    found = Console(highlight=False, soft_wrap=False)
    return found if found.is_terminal else Console(highlight=False, width=250)


def print_table(table: Table) -> None:
    """Prints a table to standard output."""
    console().print(table)


def _table(title: str, columns: Sequence[tuple[str, bool]], caption: str | None = None) -> Table:
    """A plain table; each column is a heading and whether it holds numbers."""
    table = Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=None,
        header_style="bold",
        pad_edge=False,
    )
    for heading, numeric in columns:
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    return table


def number(value: float | None, digits: int = 3) -> str:
    """A figure with so many significant digits, or a dash."""
    if value is None:
        return DASH
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:.{digits}g}"
    return f"{value:,.0f}" if "e" in text and abs(value) >= 1 else text


def fraction(value: float | None) -> str:
    """An accuracy with four decimals, or a dash."""
    return DASH if value is None else f"{value:.4f}"


def millions(value: int | None) -> str:
    """A count in millions, or a dash."""
    return DASH if value is None else f"{value / 1e6:.3g}"


def studies_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The studies of a folder or database."""
    statuses = ("complete", "running", "waiting", "infeasible", "failed", "duplicate")
    table = _table("", [("study", False), *((status, True) for status in statuses), ("created", False)])
    for row in rows:
        created = datetime.fromtimestamp(row["created_at"]).astimezone()
        counts = [str(row["counts"].get(status, 0)) for status in statuses]
        table.add_row(row["study"], *counts, f"{created:%Y-%m-%d %H:%M}")
    return table


def _energy_heading(view: StudyView) -> str:
    return f"energy mJ ({view.record.identity['energy_source']})"


def pareto_table(view: StudyView, *, all_rungs: bool = False) -> Table:
    """The front of a study."""
    found = view.front(all_rungs=all_rungs)
    reference = ", ".join(
        f"{name} {number(value)}" for name, value in zip(found.objectives, found.reference_point, strict=True)
    )
    caption = (
        f"hypervolume {number(found.hypervolume, 4)} against {reference}" if reference else "no trained candidate yet"
    )
    directions = ", ".join(f"{name} ({OBJECTIVES[name][0]})" for name in found.objectives)
    table = _table(
        f"{view.name}: {len(found.candidates)} Pareto-efficient candidates by {directions}",
        [
            ("trial", True),
            ("epochs", True),
            ("accuracy", True),
            ("latency ms", True),
            (_energy_heading(view), True),
            ("params M", True),
            ("mult-adds M", True),
            ("memory access M", True),
            ("architecture", False),
        ],
        caption,
    )
    for candidate in found.candidates:
        table.add_row(str(candidate.trial), str(candidate.epochs), *_figures(candidate), str(candidate.architecture))
    return table


def _figures(candidate: Candidate) -> list[str]:
    return [
        fraction(candidate.accuracy),
        number(candidate.latency_ms),
        number(candidate.energy_mj),
        millions(candidate.parameters),
        millions(candidate.multiply_adds),
        millions(candidate.memory_access_elements),
    ]


def trials_table(view: StudyView) -> Table:
    """Every trial of a study."""
    table = _table(
        "",
        [
            ("trial", True),
            ("status", False),
            ("epochs", True),
            ("accuracy", True),
            ("latency ms", True),
            (_energy_heading(view), True),
            ("params M", True),
            ("architecture, or the reason it has no accuracy", False),
        ],
    )
    for candidate in view.candidates():
        accuracy, latency, energy, parameters, *_ = _figures(candidate)
        table.add_row(
            str(candidate.trial),
            candidate.status,
            str(candidate.epochs),
            accuracy,
            latency,
            energy,
            parameters,
            candidate.reason or str(candidate.architecture),
        )
    return table


def print_trial(document: dict[str, Any]) -> None:
    """One trial in full."""
    from osanas.arch import Architecture

    out = console()
    for key in ("study", "trial", "status", "reason", "digest", "epochs"):
        if document[key] is not None:
            out.print(f"{key:<24}{document[key]}")
    out.print(f"{'accuracy':<24}{fraction(document['accuracy'])}")
    out.print(f"{'latency_ms':<24}{number(document['latency_ms'], 4)}")
    out.print(f"{'energy_mj':<24}{number(document['energy_mj'], 4)} ({document['energy_source'] or 'not measured'})")
    for key in ("parameters", "multiply_adds", "memory_access_elements"):
        out.print(f"{key:<24}{number(document[key])}")
    out.print(f"{'training_seconds':<24}{number(document['training_seconds'])}")
    out.print(f"{'architecture':<24}{Architecture.from_dict(document['architecture'])}")
    curve = _table(
        "", [("epoch", True), ("train loss", True), ("val loss", True), ("val accuracy", True), ("seconds", True)]
    )
    for point in document["curve"]:
        curve.add_row(
            str(point["epoch"]),
            f"{point['train_loss']:.4f}",
            f"{point['val_loss']:.4f}",
            fraction(point["val_accuracy"]),
            number(point["seconds"]),
        )
    out.print(curve)


def spaces_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The shipped search spaces."""
    table = _table("", [("space", False), ("members", True), ("description", False)])
    for row in rows:
        table.add_row(
            row["name"], number(row["size"]) if row["size"] < 1e7 else f"{row['size']:.1e}", row["description"]
        )
    return table


def print_space(document: dict[str, Any]) -> None:
    """One search space: dimensions, size, costs of some members."""
    out = console()
    size = document["size"]
    out.print(f"{document['name']}: {document['description']}")
    out.print(f"{size:,} members" if size < 1e7 else f"{size:.2e} members")
    dimensions = _table("", [("dimension", False), ("values", False)])
    for name, values in document["dimensions"].items():
        dimensions.add_row(
            name, ", ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
        )
    out.print(dimensions)
    resolution = document["members"][0]["resolution"]
    members = _table(
        f"Costs at {resolution} pixels, 1000 classes",
        [("member", False), ("params M", True), ("mult-adds M", True), ("memory access M", True)],
    )
    for row in document["members"]:
        members.add_row(
            row["member"],
            millions(row["parameters"]),
            millions(row["multiply_adds"]),
            millions(row["memory_access_elements"]),
        )
    out.print(members)


def print_dry_run(document: dict[str, Any]) -> None:
    """What a search would do."""
    out = console()
    for key, value in document["search"].items():
        out.print(f"{key:<24}{DASH if value is None else value}")
    sample = document["sample"]
    out.print(f"One sample candidate ({sample['name']}): {sample['architecture']}")
    table = _table("", [("figure", False), ("value", True)])
    for key, value in sample["figures"].items():
        table.add_row(key, number(value, 4))
    out.print(table)
    for note in document["notes"]:
        out.print(note)


def print_profile(document: dict[str, Any]) -> None:
    """Networks side by side, with notes below."""
    key = document["measurement_key"]
    rows = document["models"]
    source = next((row["energy_source"] for row in rows if row["energy_source"]), "no meter")
    table = _table(
        f"{document['device']['name']}, {key['protocol']['precision']}, {key['protocol']['runtime']}, "
        f"batch {key['protocol']['batch_size']}, {key['input_shape'][-1]} pixels",
        [
            ("model", False),
            ("params M", True),
            ("mult-adds M", True),
            ("memory access M", True),
            ("peak memory MB", True),
            ("latency ms", True),
            ("95 % interval", True),
            ("images/s", True),
            ("mult-adds/s G", True),
            (f"energy mJ/image ({source})", True),
            ("power W", True),
        ],
    )
    for row in rows:
        table.add_row(
            row["model"],
            millions(row["parameters"]),
            millions(row["multiply_adds"]),
            millions(row["memory_access_elements"]),
            _scaled(row["peak_memory_bytes"], 1e6),
            number(row["latency_ms"]),
            DASH if row["latency_interval_ms"] is None else "-".join(number(end) for end in row["latency_interval_ms"]),
            number(row["images_per_second"]),
            _scaled(row["multiply_adds_per_second"], 1e9),
            number(row["energy_mj"]),
            number(row["power_w"]),
        )
    out = console()
    out.print(table)
    for text in _remarks(rows):
        out.print(text, markup=False)


def _scaled(value: float | None, unit: float) -> str:
    return DASH if value is None else number(value / unit)


def _remarks(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Notes and flags, once each, with the networks they are about."""
    about: dict[str, list[str]] = {}
    for row in rows:
        for text in (*row["notes"], *(f"flag: {flag}" for flag in row["flags"])):
            about.setdefault(text, []).append(row["model"])
    everywhere = len(rows)
    return [text if len(names) == everywhere else f"{', '.join(names)}: {text}" for text, names in about.items()]


def print_doctor(document: dict[str, Any]) -> None:
    """What was found, a block each; what is missing with its remedy."""
    out = console()
    cpu = document["cpu"]
    out.print(
        f"CPU        {cpu['model']}: {cpu['usable']} of {cpu['logical']} processors usable, {cpu['threads']} threads, "
        f"{cpu['capability']}, torch {cpu['torch']}",
        markup=False,
    )
    for device in document["cuda"]["devices"]:
        memory = device["memory_bytes"] / 2**30
        out.print(
            f"GPU        cuda:{device['index']} {device['name']}, {memory:.1f} GiB, {device['uuid']}", markup=False
        )
    _missing(out, "GPU", document["cuda"])
    for board in document["nvml"]["boards"]:
        energy = board["energy"] or f"no energy: {board['reason']}"
        driver = document["nvml"]["driver"]
        out.print(f"NVML       {board['index']} {board['name']}, driver {driver}, {energy}", markup=False)
    _missing(out, "NVML", document["nvml"])
    if document["rapl"]["zones"]:
        out.print(f"RAPL       {', '.join(map(str, document['rapl']['zones']))}", markup=False)
    _missing(out, "RAPL", document["rapl"])
    for name, data in document["data"].items():
        if data["available"]:
            place = data.get("folder") or f"{data['images']:,} images, embedded"
            out.print(f"data       {name}: {place}", markup=False)
        _missing(out, f"data       {name}:", data)
    if document["database"]["available"]:
        out.print(f"database   {document['database']['url']}", markup=False)
    _missing(out, "database", document["database"])


def _missing(out: Console, label: str, part: dict[str, Any]) -> None:
    if part["reason"] is not None:
        out.print(f"{label:<10} {'no: ' if not part['available'] else ''}{part['reason']}", markup=False)
        if part["fix"]:
            out.print(f"{'':<10}   {part['fix']}", markup=False)
