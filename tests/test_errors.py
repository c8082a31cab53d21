from __future__ import annotations

import inspect

import pytest

from osanas import errors
from osanas.errors import (
    CandidateError,
    ConfigError,
    DataError,
    EnvironmentFailure,
    MissingExtraError,
    OsanasError,
    Problem,
    SearchFailed,
    StudyError,
    UsageError,
)


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [(UsageError, 2), (DataError, 2), (StudyError, 2), (EnvironmentFailure, 3), (SearchFailed, 1), (OsanasError, 1)],
)
def test_says_what_is_wrong_and_what_to_do(kind: type[OsanasError], exit_code: int) -> None:
    error = kind("The sky fell.", "Lift it.")
    assert (error.problem, error.fix, error.exit_code) == ("The sky fell.", "Lift it.", exit_code)
    assert str(error) == "The sky fell. Lift it."


def test_every_error_is_one_of_ours_and_stands_in_the_tree_of_the_docstring() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)]
    assert len(classes) >= 10
    for error_class in classes:
        assert issubclass(error_class, OsanasError)
        assert error_class.__name__ in str(errors.__doc__), error_class


def test_config_error_lists_all_problems() -> None:
    problems = [Problem("stages[1].layers", "an empty range"), Problem("", "not a mapping")]
    assert str(ConfigError("my.yaml", problems)) == (
        "my.yaml has 2 problems:\n  stages[1].layers: an empty range\n  not a mapping\nCorrect the keys named above."
    )
    assert ConfigError("my.yaml", problems[:1]).problem.startswith("my.yaml has 1 problem:\n")
    assert ConfigError("my.yaml", problems).exit_code == 2


def test_missing_extra_names_the_command() -> None:
    error = MissingExtraError("timm", "timm", "The model timm:resnet50")
    assert str(error) == (
        "The model timm:resnet50 needs the package 'timm', which is not installed. "
        "Install it with: pip install 'osanas[timm]'"
    )
    assert isinstance(error, UsageError)


def test_candidate_error_has_a_kind() -> None:
    error = CandidateError("out_of_memory", "The network does not fit.")
    assert (error.kind, str(error)) == ("out_of_memory", "The network does not fit.")
