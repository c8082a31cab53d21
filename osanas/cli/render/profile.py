"""How spaces, plans, signals, profiles and the machine look in a terminal."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from string import ascii_lowercase
from types import MappingProxyType
from typing import Any

from osanas.cli.render.layout import Column, Listing, print_text
from osanas.cli.render.progress import duration
from osanas.cli.render.studies import DASH, counted, members, millions, number, pairs, scaled


def print_spaces(rows: Sequence[dict[str, Any]]) -> None:
    """The shipped search spaces."""
    Listing(
        (Column(("space",), numeric=False), Column(("members",))),
        [[row["name"], members(row["size"]).removesuffix(" members"), row["description"]] for row in rows],
        "description",
    ).print()


def print_space(document: dict[str, Any]) -> None:
    """One search space: dimensions, size, costs of some members."""
    print_text(f"{document['name']}: {document['description']}")
    print_text(members(document["size"]))
    Listing(
        (Column(("dimension",), numeric=False),),
        [[name, ", ".join(map(_value, values))] for name, values in document["dimensions"].items()],
        "values",
    ).print()
    print_text(f"Costs at {document['members'][0]['resolution']} pixels, 1000 classes")
    Listing(
        (
            Column(("member",), numeric=False),
            Column(("params", "M")),
            Column(("mult-adds", "M")),
            Column(("memory", "access M")),
        ),
        [
            [
                row["member"],
                millions(row["parameters"]),
                millions(row["multiply_adds"]),
                millions(row["memory_access_elements"]),
            ]
            for row in document["members"]
        ],
    ).print()


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def print_plan(document: dict[str, Any]) -> None:
    """What a search would meet: the space, three of its members, the limits, time and energy."""
    search, space = document["search"], document["space"]
    networks = members(space["networks"]).removesuffix(" members")
    facts = {
        "space": f"{space['name']} ({members(space['members'])}, {networks} networks)",
        **search,
        "limits": {name: number(limit, 6) for name, limit in search["limits"].items()},
    }
    pairs([(key.replace("_", " "), _listed(value)) for key, value in facts.items()])
    print_text("")
    _plan_members(document["members"])
    print_text("")
    _within_limits(document["within_limits"], is_limited=bool(search["limits"]))
    _prediction(document["prediction"])
    for note in document["notes"]:
        print_text(note)


def _listed(value: Any) -> str:
    if isinstance(value, dict):
        value = [f"{key} {part}" for key, part in value.items()]
    if isinstance(value, list):
        return ", ".join(map(str, value)) or DASH
    return DASH if value is None else str(value)


def _plan_members(rows: Sequence[dict[str, Any]]) -> None:
    source = next((row["energy_source"] for row in rows if row["energy_source"]), None)
    columns = (
        *_COUNTED[:3],
        _Figure("latency_ms", ("latency", "ms")),
        _Figure("energy_mj", ("energy mJ", source) if source else ("energy", "mJ")),
        _Figure("epoch_s", ("epoch", "s")),
    )
    listing = _table([{"model": row["member"], **row} for row in rows], columns)
    Listing(
        (Column(("member",), numeric=False), *listing.columns[1:]),
        [[*cells, row["epoch_from"] or DASH] for cells, row in zip(listing.rows, rows, strict=True)],
        "epoch from",
    ).print()
    for text in _remarks(
        [{**row, "model": row["member"], "notes": _member_notes(row), "is_stored": False} for row in rows]
    ):
        print_text(text, hanging="  ")


def _member_notes(row: dict[str, Any]) -> list[str]:
    return [*([row["over_limit"]] if row["over_limit"] else []), *row["notes"]]


def _within_limits(document: dict[str, Any], *, is_limited: bool) -> None:
    if not is_limited:
        return
    if document["share"] is None:
        print_text(f"within the limits: not known, {document['reason']}")
    else:
        low, high = document["interval"]
        sampled = f"{document['members']:,} random members (95 %: {_share(low)} to {_share(high)})"
        extent = "all members" if low == high else sampled
        print_text(f"within the limits: {_share(document['share'])} of {extent}", hanging="  ")
    each = [f"{name} {_share(share)}" for name, share in document["each"].items()]
    if len(each) > 1:
        print_text(f"within each alone: {', '.join(each)}", hanging="  ")
    for name, model in document["predicted"].items():
        error = f"median error {_share(model['median_relative_error'])} on members left out"
        print_text(f"{name} predicted from {counted(model['measured'], 'measured member')}: {error}", hanging="  ")


def _share(value: float | None) -> str:
    return DASH if value is None else f"{value * 100:.1f} %"


def _prediction(document: dict[str, Any]) -> None:
    trainings = [f"{row['candidates']:,} to {counted(row['epochs'], 'epoch')}" for row in document["trainings"]]
    print_text(f"trainings: {', '.join(trainings)}; {counted(document['epochs'], 'epoch')} in all", hanging="  ")
    if document["seconds"] is None:
        print_text(f"time: not known, {document['reason']}", hanging="  ")
    else:
        parts = [
            f"training {duration(document['training_s'])} at {number(document['epoch_s'])} s an epoch",
            f"measuring {duration(document['measuring_s'])}",
        ]
        print_text(f"time: about {duration(document['seconds'])} ({', '.join(parts)})", hanging="  ")
        if document["seconds_at_most"] > document["seconds"]:
            print_text(f"at most {duration(document['seconds_at_most'])}, with every candidate trained to the end")
    kwh, reason = document["energy_kwh"], document["energy_reason"]
    print_text(f"energy: {f'not known, {reason}' if kwh is None else f'about {number(kwh)} kWh'}", hanging="  ")
    print_text(f"assumed: {document['assumption']}", hanging="  ")


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


def print_profile(document: dict[str, Any]) -> None:
    """Networks side by side: what they cost by counting, what was measured, and notes below."""
    rows = document["models"]
    print_text(_conditions(document))
    print_text("")
    has_ratios = document["baseline"] is not None
    _table(rows, _COUNTED + (_COUNTED_RATIOS if has_ratios else ())).print()
    print_text("")
    letters = _letters(rows)
    columns = [column for column in _MEASURED if column.figure != "gpu_time_ms" or _has(rows, "gpu_time_ms")]
    columns += _MEASURED_RATIOS if has_ratios else ()
    _table(rows, columns, letters).print()
    for flag, letter in letters.items():
        print_text(f"{letter}  {flag.replace('_', ' ')}: {FLAGS.get(flag, 'see the notes')}", hanging="   ")
    for text in (*_remarks(rows), *document["notes"]):
        print_text(text, hanging="  ")


@dataclass(frozen=True)
class _Figure:
    """A column of a profile."""

    figure: str
    heading: tuple[str, ...]
    cell: Callable[[Any], str] = number


def _percent(interval: Sequence[float] | None) -> str:
    """Half the width of an interval over its middle, in percent."""
    return DASH if interval is None else f"{(interval[1] - interval[0]) / (interval[1] + interval[0]) * 100:.1f}"


def _ratio(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


_COUNTED = (
    _Figure("parameters", ("params", "M"), millions),
    _Figure("multiply_adds", ("mult-adds", "M"), millions),
    _Figure("memory_access_elements", ("memory", "access M"), millions),
    _Figure("memory_access_bytes", ("memory", "access MB"), millions),
    _Figure("memory_access_excess", ("access", "/ bound"), _ratio),
    _Figure("peak_memory_bytes", ("peak", "memory MB"), millions),
)
_COUNTED_RATIOS = (
    _Figure("parameters_ratio", ("params", "ratio"), _ratio),
    _Figure("multiply_adds_ratio", ("mult-adds", "ratio"), _ratio),
)
_MEASURED = (
    _Figure("latency_ms", ("latency", "ms"), lambda value: number(value, 4)),
    _Figure("latency_interval_ms", ("95 %", "+- %"), _percent),
    _Figure("gpu_time_ms", ("GPU", "ms"), lambda value: number(value, 4)),
    _Figure("images_per_second", ("images", "per s")),
    _Figure("multiply_adds_per_second", ("mult-adds", "G per s"), lambda value: scaled(value, 1e9)),
    _Figure("energy_mj", ("energy", "mJ/image")),
    _Figure("power_w", ("power", "W")),
)
_MEASURED_RATIOS = (
    _Figure("latency_ratio", ("latency", "ratio"), _ratio),
    _Figure("energy_ratio", ("energy", "ratio"), _ratio),
)


def _conditions(document: dict[str, Any]) -> str:
    """Under what all figures of a profile were measured, in a line."""
    key, rows = document["measurement_key"], document["models"]
    protocol = key["protocol"]
    parts = [document["device"]["name"], protocol["precision"], protocol["runtime"], f"batch {protocol['batch_size']}"]
    if rows[0]["throughput_batch_size"] != rows[0]["batch_size"]:
        parts.append(f"images/s at batch {rows[0]['throughput_batch_size']}")
    if document["device"]["kind"] == "cpu":
        parts.append(counted(key["device"]["threads"], "thread"))
    parts += [f"{key['input_shape'][-1]} pixels", counted(protocol["rounds"], "round")]
    parts += sorted({f"energy {row['energy_source']} ({row['energy_method']})" for row in rows if row["energy_source"]})
    if document["baseline"] is not None:
        parts.append(f"ratios to {document['baseline']}")
    return ", ".join(parts)


def _table(
    rows: Sequence[dict[str, Any]], columns: Sequence[_Figure], letters: Mapping[str, str] | None = None
) -> Listing:
    """Networks and some of their figures, with the letters of their flags if there are any."""
    headings = [Column(("model",), numeric=False), *(Column(column.heading) for column in columns)]
    cells = [[row["model"], *(column.cell(row[column.figure]) for column in columns)] for row in rows]
    if letters:
        headings.append(Column(("flags",), numeric=False))
        cells = [
            [*line, "".join(sorted(letters[flag] for flag in row["flags"]))]
            for line, row in zip(cells, rows, strict=True)
        ]
    return Listing(tuple(headings), cells)


def _has(rows: Sequence[dict[str, Any]], figure: str) -> bool:
    return any(row[figure] is not None for row in rows)


def _letters(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """A letter for each flag that occurs, by name of flag."""
    flags = sorted({flag for row in rows for flag in row["flags"]})
    return dict(zip(flags, ascii_lowercase, strict=False))


def _remarks(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Notes, once each, with the networks they are about; where figures come from the database, since when."""
    about: dict[str, list[str]] = {}
    for row in rows:
        texts = list(row["notes"])
        if row["is_stored"]:
            day = datetime.fromtimestamp(row["measured_at"]).astimezone()
            texts.append(f"from the database, measured {day:%Y-%m-%d %H:%M} (--fresh measures again)")
        for text in texts:
            about.setdefault(text, []).append(row["model"])
    return [text if len(names) == len(rows) else f"{', '.join(names)}: {text}" for text, names in about.items()]


