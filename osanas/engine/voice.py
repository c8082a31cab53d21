"""How a worker says what happens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from osanas.study.events import Event, Listener, Note


@dataclass
class Voice:
    """Tells a listener, and remembers what has been said.

    Attributes:
        listener: Told of everything.
        error: What it raised, so that it is not taken for the failure of a candidate.
    """

    listener: Listener
    error: Exception | None = None
    _said: set[str] = field(default_factory=set)

    def tell(self, event: Event) -> None:
        """Hands an event on."""
        try:
            self.listener(event)
        except Exception as error:
            self.error = error
            raise

    def note(self, text: str) -> None:
        """Says something that a reader of the results should know."""
        self.tell(Note(text))

    def note_once(self, trial: int, notes: Iterable[str]) -> None:
        """Tells of the first trial to which each note applies."""
        for note in notes:
            if note not in self._said:
                self._said.add(note)
                self.note(f"Trial {trial}: {note} (later trials may be too)")
