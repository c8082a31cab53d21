from __future__ import annotations

import pytest

from osanas.study.events import Announcer, Event, Note


def test_everything_is_handed_on() -> None:
    heard: list[Event] = []
    announcer = Announcer(heard.append)
    announcer.tell(Note("one"))
    announcer.note("two")
    announcer.note("two")
    assert heard == [Note("one"), Note("two"), Note("two")]
    assert announcer.error is None


def test_a_note_may_be_counted() -> None:
    heard: list[Event] = []
    Announcer(heard.append).note("Trial 3: measured hot.", counted_as="measured hot")
    assert heard == [Note("Trial 3: measured hot.", "measured hot")]


def test_what_a_listener_raises_is_remembered_and_goes_on() -> None:
    failure = ValueError("the listener's own")

    def listener(event: Event) -> None:
        raise failure

    announcer = Announcer(listener)
    with pytest.raises(ValueError, match="own"):
        announcer.note("text")
    assert announcer.error is failure


def test_an_interrupt_is_no_error_of_the_listener() -> None:
    def listener(event: Event) -> None:
        raise KeyboardInterrupt

    announcer = Announcer(listener)
    with pytest.raises(KeyboardInterrupt):
        announcer.note("text")
    assert announcer.error is None
