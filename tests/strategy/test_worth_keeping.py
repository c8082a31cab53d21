from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from osanas.genotype.space import SearchSpace
from osanas.strategy.history import CandidateState, History
from osanas.strategy.ladder import worth_keeping
from osanas.study.objectives import Limits
from tests.fakes import SMALL

MEMBER = SearchSpace.from_dict(SMALL).smallest()
RUNGS = (1, 3, 9)


def seen(
    digest: str, score: float, latency_ms: float | None, *, epochs: int = 1, running: int | None = None,
    closed: bool = False,
) -> CandidateState:  # fmt: skip
    scores = {rung: score for rung in RUNGS if rung <= epochs}
    return CandidateState(digest, MEMBER, {"latency_ms": latency_ms}, scores, {}, running, closed)


def history(*members: CandidateState) -> History:
    return History(RUNGS, ("accuracy", "latency_ms"), Limits(), members)


def test_which_are_kept() -> None:
    known = history(
        seen("waiting", 0.5, 1.0),
        seen("higher", 0.6, 2.0, epochs=3),
        seen("training", 0.5, 1.0, running=3),
        seen("beginning", 0.0, None, epochs=0, running=1),
        seen("failed", 0.9, 1.0, closed=True),
        seen("on the front", 0.9, 1.0, epochs=9),
        seen("behind it", 0.8, 2.0, epochs=9),
    )
    assert worth_keeping(known, {"on the front", "failed"}) == {
        "waiting",
        "higher",
        "training",
        "beginning",
        "on the front",
    }


def test_the_best_by_rank_within_their_rung_are_kept() -> None:
    known = history(
        seen("good", 0.6, 1.0),
        seen("fast", 0.4, 0.5),
        seen("dominated", 0.5, 1.5),
        seen("unmeasured", 0.99, None),
        seen("far", 0.7, 1.0, epochs=3),
        seen("far and dominated", 0.65, 1.0, epochs=3),
    )
    best = ["far", "good", "fast", "far and dominated", "dominated", "unmeasured"]
    for most in range(len(best) + 1):
        assert worth_keeping(known, (), most) == set(best[:most])


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.none() | st.floats(0.1, 9), st.sampled_from([0, 1, 3, 9]), st.booleans()),
        max_size=30,
    ),
    st.integers(0, 10),
)
def test_disk_use_is_bounded(found: list[tuple[float, float | None, int, bool]], most: int) -> None:
    members = [
        seen(str(index), accuracy, latency_ms, epochs=epochs, closed=closed)
        for index, (accuracy, latency_ms, epochs, closed) in enumerate(found)
    ]
    kept = worth_keeping(history(*members), (), most)
    assert len(kept) <= most
    open_below = [member for member in members if 0 < member.epochs < 9 and not member.is_closed]
    assert kept <= {member.digest for member in open_below}
    assert len(kept) == min(most, len(open_below))
