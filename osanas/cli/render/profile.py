"""How spaces, plans, signals, profiles and the machine look in a terminal."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

from osanas.cli.render.figures import COUNTED, Figure, ratio, remarks, table
from osanas.cli.render.layout import print_text
from osanas.cli.render.numbers import DASH, counted, number, scaled
from osanas.study.flags import FLAGS


def print_profile(document: dict[str, Any]) -> None:
    """Networks side by side: what they cost by counting, what was measured, and notes below."""
    rows = document["models"]
    print_text(_conditions(document))
    print_text("")
    has_ratios = document["baseline"] is not None
    table(rows, COUNTED + (_COUNTED_RATIOS if has_ratios else ())).print()
    print_text("")
    letters = _letters(rows)
    columns = [column for column in _MEASURED if column.figure != "gpu_time_ms" or _has(rows, "gpu_time_ms")]
    columns += _MEASURED_RATIOS if has_ratios else ()
    table(rows, columns, letters).print()
    for flag, letter in letters.items():
        print_text(f"{letter}  {flag.replace('_', ' ')}: {FLAGS.get(flag, 'see the notes')}", hanging="   ")
    for text in (*remarks(rows), *document["notes"]):
        print_text(text, hanging="  ")


def _percent(interval: Sequence[float] | None) -> str:
    """Half the width of an interval over its middle, in percent."""
    return DASH if interval is None else f"{(interval[1] - interval[0]) / (interval[1] + interval[0]) * 100:.1f}"


_COUNTED_RATIOS = (
    Figure("parameters_ratio", ("params", "ratio"), ratio),
    Figure("multiply_adds_ratio", ("mult-adds", "ratio"), ratio),
)
_MEASURED = (
    Figure("latency_ms", ("latency", "ms"), lambda value: number(value, 4)),
    Figure("latency_interval_ms", ("95 %", "+- %"), _percent),
    Figure("gpu_time_ms", ("GPU", "ms"), lambda value: number(value, 4)),
    Figure("images_per_second", ("images", "per s")),
    Figure("multiply_adds_per_second", ("mult-adds", "G per s"), lambda value: scaled(value, 1e9)),
    Figure("energy_mj", ("energy", "mJ/image")),
    Figure("power_w", ("power", "W")),
)
_MEASURED_RATIOS = (
    Figure("latency_ratio", ("latency", "ratio"), ratio),
    Figure("energy_ratio", ("energy", "ratio"), ratio),
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


def _has(rows: Sequence[dict[str, Any]], figure: str) -> bool:
    return any(row[figure] is not None for row in rows)


def _letters(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """A letter for each flag that occurs, by name of flag."""
    flags = sorted({flag for row in rows for flag in row["flags"]})
    return dict(zip(flags, ascii_lowercase, strict=False))


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
