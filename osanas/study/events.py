"""What a search tells while it runs. Plain data, for a display or a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

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
    """A trial ended, whatever its status and whoever did it.

    Attributes:
        candidate: What is known of it.
        trained: Distinct candidates trained so far, at least to the first rung.
        target: How many there are to be.
        front_size: Members of the front.
        hypervolume: Of the front.
        share: The hypervolume as a share of what the search is expected to end with, 0 to 1; None if it is not known.
        is_settled: Whether going on is expected to add next to nothing.
    """

    candidate: Candidate
    trained: int
    target: int
    front_size: int
    hypervolume: float
    share: float | None = None
    is_settled: bool = False


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
    """Something a reader of the results should know.

    Attributes:
        text: Sentences.
        counted_as: What happened in a clause, if it may happen often: then the first text suffices, and a count.
    """

    text: str
    counted_as: str | None = None


Event = SearchStarted | CandidateStarted | EpochDone | CandidateDone | Remeasuring | Waiting | Note
Listener = Callable[[Event], None]


class Say(Protocol):
    """Says something, as ``Announcer.note``."""

    def __call__(self, text: str, counted_as: str | None = None) -> None:
        """Says it."""
        ...


@dataclass
class Announcer:
    """Tells a listener.

    Attributes:
        listener: Told of everything.
        error: What it raised, so that it is not taken for the failure of a candidate.
    """

    listener: Listener
    error: Exception | None = None

    def tell(self, event: Event) -> None:
        """Hands an event on."""
        try:
            self.listener(event)
        except Exception as error:
            self.error = error
            raise

    def note(self, text: str, counted_as: str | None = None) -> None:
        """Says something that a reader of the results should know, as in ``Note``."""
        self.tell(Note(text, counted_as))
