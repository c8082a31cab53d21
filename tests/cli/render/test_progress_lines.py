from __future__ import annotations

from dataclasses import replace

import pytest

from osanas.cli.render.numbers import duration
from osanas.cli.render.progress_lines import SETTLED, Clock, Lines
from osanas.study.events import CandidateDone, Note, Remeasuring, Waiting
from osanas.study.records import Holder
from tests.cli.render.events import COMPLETE, STARTED, begun, candidate_started, epoch_done


def test_opening() -> None:
    assert Lines().of(STARTED).splitlines() == [
        "study s in sqlite:///studies/s/study.db",
        "space small (144 members), sampler tpe, 1 epoch a candidate, 6 candidates; 2 trained already",
        "objectives accuracy, latency_ms, energy_mj on Fast CPU, energy rapl",
    ]
    fresh = begun(trained=0, trials=1, rungs=[5], energy_source=None, size=3 * 10**11)
    assert Lines().of(fresh).splitlines()[1:] == [
        "space small (3.0e+11 members), sampler tpe, 5 epochs a candidate, 1 candidate",
        "objectives accuracy, latency_ms, energy_mj on Fast CPU",
    ]
    assert Lines().of(begun(rungs=[1, 3, 9])).splitlines()[1] == (
        "space small (144 members), sampler tpe, 1, 3 or 9 epochs a candidate, 6 candidates; 2 trained already"
    )


def test_the_rung_and_promotions_are_told() -> None:
    told = Lines()
    told.of(begun(rungs=[1, 3]))
    first = CandidateDone(COMPLETE, 3, 6, 1, 0.1)
    assert told.candidate(first) == "3/6  trial 7  acc 0.900  1.23 ms  - mJ  1 of 3 epochs"
    promoted = replace(COMPLETE, trial=9, epochs=3, promoted_from=7)
    assert told.candidate(replace(first, candidate=promoted)).endswith("  3 of 3 epochs, from 7")
    repeated = replace(COMPLETE, trial=9, epochs=3, repeat=1)
    assert told.candidate(replace(first, candidate=repeated)).endswith("  3 epochs, repeat 1")
    stopped = replace(promoted, status="failed", reason="The loss is nan.")
    assert told.of(replace(first, candidate=stopped)) == "3/6  trial 9  failed: The loss is nan."


def test_a_candidate_of_a_long_search_fits_80_columns() -> None:
    told = Lines()
    told.of(begun(rungs=[10, 30, 100]))
    longest = replace(
        COMPLETE, trial=234, epochs=100, promoted_from=190, latency_ms=0.01234, energy_mj=0.1234, score=0.12345
    )
    assert len(told.candidate(CandidateDone(longest, 200, 200, 1, 0.1))) <= 80


def test_a_line_tells_the_front_its_share_and_the_time_left() -> None:
    now = [1000.0]
    told = Lines(now=lambda: now[0])
    told.of(STARTED)
    now[0] += 10
    assert told.of(CandidateDone(COMPLETE, 3, 6, 1, 0.123456)) == (
        "3/6  trial 7  acc 0.900  1.23 ms  - mJ  1 epoch  front 1  30 s left"
    )
    now[0] += 10
    other = replace(COMPLETE, trial=8, digest="a1:1")
    assert told.of(CandidateDone(other, 4, 6, 2, 0.2, share=0.934)) == (
        "4/6  trial 8  acc 0.900  1.23 ms  - mJ  1 epoch  front 2, 93 % of the expected end  20 s left"
    )


def test_settled_is_said_once() -> None:
    told = Lines()
    told.of(STARTED)
    done = CandidateDone(COMPLETE, 3, 6, 1, 0.1)
    said = [told.of(replace(done, is_settled=settled)).count(SETTLED) for settled in (False, True, True)]
    assert said == [0, 1, 0]


def test_duplicates_are_counted() -> None:
    told = Lines()
    told.of(STARTED)
    duplicate = replace(COMPLETE, status="duplicate", reason="the network of trial 1")
    assert [told.of(CandidateDone(duplicate, 2, 6, 1, 0.1)) for _ in range(20)] == [""] * 20
    assert told.of(CandidateDone(COMPLETE, 6, 6, 1, 0.1)).endswith("  (after 20 duplicates)")
    assert "duplicate" not in told.of(CandidateDone(COMPLETE, 6, 6, 1, 0.1))


