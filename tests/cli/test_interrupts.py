"""Interrupts that Python would lose."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from osanas.study.config import StudyConfig
from osanas.study.events import Listener, Note
from tests.cli.conftest import Command


class Fragile:
    """Python ignores what is raised while it goes away."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_within_a_destructor_ends_the_search_at_the_next_event(
    osanas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = []

    def run(config: StudyConfig, *, listener: Listener, **_: Any) -> None:
        Fragile()
        reached.append("after the interrupt")
        listener(Note("told"))
        reached.append("after the next event")

    monkeypatch.setattr("osanas.engine.api.run_search", run)
    before = signal.getsignal(signal.SIGTERM)
    result = osanas("search", "--space", "tiny")
    assert result.code == 130
    assert reached == ["after the interrupt"]
    assert "Interrupted. Run the same command again to go on from here." in result.err
    assert signal.getsignal(signal.SIGTERM) is before
