"""The files that trainings go on from: one a candidate, kept only for those that may be needed again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from osanas.pareto import Direction, rank
from osanas.strategy.history import History, Seen

MOST_WAITING = 32
"""Candidates below the highest rung whose checkpoints are kept. One further down trains again from its start if it is
promoted all the same."""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a study on this machine.

    Attributes:
        folder: Where they lie.
        study: Begins their names; it keeps apart studies of one name in several databases.
    """

    folder: Path
    study: str

    def path(self, digest: str) -> Path:
        """The checkpoint of a candidate."""
        return self.folder / f"{self.study}-{digest.replace(':', '-')}.ckpt"

    def tidy(self, needed: Callable[[], Collection[str]]) -> None:
        """Deletes the files of candidates that are not needed.

        Args:
            needed: Digests of those that are. It is asked after the files were listed, so that a candidate that
                another worker begins meanwhile is not taken for a forgotten one.
        """
        files = list(self.folder.glob(f"{self.study}-*"))
        if not files:
            return
        stems = {self.path(digest).stem for digest in needed()}
        for file in files:
            if file.name.partition(".")[0] not in stems:
                file.unlink(missing_ok=True)


def worth_keeping(history: History, front: Collection[str], most: int = MOST_WAITING) -> set[str]:
    """Digests of the candidates whose checkpoints are kept.

    Args:
        history: What is known.
        front: Digests of the members of the front.
        most: How many of those that wait for a promotion; the best by non-dominated rank within their rung.

    Returns:
        Those, the members of the front that have not failed further up, and all that train.
    """
    running = {member.digest for member in history.seen if member.running is not None}
    closed = {member.digest for member in history.seen if member.is_closed}
    return running | (set(front) - closed) | {member.digest for member in _ranked(history)[:most]}


def _ranked(history: History) -> list[Seen]:
    """The candidates that may be promoted, the best first."""
    directions: list[Direction] = ["maximize"]
    directions += ["minimize"] * len(history.cost_objectives)
    placed: list[tuple[int, int, float, str, Seen]] = []
    for rung in history.rungs[:-1]:
        here = [member for member in history.seen if member.epochs == rung and _waits(member)]
        known = [member for member in here if history.cost_values(member) is not None]
        ranks = rank([_point(member, history) for member in known], directions)
        last = len(here)
        places = {member.digest: place for member, place in zip(known, ranks, strict=True)}
        placed += [
            (places.get(member.digest, last), -rung, -member.accuracies[rung], member.digest, member) for member in here
        ]
    return [entry[-1] for entry in sorted(placed, key=lambda entry: entry[:-1])]


def _waits(member: Seen) -> bool:
    return member.running is None and not member.is_closed


def _point(member: Seen, history: History) -> Sequence[float]:
    return (member.accuracies[member.epochs], *(history.cost_values(member) or ()))
