"""Measuring trained candidates again: the front in full when a search ends, and what an earlier key left behind."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from osanas.engine.measuring import Measuring
from osanas.errors import CandidateError
from osanas.results.study import StudyView
from osanas.study.events import Event, Note, Remeasuring
from osanas.study.records import Candidate

Question = Callable[[str], bool]
"""Puts a question to the user: yes or no."""


@dataclass(frozen=True)
class Remeasurement:
    """Measures candidates of a study again. Each is stored at once, so what is cut off goes on with those missing."""

    study: str
    measuring: Measuring
    listen: Callable[[Event], None]

    def front_in_full(self) -> None:
        """Measures the members of the front by the full protocol, as far as they have not been.

        In random order, so that a drift of the device does not look like a property of costly networks. If another
        run of the study has begun on another device since, the front is that one's, and nothing is measured.

        Raises:
            EnvironmentFailure: Device or meter failed; the next run goes on.
        """
        view = StudyView(self.measuring.store, self.study)
        keys = self.measuring.measurer.keys()
        if (view.record.search_key, view.record.final_key) != (keys.search.digest, keys.final.digest):
            return
        missing = view.without_full_figures()
        random.Random(view.record.config.seed).shuffle(missing)  # noqa: S311 - an order, not a secret
        for candidate in self._each(missing, in_full=True):
            with self._own_fault(candidate):
                self.measuring.costs(candidate.architecture, in_full=True)

    def left_behind(self, *, remeasure: bool | None, ask: Question | None) -> None:
        """Measures the front of earlier keys again under the present one, if the user wants it.

        Latency, energy and key of those candidates change in our tables. What Optuna was told of them stays, as it
        lets nobody change it: a sampler goes on learning from the figures of the time.

        Args:
            remeasure: What the user has said; None is nothing.
            ask: For a question to the user; None where nobody can answer.

        Raises:
            EnvironmentFailure: Device or meter failed; the next run goes on.
        """
        view = StudyView(self.measuring.store, self.study)
        members = view.left_behind()
        if not members:
            return
        total = view.front().other_key
        text = (
            f"{total} trained candidate{'s were' if total > 1 else ' was'} measured with another device, driver, "
            f"version or setting, and cannot be compared. {len(members)} of them made the front."
        )
        if remeasure is None and ask is not None:
            remeasure = ask(f"{text} Measure {'these' if len(members) > 1 else 'it'} again now?")
        if not remeasure:
            self.listen(Note(f"{text} The same command with --remeasure measures the front again."))
            return
        evaluations = view.evaluations()
        for candidate in self._each(members, in_full=False):
            with self._own_fault(candidate):
                costs = self.measuring.costs(candidate.architecture)
                for evaluation in evaluations:
                    if evaluation.digest == candidate.digest:
                        self.measuring.keep(evaluation.evaluation, costs)

    def _each(self, candidates: Sequence[Candidate], *, in_full: bool) -> Iterator[Candidate]:
        for number, candidate in enumerate(candidates, start=1):
            self.listen(Remeasuring(candidate.trial, number, len(candidates), in_full))
            yield candidate

    @contextmanager
    def _own_fault(self, candidate: Candidate) -> Iterator[None]:
        """Tells of a network that cannot be measured any more, and goes on with the next."""
        try:
            yield
        except CandidateError as error:
            self.listen(Note(f"Trial {candidate.trial} could not be measured again: {error}"))
