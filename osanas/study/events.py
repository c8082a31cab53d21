"""What a search tells while it runs. Plain data, for a display or a log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from osanas.genotype.architecture import Architecture
from osanas.study.records import Candidate, CurvePoint, Holder, StudyRecord


@dataclass(frozen=True)
class SearchStarted:
    """A search begins or continues, with so many candidates trained before."""

    record: StudyRecord
    storage: str
    space: str
    space_size: int
    trained: int


@dataclass(frozen=True)
class CandidateStarted:
    """A candidate is about to be measured and trained."""

    trial: int
    architecture: Architecture
    epochs: int
    promoted_from: int | None
    continued: bool
    repeat: int = 0


@dataclass(frozen=True)
class EpochDone:
    """An epoch of the current candidate is over."""

    trial: int
    point: CurvePoint
    epochs: int


@dataclass(frozen=True)
class CandidateDone:
    """A trial ended, whatever its status."""

    candidate: Candidate
    trained: int
    target: int
    front_size: int
    hypervolume: float


@dataclass(frozen=True)
class Remeasuring:
    """A trained candidate is about to be measured again, as ``number`` of ``total``."""

    trial: int
    number: int
    total: int
    in_full: bool


@dataclass(frozen=True)
class Waiting:
    """Nothing to do but other workers' trials run; the search ends when they have."""

    holders: tuple[Holder, ...]


@dataclass(frozen=True)
class Note:
    """Something a reader of the results should know."""

    text: str


Event = SearchStarted | CandidateStarted | EpochDone | CandidateDone | Remeasuring | Waiting | Note
Listener = Callable[[Event], None]


@dataclass
class Announcer:
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
                self.note(f"Trial {trial}: {note}. It is not said again for later trials.")
