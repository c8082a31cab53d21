"""How the machine looks in a terminal."""

from __future__ import annotations

from typing import Any

from osanas.cli.render.layout import print_text


def print_doctor(document: dict[str, Any]) -> None:
    """What was found, a block each; what is missing with its remedy."""
    print_device(document)
    for name, data in document["data"].items():
        if data["available"]:
            place = data.get("folder") or f"{data['images']:,} images, embedded"
            _found("data", f"{name}: {place}")
        _missing("data", data, f"{name}: ")
    if document["database"]["available"]:
        _found("database", document["database"]["url"])
    _missing("database", document["database"])
    there = [name for name, is_there in document["extras"].items() if is_there]
    missing = [name for name in document["extras"] if name not in there]
    _found("extras", ", ".join(there) or "none")
    if missing:
        _found("extras", f"not installed: {', '.join(missing)}")
        _remedy(f"Install them with: pip install 'osanas[{','.join(missing)}]'")


def print_check(check: dict[str, Any]) -> None:
    """One check of the self-test: whether it is sound, what was found, and what to do."""
    verdict = {True: "sound", False: "NOT SOUND", None: "not known"}[check["is_sound"]]
    print_text(f"{verdict:<10} {check['name']}: {check['told']}", hanging=" " * 11)
    _remedy(check["fix"])


def print_device(document: dict[str, Any]) -> None:
    """Processor, GPUs and meters."""
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
        energy += ", hidden by CUDA_VISIBLE_DEVICES" if board["visible"] is False else ""
        _found("NVML", f"{board['index']} {board['name']}, driver {document['nvml']['driver']}, {energy}")
        _remedy(board["fix"])
    _missing("NVML", document["nvml"])
    if document["rapl"]["zones"]:
        _found("RAPL", ", ".join(map(str, document["rapl"]["zones"])))
    _missing("RAPL", document["rapl"])


def _found(label: str, text: str) -> None:
    print_text(f"{label:<10} {text}", hanging=" " * 11)


def _missing(label: str, part: dict[str, Any], name: str = "") -> None:
    if part["reason"] is not None:
        _found(label, f"{name}{'' if part['available'] else 'no: '}{part['reason']}")
        _remedy(part["fix"])


def _remedy(fix: str | None) -> None:
    if fix:
        print_text(" " * 13 + fix, hanging=" " * 13)
