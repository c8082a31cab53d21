from __future__ import annotations

from dataclasses import replace

from osanas.engine.news import News
from osanas.study.records import Candidate, Status
from tests.cli.render.events import COMPLETE


def trial(number: int, status: Status = "complete") -> Candidate:
    return replace(COMPLETE, trial=number, status=status)


def test_each_end_is_given_once_whoever_evaluated_it() -> None:
    news = News()
    news.begin([trial(0), trial(1, "running")], [1])
    assert news.of([trial(0), trial(1, "failed"), trial(2, "waiting")]) == [trial(1, "failed")]
    assert news.of([trial(0), trial(1, "failed"), trial(2, "duplicate")]) == [trial(2, "duplicate")]
    assert news.of([trial(0), trial(1, "failed"), trial(2, "duplicate")]) == []


def test_what_a_killed_process_could_not_tell_is_news() -> None:
    news = News()
    news.begin([trial(0), trial(1)], [1])
    assert news.of([trial(0), trial(1)]) == [trial(1)]
    assert news.of([trial(0), trial(1)]) == []