def print_profile_csv(document: dict[str, Any]) -> None:
    """A line a network, with what it was measured under; an empty field is a figure that cannot be had."""
    protocol = document["measurement_key"]["protocol"]
    shared = {
        "device": document["device"]["name"],
        "runtime": protocol["runtime"],
        "precision": protocol["precision"],
        "resolution": document["measurement_key"]["input_shape"][-1],
    }
    lines = [_flat(row) | shared for row in document["models"]]
    writer = csv.DictWriter(sys.stdout, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row without lists and documents: intervals as two columns, flags and notes as one text each."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in {"latency_interval_ms", "gpu_time_interval_ms"}:
            stem = name.removesuffix("interval_ms")
            flat[f"{stem}low_ms"], flat[f"{stem}high_ms"] = value or (None, None)
        elif name in {"flags", "notes", "uncounted"}:
            flat[name] = "; ".join(value)
        elif name == "percentiles_ms":
            flat |= {f"{percentile}_ms": (value or {}).get(percentile) for percentile in ("p90", "p95", "p99")}
        elif name != "runtime_details":
            flat[name] = value
    return flat


FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "contended": "other processes or the hypervisor kept the processors busy meanwhile",
        "drift": "the machine became faster or slower: rounds, or a reference network, differ by more than 5 %",
        "noisy": "the blocks differ by more than 10 % of the median",
        "very_noisy": "the blocks differ by more than 25 % of the median",
        "unstable": "nearly every block was disturbed by other processes, so all of them count",
        "warmup_unstable": "the network had not become steady when the warm-up ended",
        "power_capped": "the board ran at its power limit",
        "training_alongside": "another osanas process went on training on the device meanwhile",
        "launch_bound": "the GPU waits for launches, so the figure ranks kernel counts and Python, not arithmetic",
        "energy_unstable": "windows in which the board throttled or others used it count, for want of better ones",
        "energy_not_converged": "the energy is less certain than the protocol asks",
    }
)
"""What the flags of a measurement mean."""


