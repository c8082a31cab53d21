"""How a plan looks in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from osanas.cli.render.figures import COUNTED, Figure, remarks, table
from osanas.cli.render.layout import Column, Listing, print_text
from osanas.cli.render.numbers import DASH, counted, duration, members, number, pairs


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
        *COUNTED[:3],
        Figure("latency_ms", ("latency", "ms")),
        Figure("energy_mj", ("energy mJ", source) if source else ("energy", "mJ")),
        Figure("epoch_s", ("epoch", "s")),
    )
    listing = table([{"model": row["member"], **row} for row in rows], columns)
    Listing(
        (Column(("member",), numeric=False), *listing.columns[1:]),
        [[*cells, row["epoch_from"] or DASH] for cells, row in zip(listing.rows, rows, strict=True)],
        "epoch from",
    ).print()
    for text in remarks(
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
    first, *further = document["trainings"]
    trainings = [f"{counted(first['candidates'], 'candidate')} to {counted(first['epochs'], 'epoch')}"]
    trainings += [f"{row['candidates']:,} of them on to {row['epochs']:,}" for row in further]
    print_text(f"trainings: {', '.join(trainings)}; {counted(document['epochs'], 'epoch')} in all", hanging="  ")
    if document["seconds"] is None:
        print_text(f"time: not known, {document['reason']}", hanging="  ")
    else:
        at_once = f", {counted(document['workers'], 'worker')} at once" if document["workers"] > 1 else ""
        parts = [
            f"training {duration(document['training_s'])} at {number(document['epoch_s'])} s an epoch{at_once}",
            f"measuring {duration(document['measuring_s'])}",
        ]
        print_text(f"time: about {duration(document['seconds'])} ({', '.join(parts)})", hanging="  ")
    kwh, reason = document["energy_kwh"], document["energy_reason"]
    print_text(f"energy: {f'not known, {reason}' if kwh is None else f'about {number(kwh)} kWh'}", hanging="  ")
    print_text(document["assumption"])
