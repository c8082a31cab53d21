"""How spaces, dry runs, profiles and the machine look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from osanas.cli.layout import Column, Listing, print_text
from osanas.cli.tables import DASH, members, millions, number, pairs, scaled


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


def print_dry_run(document: dict[str, Any]) -> None:
    """What a search would do."""
    pairs([(key, DASH if value is None else str(value)) for key, value in document["search"].items()])
    sample = document["sample"]
    print_text(f"One sample candidate ({sample['name']}): {sample['architecture']}")
    pairs([(key, number(value, 4)) for key, value in sample["figures"].items()])
    for note in document["notes"]:
        print_text(note)


def print_profile(document: dict[str, Any]) -> None:
    """Networks side by side, with notes below."""
    key = document["measurement_key"]
    rows = document["models"]
    source = next((row["energy_source"] for row in rows if row["energy_source"]), "no meter")
    print_text(
        f"{document['device']['name']}, {key['protocol']['precision']}, {key['protocol']['runtime']}, "
        f"batch {key['protocol']['batch_size']}, {key['input_shape'][-1]} pixels"
    )
    Listing(
        (
            Column(("model",), numeric=False),
            Column(("params", "M")),
            Column(("mult-adds", "M")),
            Column(("memory", "access M")),
            Column(("peak", "MB")),
            Column(("latency", "ms")),
            Column(("95 %", "interval")),
            Column(("images", "per s")),
            Column(("mult-adds", "G per s")),
            Column(("energy", "mJ/image", source)),
            Column(("power", "W")),
        ),
        [_profile_cells(row) for row in rows],
    ).print()
    for text in _remarks(rows):
        print_text(text, hanging="  ")


def _profile_cells(row: dict[str, Any]) -> list[str]:
    interval = row["latency_interval_ms"]
    return [
        row["model"],
        millions(row["parameters"]),
        millions(row["multiply_adds"]),
        millions(row["memory_access_elements"]),
        scaled(row["peak_memory_bytes"], 1e6),
        number(row["latency_ms"], 4),
        DASH if interval is None else "-".join(number(end, 4) for end in interval),
        number(row["images_per_second"]),
        scaled(row["multiply_adds_per_second"], 1e9),
        number(row["energy_mj"]),
        number(row["power_w"]),
    ]


def _remarks(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Notes and flags, once each, with the networks they are about."""
    about: dict[str, list[str]] = {}
    for row in rows:
        for text in (*row["notes"], *(f"{flag}: {FLAGS.get(flag, 'see the notes')}" for flag in row["flags"])):
            about.setdefault(text, []).append(row["model"])
    return [text if len(names) == len(rows) else f"{', '.join(names)}: {text}" for text, names in about.items()]


FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "contended": "other processes or the hypervisor kept the processors busy meanwhile",
        "noisy": "the blocks differ by more than 10 % of the median",
        "very_noisy": "the blocks differ by more than 25 % of the median",
        "unstable": "nearly every block was disturbed by other processes, so all of them count",
        "warmup_unstable": "the network had not become steady when the warm-up ended",
        "power_capped": "the board ran at its power limit",
        "energy_unstable": "windows in which the board throttled had to count, for want of others",
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