def test_what_happens_often_is_told_once_and_counted() -> None:
    told = Lines()
    noisy = [Note(f"Trial {trial}: it is noisy.", counted_as="it is noisy") for trial in (3, 4, 5)]
    drift = Note("The device has drifted.", counted_as="the device had drifted")
    said = [told.of(note) for note in (noisy[0], drift, *noisy[1:], Note("once"), Note("once"))]
    assert said == [
        "Trial 3: it is noisy. Further ones are counted.",
        "The device has drifted. Further ones are counted.",
        "",
        "",
        "once",
        "once",
    ]
    assert told.counts() == ["3 times: it is noisy"]


def test_other_events() -> None:
    told = Lines()
    told.of(STARTED)
    waiting = Waiting((Holder(3, "host", 42),))
    assert told.of(waiting) == "waiting for other workers: trial 3 (host, pid 42)"
    assert told.of(waiting) == ""  # said already
    assert told.of(Waiting(())) == "waiting for other workers"
    assert told.of(candidate_started(1, continued=True)) == "trial 1 goes on where another process left it"
    assert told.of(candidate_started(1)) == ""
    assert told.of(epoch_done(1, 1, 0.5)) == ""


def test_measuring_again_is_a_line_at_its_beginning() -> None:
    told = Lines()
    assert told.of(Remeasuring(7, 1, 3, in_full=True)) == "measuring the front in full: 3 candidates"
    assert told.of(Remeasuring(8, 2, 3, in_full=True)) == ""
    assert told.of(Remeasuring(7, 1, 1, in_full=False)) == "measuring the front of an earlier key again: 1 candidate"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5000, "83 min"), (9000, "2.5 h")]
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_score_of_another_task_is_told_by_its_name() -> None:
    told = Lines()
    told.of(begun(objectives=["dice", "latency_ms"]))
    assert "trial 7  dice 0.900  1.23 ms" in told.of(CandidateDone(COMPLETE, 3, 6, 1, 0.1))


# the clock ----------------------------------------------------------------------------------------------------------


def test_a_promotion_counts_what_it_adds_and_repeats_are_still_to_come() -> None:
    """A first rung of 2 s, then 4 s more for the same candidate; two members of the front are repeated at 6 s each."""
    now = [0.0]
    clock = Clock(begun(trained=0, trials=1, confirm=1, rungs=[1, 3]).record, lambda: now[0])
    clock.started(candidate_started(0))
    now[0] = 2.0
    first = replace(COMPLETE, trial=0, training_seconds=2.0)
    assert clock.done(CandidateDone(first, 1, 1, 1, 0.1)).endswith(" left")
    clock.started(candidate_started(1, 0))
    now[0] = 6.0
    second = replace(first, trial=1, epochs=3, promoted_from=0, training_seconds=6.0)
    assert clock.done(CandidateDone(second, 1, 1, 2, 0.1)) == "12 s left"
    now[0] = 12.0
    repeated = replace(first, trial=2, epochs=3, repeat=1, training_seconds=6.0)
    assert clock.done(CandidateDone(repeated, 1, 1, 2, 0.1)) == "6 s left"


def test_measuring_before_a_training_counts_once_a_candidate() -> None:
    """Each candidate of this process takes 3 s of measuring and 1 s of training."""
    now = [0.0]
    clock = Clock(begun(trained=0, trials=4).record, lambda: now[0])
    for trial, left in enumerate(("12 s left", "8 s left", "4 s left")):
        clock.started(candidate_started(trial))
        now[0] += 4.0
        done = replace(COMPLETE, trial=trial, digest=f"a1:{trial}", training_seconds=1.0)
        assert clock.done(CandidateDone(done, trial + 1, 4, 1, 0.1)) == left


def test_no_time_left_is_told_before_a_training_and_at_the_end() -> None:
    clock = Clock(begun(trained=5, trials=6).record, iter([0.0, 1.0, 2.0]).__next__)
    stopped = replace(COMPLETE, status="infeasible", training_seconds=None)
    assert clock.done(CandidateDone(stopped, 5, 6, 1, 0.1)) == ""
    assert clock.done(CandidateDone(COMPLETE, 6, 6, 1, 0.1)) == ""
