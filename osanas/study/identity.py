"""What may not change when a study is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osanas.errors import StudyError
from osanas.study.config import difference


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
