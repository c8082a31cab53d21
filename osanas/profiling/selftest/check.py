"""What a check of the self-test finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

REPORT = "Report it with the output of 'osanas doctor --selftest --json'."


@dataclass(frozen=True)
class Check:
    """What one part of the self-test found."""

    is_sound: bool | None
    """None where this machine cannot tell."""
    told: str
    fix: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)
