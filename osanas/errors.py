"""The exception tree. Each error says in one sentence what is wrong and in one what to do.

OsanasError                 exit code
├── UsageError              2   an argument, a name, a file the user gave
│   ├── ConfigError         2   every problem of a configuration at once
│   ├── DataError           2   a data set that is missing or corrupt
│   ├── StudyError          2   a study that is unknown, foreign, or would change on resume
│   └── MissingExtraError   2   an optional dependency that is not installed
├── EnvironmentFailure      3   device, meter or database failed; the study can be resumed
├── SearchFailed            1   finished, but not what was asked
├── CandidateError          -   one candidate failed; the search records it and goes on
└── TrainingStopped         -   training ended because it was told to
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class OsanasError(Exception):
    """Root of every error osanas raises on purpose.

    Args:
        problem: One sentence: what is wrong, with the value received.
        fix: One sentence: what to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, fix: str = "") -> None:
        super().__init__(problem, fix)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.problem} {self.fix}".strip()


class UsageError(OsanasError):
    """The user asked for something that cannot be."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a configuration."""

    key: str
    """Path of the key, such as ``stages[1].layers``; empty for the document as a whole."""
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message


class ConfigError(UsageError):
    """A configuration with one or more problems, all of them reported.

    Args:
        source: What was read: a file's path or a name.
        problems: Everything that is wrong with it.
    """

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        listing = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{source} has {count}:{listing}", "Correct the keys named above.")

    def __str__(self) -> str:
        return f"{self.problem}\n{self.fix}"


class DataError(UsageError):
    """A data set is missing, incomplete or corrupt."""


class StudyError(UsageError):
    """A study is unknown, stored by something else, or would become another one."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed.",
            f"Install it with: pip install 'osanas[{extra}]'",
        )


class EnvironmentFailure(OsanasError):
    """The device, the meter or the database failed: no property of any candidate."""

    exit_code = 3


class SearchFailed(OsanasError):
    """The search ended without what was asked for."""

    exit_code = 1


class CandidateError(OsanasError):
    """One candidate cannot be built, measured or trained.

    Args:
        kind: A short stable word for the reason (``out_of_memory``, ``diverged``, ``build``); equal kinds in a row
            stop a search.
        problem: One sentence: what happened.
    """

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(problem)
        self.kind = kind


class TrainingStopped(OsanasError):
    """Training ended early because it was told to; its checkpoint stays."""


@dataclass(frozen=True)
class Unavailable:
    """There is no meter, and why."""

    reason: str
    """A clause without a full stop: ``RAPL is not readable``."""
    fix: str = ""
