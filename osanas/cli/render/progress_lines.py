"""What a search tells, as lines of text."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import filterfalse

from osanas.cli.render.numbers import DASH, counted, duration, members, number
from osanas.cli.render.time_left import Ended, seconds_left
from osanas.study.events import (
    CandidateDone,
    CandidateStarted,
    Event,
    Note,
    Remeasuring,
    SearchStarted,
    Waiting,
)
from osanas.study.objectives import ACCURACY, is_cost
from osanas.study.records import Candidate, StudyRecord

SETTLED = "Settled: the next tenth of the search is expected to add less than half a percent."


@dataclass
class Clock:
    """Predicts the time left of a study from what this run has seen of it.

    Attributes:
        record: The study.
        now: Reads seconds since any moment.
    """

    record: StudyRecord
    now: Callable[[], float] = time.monotonic
    _ended: list[Ended] = field(default_factory=list)
    _trained_s: dict[tuple[str, int], float] = field(default_factory=dict)
    _own: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._begun_s = self._free_s = self.now()

    def started(self, event: CandidateStarted) -> None:
        """This process begins a trial."""
        self._own.add(event.trial)

    def done(self, event: CandidateDone) -> str:
        """A trial has ended: the time left, in words; empty where it cannot be told."""
        self._ended.append(self._of(event.candidate))
        record = self.record
        repeats = record.config.confirm * event.front_size - sum(one.is_repeat for one in self._ended)
        missing = max(0, event.target - event.trained)
        seconds = seconds_left(self._ended, record.rungs, missing=missing, repeats=max(0, repeats))
        return f"{duration(seconds)} left" if seconds else ""

    def _of(self, candidate: Candidate) -> Ended:
        now_s = self.now()
        before_s = self._trained_s.get((candidate.digest, candidate.repeat), 0.0)
        training_s = max(0.0, (candidate.training_seconds or 0.0) - before_s)
        is_trained = candidate.status == "complete"
        if is_trained:
            self._trained_s[candidate.digest, candidate.repeat] = candidate.training_seconds or 0.0
        rung = self.record.rungs.index(candidate.epochs) if is_trained and candidate.repeat == 0 else None
        if candidate.trial in self._own:  # of another worker only its training is known
            other_s = max(0.0, now_s - self._free_s - training_s)
            self._free_s = now_s
        else:
            alike = [one.other_s for one in self._ended if one.rung == rung]
            other_s = sum(alike) / len(alike) if alike else 0.0
        is_repeat = is_trained and candidate.repeat > 0
        return Ended(now_s - self._begun_s, training_s, other_s, rung, is_repeat)


@dataclass
class Lines:
    """The text of each event, without epochs. What happens often is counted.

    Attributes:
        score: Name of the study's score.
        left: Time left, in words.
        front: The front's size and share, in words.
        now: Reads seconds since any moment.
    """

    score: str = ACCURACY.name
    left: str = ""
    front: str = ""
    now: Callable[[], float] = time.monotonic
    _clock: Clock | None = None
    _rungs: Sequence[int] = ()
    _duplicates: int = 0
    _waiting: str = ""
    _is_settled: bool = False
    _notes: Counter[str] = field(default_factory=Counter)

    def of(self, event: Event) -> str:
        """The text of an event; empty if there is nothing to say."""
        match event:
            case SearchStarted(record=record):
                self._clock, self._rungs = Clock(record, self.now), record.rungs
                self.score = next(filterfalse(is_cost, record.objectives), self.score)
                return _opening(event)
            case CandidateStarted(trial=trial, continued=continued):
                if self._clock is not None:
                    self._clock.started(event)
                return f"trial {trial} goes on where another process left it" if continued else ""
            case CandidateDone():
                return self._done(event)
            case Waiting(holders=holders):
                names = ", ".join(f"{holder.trial} ({holder.host}, pid {holder.pid})" for holder in holders)
                text = f"waiting for other workers{f': trial {names}' if names else ''}"
                known, self._waiting = self._waiting, text
                return "" if text == known else text
            case Remeasuring(number=1):
                return _again(event)
            case Note():
                return self._note(event)
            case _:
                return ""

    def candidate(self, event: CandidateDone) -> str:
        """A candidate in less than 80 columns: ``23/200  trial 41  acc 0.874  1.23 ms  4.56 mJ  2 of 8 epochs``."""
        candidate = event.candidate
        head = f"{event.trained}/{event.target}  trial {candidate.trial}"
        if candidate.status != "complete":
            return f"{head}  {candidate.status}: {candidate.reason}"
        score = DASH if candidate.score is None else f"{candidate.score:.3f}"
        name = "acc" if self.score == ACCURACY.name else self.score
        figures = f"{name} {score}  {number(candidate.latency_ms)} ms  {number(candidate.energy_mj)} mJ"
        return f"{head}  {figures}  {self._epochs(candidate)}"

    def counts(self) -> list[str]:
        """What happened more than once and was told once."""
        return [f"{count:,} times: {what}" for what, count in self._notes.items() if count > 1]

    def settled(self, event: CandidateDone) -> str:
        """Said once, when going on turns out to add next to nothing."""
        before, self._is_settled = self._is_settled, event.is_settled
        return SETTLED if event.is_settled and not before else ""

    def note_done(self, event: CandidateDone) -> int | None:
        """Takes note of a trial's end.

        Returns:
            The duplicates in a row that came before it; None if it is one itself.
        """
        self.front = f"front {event.front_size}"
        if event.share is not None:
            self.front += f", {event.share * 100:.0f} % of the expected end"
        if event.candidate.status == "duplicate":
            self._duplicates += 1
            return None
        if self._clock is not None:
            self.left = self._clock.done(event)
        repeated, self._duplicates = self._duplicates, 0
        return repeated

    def _done(self, event: CandidateDone) -> str:
        repeated = self.note_done(event)
        if repeated is None:
            return ""
        after = f"(after {counted(repeated, 'duplicate')})" if repeated else ""
        known = [self.front, self.left] if event.candidate.status == "complete" else []
        line = "  ".join(part for part in (self.candidate(event), *known, after) if part)
        return "\n".join(part for part in (line, self.settled(event)) if part)

    def _epochs(self, candidate: Candidate) -> str:
        """Where on the ladder it is, and where it comes from."""
        if candidate.repeat:
            return f"{counted(candidate.epochs, 'epoch')}, repeat {candidate.repeat}"
        if len(self._rungs) < 2:
            return counted(candidate.epochs, "epoch")
        start = "" if candidate.promoted_from is None else f", from {candidate.promoted_from}"
        return f"{candidate.epochs} of {counted(self._rungs[-1], 'epoch')}{start}"

    def _note(self, note: Note) -> str:
        if note.counted_as is None:
            return note.text
        self._notes[note.counted_as] += 1
        return f"{note.text} Further ones are counted." if self._notes[note.counted_as] == 1 else ""


def _opening(event: SearchStarted) -> str:
    record = event.record
    device = record.device.get("name", "unknown device")
    source = f", energy {record.energy_source}" if record.energy_source else ""
    resumed = f"; {event.trained} trained already" if event.trained else ""
    return (
        f"study {record.name} in {event.storage}\n"
        f"space {event.space} ({members(event.space_size)}), sampler {record.config.sampler}, "
        f"{_ladder(record.rungs)}, {counted(record.config.trials, 'candidate')}{resumed}\n"
        f"objectives {', '.join(record.objectives)} on {device}{source}"
    )


def _ladder(rungs: Sequence[int]) -> str:
    if len(rungs) == 1:
        return f"{counted(rungs[0], 'epoch')} a candidate"
    return f"{', '.join(map(str, rungs[:-1]))} or {counted(rungs[-1], 'epoch')} a candidate"


def _again(event: Remeasuring) -> str:
    what = counted(event.total, "candidate")
    if event.in_full:
        return f"measuring the front in full: {what}"
    return f"measuring the front of an earlier key again: {what}"