def print_doctor(document: dict[str, Any]) -> None:
    """What was found, a block each; what is missing with its remedy."""
    cpu = document["cpu"]
    _found(
        "CPU",
        f"{cpu['model']}: {cpu['usable']} of {cpu['logical']} processors usable, threads: {cpu['threads']}, "
        f"{cpu['capability']}, torch {cpu['torch']}",
    )
    for device in document["cuda"]["devices"]:
        memory = device["memory_bytes"] / 2**30
        _found("GPU", f"cuda:{device['index']} {device['name']}, {memory:.1f} GiB, {device['uuid']}")
    _missing("GPU", document["cuda"])
    for board in document["nvml"]["boards"]:
        energy = board["energy"] or f"no energy: {board['reason']}"
        energy += "" if board["visible"] else ", hidden by CUDA_VISIBLE_DEVICES"
        _found("NVML", f"{board['index']} {board['name']}, driver {document['nvml']['driver']}, {energy}")
        _remedy(board["fix"])
    _missing("NVML", document["nvml"])
    if document["rapl"]["zones"]:
        _found("RAPL", ", ".join(map(str, document["rapl"]["zones"])))
    _missing("RAPL", document["rapl"])
    for name, data in document["data"].items():
        if data["available"]:
            place = data.get("folder") or f"{data['images']:,} images, embedded"
            _found("data", f"{name}: {place}")
        _missing("data", data, f"{name}: ")
    if document["database"]["available"]:
        _found("database", document["database"]["url"])
    _missing("database", document["database"])


def _found(label: str, text: str) -> None:
    print_text(f"{label:<10} {text}", hanging=" " * 11)


def _missing(label: str, part: dict[str, Any], name: str = "") -> None:
    if part["reason"] is not None:
        _found(label, f"{name}{'' if part['available'] else 'no: '}{part['reason']}")
        _remedy(part["fix"])


def _remedy(fix: str | None) -> None:
    if fix:
        print_text(" " * 13 + fix, hanging=" " * 13)
