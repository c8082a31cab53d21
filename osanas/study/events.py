"""What a search tells while it runs. Plain data, for a display or a log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osanas.genotype.architecture import Architecture
from osanas.study.objectives import Limits
from osanas.study.records import Candidate, CurvePoint, Holder


@dataclass(frozen=True)
class SearchStarted:
    """A search begins or continues.

    Attributes:
        study: Its name.
        storage: Address of its database, without passwords.
        folder: Where its files lie.
        objectives: By name.
        energy_source: ``nvml``, ``rapl`` or ``estimated``; None where energy is not measured.
        device: That it is measured on, as JSON.
        sampler: Who proposes candidates.
        space: Its name.
        space_size: Number of genotypes in the space.
        rungs: Epochs of training at each rung of the ladder.
        trained: Distinct candidates already trained, towards ``target``.
        target: How many shall be.
        limits: Hard ones.
    """

    study: str
    storage: str
    folder: Path
    objectives: tuple[str, ...]
    energy_source: str | None
    device: dict[str, Any]
    sampler: str
    space: str
    space_size: int
    rungs: tuple[int, ...]
    trained: int
    target: int
    limits: Limits


@dataclass(frozen=True)
class CandidateStarted:
    """A candidate is about to be measured and trained.

    Attributes:
        trial: Its number.
        architecture: The network.
        epochs: The rung to which it is trained.
        promoted_from: The trial whose training it goes on with.
        continued: Whether another process began it.
    """

    trial: int
    architecture: Architecture
    epochs: int
    promoted_from: int | None
    continued: bool


@dataclass(frozen=True)
class EpochDone:
    """An epoch of the current candidate is over.

    Attributes:
        trial: Its number.
        point: Of its learning curve.
        epochs: Of its rung, ``point.epoch`` of which are done.
    """

    trial: int
    point: CurvePoint
    epochs: int


@dataclass(frozen=True)
class CandidateDone:
    """A trial ended, whatever its status.

    Attributes:
        candidate: The trial.
        trained: Distinct candidates trained so far, towards ``target``.
        target: How many shall be.
        front_size: Members of the study's front after it.
        hypervolume: Of that front.
    """

    candidate: Candidate
    trained: int
    target: int
    front_size: int
    hypervolume: float


@dataclass(frozen=True)
class Remeasuring:
    """A trained candidate is about to be measured again, as ``number`` of ``total``.

    Attributes:
        trial: Its number.
        number: From 1.
        total: How many are measured again.
        in_full: Whether as a member of the final front by the full protocol, or under a key that has changed.
    """

    trial: int
    number: int
    total: int
    in_full: bool


@dataclass(frozen=True)
class Waiting:
    """Nothing to do but other workers' trials run; the search ends when they have.

    Attributes:
        holders: Who holds them.
    """

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
                self.note(f"Trial {trial}: {note} (later trials may be too)")
