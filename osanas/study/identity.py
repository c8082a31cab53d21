"""What a study is: what may not change when it is resumed. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osanas.errors import StudyError, UsageError
from osanas.study.config import difference
from osanas.study.objectives import ACCURACY, Score


def study_identity(
    space: Mapping[str, Any],
    objectives: Sequence[str],
    rungs: Sequence[int],
    score: Score,
    *parts: Mapping[str, Any],
) -> dict[str, Any]:
    """What may not change when a study resumes, as JSON, but that rungs may be added at the end.

    Sampler, limits, trials and timeout may change.

    Args:
        space: The space's document.
        objectives: By name.
        rungs: Epochs at each rung of the ladder.
        score: Of the task; accuracy, as all studies had before there were others, is left out.
        parts: What measurer and trainer say of themselves.

    Raises:
        UsageError: Energy is an objective and cannot be had.
    """
    identity: dict[str, Any] = {"space": dict(space), "objectives": list(objectives), "rungs": list(rungs)}
    for part in parts:
        identity |= part
    if score != ACCURACY:
        identity["score"] = {"name": score.name, "unit": score.unit}
    if "energy_mj" in objectives and identity["energy_source"] is None:
        raise UsageError(
            "Energy is an objective, but there is no meter and no estimate.",
            "Choose another --energy, or leave energy_mj out of --objectives.",
        )
    return identity


def require_same(stored: Mapping[str, Any], current: Mapping[str, Any], what: str) -> None:
    """Refuses to resume a study as another one.

    Args:
        stored: Its identity in the database.
        current: That of this run. Its ``rungs`` may have higher ones at their end.
        what: The study, for the message.

    Raises:
        StudyError: With what differs.
    """
    rungs, climbed = list(stored.get("rungs", ())), list(current.get("rungs", ()))
    is_extended = climbed[: len(rungs)] == rungs
    changes = difference(stored, {**current, "rungs": rungs} if is_extended and rungs else current)
    if not changes:
        return
    listing = "".join(f"\n  {line}" for line in changes)
    hint = "" if is_extended else " Of the rungs, only higher ones may be added at the end."
    raise StudyError(
        f"{what} was made with other settings:{listing}",
        f"\nRepeat the stored settings to resume it, or give the new study a name of its own with --study.{hint}",
    )
