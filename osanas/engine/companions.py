"""Further worker processes of a search on this machine, started and watched by the first."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Self

from osanas.genotype.space import SearchSpace
from osanas.study.config import StudyConfig
from osanas.study.records import Holder

_PATIENCE_S = 5.0
"""For the end of a process whose pipe is closed, before it is killed."""


@dataclass(frozen=True)
class Order:
    """What a companion is told, on its standard input.

    Attributes:
        config: The study's options, complete.
        storage: As for ``search``.
        space: The space's document, with its starting points.
        threads: Torch's in the first process before the search, since they are part of the study's identity.
        until: When no candidate is begun any more, in seconds since 1970; None is no limit.
    """

    config: dict[str, Any]
    storage: str | None
    space: dict[str, Any]
    threads: int
    until: float | None = None

    @classmethod
    def of(cls, config: StudyConfig, storage: str | None, space: SearchSpace, threads: int) -> Self:
        """The order to work as this process does."""
        starts = [member.to_dict() for _, member in space.start_from]
        return cls(config.to_dict(), storage, {**space.to_dict(), "start_from": starts}, threads)


@dataclass
class _Process:
    """A running companion, and the file that gets its standard error."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]

    def reason(self) -> str:
        """Why it ended, in a sentence."""
        code = self.process.returncode
        if code < 0:
            killed = "; the system does so when memory runs out" if -code == signal.SIGKILL else ""
            return f"it was ended by the signal {signal.Signals(-code).name}{killed}."
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"its exit code is {code}."


@dataclass
class Companions:
    """Processes that work on the same study, and live no longer than this one. A context manager.

    Attributes:
        order: What each is told.
        count: How many there are to be.
    """

    order: Order
    count: int
    _running: list[_Process] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, time_left_s: float | None) -> None:
        """Starts all of them. The study has to be in the database.

        Args:
            time_left_s: Seconds until no candidate is begun any more; None is no limit.
        """
        until = None if time_left_s is None else time.time() + time_left_s
        line = json.dumps(asdict(replace(self.order, until=until))).encode() + b"\n"
        for _ in range(self.count):
            self._running.append(_start(line))

    def hold(self, holders: Iterable[Holder]) -> bool:
        """Whether one of them is among the holders of trials."""
        ours = {(socket.gethostname(), one.process.pid) for one in self._running}
        return any((holder.host, holder.pid) in ours for holder in holders)

    def failures(self) -> list[str]:
        """What ended others of them than the study's end, since the last call: a note on each."""
        ended = [one for one in self._running if one.process.poll() is not None]
        self._running = [one for one in self._running if one not in ended]
        return [
            f"A further worker process ended: {one.reason()} The search goes on without it."
            for one in ended
            if one.process.returncode != 0
        ]

    def close(self) -> None:
        """Ends them."""
        for one in self._running:
            assert one.process.stdin is not None
            with suppress(BrokenPipeError):
                one.process.stdin.close()
        for one in self._running:
            try:
                one.process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()
        self._running.clear()


def _start(line: bytes) -> _Process:
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process; a pipe would fill up
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "osanas.engine.companion"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        # as this process finds its modules, which a folder of the user's may not change
        env={**os.environ, "PYTHONPATH": os.pathsep.join(os.fspath(Path(place).absolute()) for place in sys.path)},
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended, which is told later
        process.stdin.write(line)
        process.stdin.flush()
    return _Process(process, errors)
