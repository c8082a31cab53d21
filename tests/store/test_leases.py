from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any, NamedTuple, TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from osanas.errors import EnvironmentFailure
from osanas.machine.process import this_process
from osanas.store.leases import Lease, Pace, _now
from osanas.store.store import Store
from osanas.store.tables import LeaseRow
from osanas.study.config import StudyConfig
from osanas.study.records import UNNUMBERED, Holder, Others, Outcome, StudyRecord
from tests.store.conftest import OpenLease
from tests.store.helpers import IDENTITY, MEMBERS, claim

Result = TypeVar("Result")


def _row(store: Store, lease: Lease) -> LeaseRow | None:
    with store.read() as session:
        return session.get(LeaseRow, lease.id)


def _age(store: Store, lease: Lease, **values: object) -> None:
    store.write(lambda session: session.execute(sa.update(LeaseRow).where(LeaseRow.id == lease.id).values(**values)))


def _clear_away(store: Store, lease: Lease) -> None:
    """What another worker does to an expired lease."""
    store.write(lambda session: session.execute(sa.delete(LeaseRow).where(LeaseRow.id == lease.id)))


# its states ---------------------------------------------------------------------------------------------------------


class Known(NamedTuple):
    """Numbers of evaluations: two that nobody holds, one of them without a trial, and one over a limit."""

    orphan: int
    unnumbered: int
    infeasible: int


STATES: dict[str, Callable[[Lease], object]] = {
    "idle": lambda lease: lease.look(),
    "starting, with a place": lambda lease: lease.reserve(10, 2),
    "starting, with an evaluation": lambda lease: claim(lease, 0, None),
    "holding": lambda lease: claim(lease, 0, 0),
}
"""How a lease comes into each of its states."""

IDLE, STARTING = (False, None), (True, None)

METHODS: dict[str, tuple[Callable[[Lease, Known], object], tuple[bool, int | None]]] = {
    "look": (lambda lease, _: lease.look(), IDLE),
    "reserve a place": (lambda lease, _: lease.reserve(10, 2), STARTING),
    "reserve where none is left": (lambda lease, _: lease.reserve(0, 2), IDLE),
    "claim with a trial": (lambda lease, _: lease.claim(MEMBERS[4], 2, 4), (True, 4)),
    "claim without a trial": (lambda lease, _: lease.claim(MEMBERS[4], 2, None), STARTING),
    "reopen with a trial": (lambda lease, known: lease.reopen(known.infeasible, 5), (True, 5)),
    "reopen without a trial": (lambda lease, known: lease.reopen(known.infeasible, None), STARTING),
    "adopt one with a trial": (lambda lease, known: lease.adopt(known.orphan), (True, 1)),
    "adopt one without a trial": (lambda lease, known: lease.adopt(known.unnumbered), STARTING),
    "assign a trial": (lambda lease, known: lease.assign_trial(known.unnumbered, 6), (True, 6)),
    "finish": (lambda lease, known: lease.finish(known.orphan, Outcome("complete", score=0.5)), IDLE),
}
"""Each method, and what it makes of a lease: whether it is reserved, and its trial."""


def _known(open_lease: OpenLease) -> Known:
    worker = open_lease()
    known = Known(claim(worker, 1, 1), claim(worker, 2, None), claim(worker, 3, 3))
    worker.finish(known.infeasible, Outcome("infeasible", reason_kind="limit"))
    return known


@pytest.mark.parametrize(("state", "method"), list(product(STATES, METHODS)))
def test_each_method_in_each_state(store: Store, open_lease: OpenLease, state: str, method: str) -> None:
    known, lease = _known(open_lease), open_lease()
    STATES[state](lease)
    act, expected = METHODS[method]
    act(lease, known)
    row = _row(store, lease)
    assert row is not None
    assert (row.reserved, row.trial) == expected
    assert lease.renew()
    row = _row(store, lease)
    assert row is not None
    assert (row.reserved, row.trial) == expected


@pytest.mark.parametrize(("state", "method"), list(product(STATES, METHODS)))
def test_nothing_changes_once_the_row_is_gone(
    store: Store, record: StudyRecord, open_lease: OpenLease, state: str, method: str
) -> None:
    known, lease = _known(open_lease), open_lease()
    STATES[state](lease)
    _clear_away(store, lease)
    before = (store.evaluations(record.id), store.duplicates(record.id))
    with pytest.raises(EnvironmentFailure, match="cut off from the database for longer than its lease"):
        METHODS[method][0](lease, known)
    assert (store.evaluations(record.id), store.duplicates(record.id)) == before
    assert not lease.renew()
    assert _row(store, lease) is None


# its life -----------------------------------------------------------------------------------------------------------


class Unsteady(Store):
    """A database whose next transactions fail, as many as are set."""

    failures = 0

    def write(self, work: Callable[[Session], Result], patience_s: float | None = None) -> Result:
        if self.failures > 0:
            self.failures -= 1
            raise EnvironmentFailure("The database is away.")
        return super().write(work, patience_s)


@pytest.fixture
def unsteady(store: Store) -> Unsteady:
    return Unsteady(store.engine, store.url)


def _wait(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _expires_in(store: Store, lease: Lease) -> float:
    with store.read() as session:
        return session.get_one(LeaseRow, lease.id).expires_at - _now(session)


def test_it_is_renewed_until_it_is_closed(store: Store, record: StudyRecord) -> None:
    with Lease.open(store, record.id, Pace(lease_s=100.0, renewal_s=0.02)) as lease:
        _age(store, lease, expires_at=time.time() + 1)
        _wait(lambda: _expires_in(store, lease) > 90)
        assert not lease.lost.is_set()
    assert _row(store, lease) is None


def test_its_loss_is_seen_and_closing_it_is_no_error(store: Store, record: StudyRecord) -> None:
    with Lease.open(store, record.id, Pace(renewal_s=0.02)) as lease:
        _clear_away(store, lease)
        assert lease.lost.wait(10)


def test_it_outlives_a_database_that_is_away(unsteady: Unsteady, record: StudyRecord) -> None:
    with Lease.open(unsteady, record.id, Pace(lease_s=100.0, renewal_s=0.01)) as lease:
        _age(unsteady, lease, expires_at=time.time() + 1)
        unsteady.failures = 3
        _wait(lambda: _expires_in(unsteady, lease) > 90)
        assert unsteady.failures == 0
        assert not lease.lost.is_set()


def test_one_that_cannot_be_given_back_expires_by_itself(unsteady: Unsteady, record: StudyRecord) -> None:
    with Lease.open(unsteady, record.id, Pace()) as lease:
        unsteady.failures = 1
    assert _row(unsteady, lease) is not None


def test_it_is_given_back_when_its_worker_fails(store: Store, record: StudyRecord) -> None:
    with pytest.raises(ValueError, match="failed"), Lease.open(store, record.id, Pace()) as lease:
        raise ValueError("failed")
    assert _row(store, lease) is None


def test_the_clock_is_the_databases(store: Store, lease: Lease) -> None:
    with store.read() as session:
        assert abs(_now(session) - time.time()) < 2
    assert abs(_expires_in(store, lease) - Pace().lease_s) < 2


# evaluations --------------------------------------------------------------------------------------------------------


def test_a_claim_is_the_first_ones(store: Store, record: StudyRecord, lease: Lease, open_lease: OpenLease) -> None:
    other = open_lease()
    evaluation, ours = lease.claim(MEMBERS[0], 2, 0)
    assert ours
    assert evaluation.costs == dict.fromkeys(("latency_ms", "energy_mj", "parameters", "multiply_adds"))
    again, theirs = other.claim(MEMBERS[0], 2, 1)
    assert not theirs
    assert again.trial == 0
    _, deeper = other.claim(MEMBERS[0], 6, 2)
    assert deeper  # another fidelity is another evaluation of the same candidate
    assert [candidate.epochs for candidate in store.candidates(record.id)] == [2, 6]


def test_a_repeat_is_claimed_apart_and_has_the_costs_of_what_it_repeats(
    store: Store, record: StudyRecord, lease: Lease, open_lease: OpenLease
) -> None:
    for trial, (epochs, latency_ms) in enumerate([(2, 1.0), (6, 3.0)]):
        own, _ = lease.claim(MEMBERS[0], epochs, trial)
        costs = {"latency_ms": latency_ms, "energy_mj": None, "energy_source": None, "measurement_key": "m1:a"}
        counts = dict.fromkeys(("parameters", "multiply_adds", "memory_access_elements"), 5)
        store.save_costs(own.evaluation, costs | counts)
        lease.finish(own.evaluation, Outcome("complete", score=0.5))
    repeat, ours = lease.claim(MEMBERS[0], 6, 2, repeat=1)
    assert ours
    assert (repeat.repeat, repeat.epochs, repeat.promoted_from) == (1, 6, None)
    assert (repeat.latency_ms, repeat.measurement_key, repeat.parameters) == (3.0, "m1:a", 5)
    again, theirs = open_lease().claim(MEMBERS[0], 6, 3, repeat=1)
    assert (again.evaluation, theirs) == (repeat.evaluation, False)
    lease.finish(repeat.evaluation, Outcome("complete", score=0.6))
    other, ours = lease.claim(MEMBERS[0], 6, 3, repeat=2)
    assert ours
    lease.finish(other.evaluation, Outcome("failed", reason_kind="build", reason="no"))
    promoted, _ = lease.claim(MEMBERS[0], 18, 4)
    assert promoted.promoted_from == 1  # not the repeat, which has no checkpoint
    assert [(one.trial, one.promoted_from) for one in store.evaluations(record.id)] == [
        *((0, None), (1, 0), (2, None), (3, None), (4, 1)),
    ]
    assert store.summaries()[0].counts == {"complete": 1}


def test_repeats_take_no_place_in_the_total(lease: Lease, open_lease: OpenLease) -> None:
    lease.finish(claim(lease, 0, 0), Outcome("complete", score=0.5))
    lease.claim(MEMBERS[0], 2, 1, repeat=1)
    assert open_lease().reserve(2, 2)
    assert not open_lease().reserve(1, 2)


def test_a_claim_repeated_after_a_lost_connection_is_still_ours(lease: Lease) -> None:
    evaluation = claim(lease, 0, 5)
    again, ours = lease.claim(MEMBERS[0], 2, 5)
    assert (again.evaluation, ours) == (evaluation, True)


def test_claims_of_threads_are_one_each(open_lease: OpenLease) -> None:
    workers = [open_lease() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(lambda trial: workers[trial].claim(MEMBERS[0], 2, trial)[1], range(6)))
    assert sum(won) == 1


def test_reopening(store: Store, record: StudyRecord, lease: Lease) -> None:
    identifier = claim(lease, 0, 0)
    assert lease.reopen(identifier, 1) is None  # it runs
    lease.finish(identifier, Outcome("infeasible", reason_kind="limit", reason="too slow"))
    before = time.time()
    found = lease.reopen(identifier, 1)
    assert found is not None
    assert found.started_at is not None
    assert before <= found.started_at <= time.time()
    assert (found.trial, found.status, found.reason) == (1, "running", None)
    assert lease.reopen(identifier, 2) is None  # somebody was first
    assert [(c.trial, c.status) for c in store.candidates(record.id)] == [(0, "waiting"), (1, "running")]


def test_a_network_without_a_trial_yet_is_not_listed(store: Store, record: StudyRecord, lease: Lease) -> None:
    identifier = claim(lease, 0, None)
    store.add_duplicate(record.id, 3, identifier)
    assert [(c.trial, c.reason) for c in store.candidates(record.id)] == [(3, "a network that another worker begins")]
    lease.assign_trial(identifier, 4)
    assert [c.trial for c in store.candidates(record.id)] == [3, 4]


def test_an_evaluation_is_adopted_once(store: Store, record: StudyRecord, open_lease: OpenLease) -> None:
    with Lease.open(store, record.id, Pace()) as first:
        left = [claim(first, index, index) for index in range(3)]
    workers = [open_lease() for _ in range(4)]

    def adopted(worker: Lease) -> int | None:
        """Of the first one that it gets."""
        found = next(filter(None, map(worker.adopt, left)), None)
        return None if found is None else found.evaluation

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(adopted, workers))
    assert sorted(found, key=lambda number: number or 0) == [None, *left]
    assert {one.status for one in store.evaluations(record.id)} == {"running"}


# the other workers --------------------------------------------------------------------------------------------------


def test_places_are_handed_out_up_to_the_total(open_lease: OpenLease) -> None:
    workers = [open_lease() for _ in range(4)]
    assert [worker.reserve(3, 2) for worker in workers] == [True, True, True, False]
    assert workers[0].reserve(3, 2)  # its own place is no hindrance
    assert workers[3].look().starting == 3
    workers[1].look()
    assert workers[3].reserve(3, 2)
    assert not workers[1].reserve(3, 2)


@pytest.mark.parametrize(("status", "counts"), [("complete", True), ("infeasible", False), ("failed", False)])
def test_only_trained_candidates_count(lease: Lease, status: Any, counts: bool) -> None:
    lease.finish(claim(lease, 0, 0), Outcome(status))
    assert lease.reserve(1, 2) is not counts
    assert lease.reserve(1, 6)  # of another rung


def test_an_abandoned_evaluation_keeps_its_place(store: Store, record: StudyRecord, open_lease: OpenLease) -> None:
    """Else a worker would take the place before another adopts the evaluation: one too many."""
    with Lease.open(store, record.id, Pace()) as first:
        left = claim(first, 0, 0)
    second, third = open_lease(), open_lease()
    assert not second.reserve(1, 2)
    assert third.adopt(left) is not None
    assert not second.reserve(1, 2)


def test_a_dead_process_is_succeeded_at_once(store: Store, lease: Lease, open_lease: OpenLease) -> None:
    left = claim(lease, 0, 7)
    second = open_lease()
    assert second.adopt(left) is None
    me = this_process()
    assert second.look() == Others((Holder(7, me.host, me.pid),), starting=0, older=1)
    _age(store, lease, process_started=me.process_started - 50)
    adopted = second.adopt(left)
    assert adopted is not None
    assert (adopted.trial, adopted.digest) == (7, MEMBERS[0].digest)
    assert second.look() == Others((), starting=0, older=0)
    assert not lease.renew()


def test_another_host_is_succeeded_when_its_lease_expires(store: Store, lease: Lease, open_lease: OpenLease) -> None:
    left = claim(lease, 0, 0)
    second = open_lease()
    _age(store, lease, host="elsewhere", pid=2**22 + 1, boot_id="x:1")
    assert second.adopt(left) is None
    _age(store, lease, expires_at=time.time() - 2)
    assert second.adopt(left) is not None


def test_a_claim_without_a_trial_is_left_to_whoever_may_be_starting(store: Store, open_lease: OpenLease) -> None:
    first, second = open_lease(), open_lease()
    assert first.reserve(5, 2)
    left = claim(first, 0, None)
    assert second.look() == Others((), starting=1, older=1)
    assert second.adopt(left) is None
    _age(store, first, expires_at=0.0)
    adopted = second.adopt(left)
    assert adopted is not None
    assert adopted.trial == UNNUMBERED


def test_an_expired_lease_is_still_its_holders_until_another_clears_it(
    store: Store, lease: Lease, open_lease: OpenLease
) -> None:
    _age(store, lease, expires_at=0.0)
    assert lease.reserve(1, 2)
    assert lease.look() == Others((), starting=0, older=0)
    assert lease.renew()
    _age(store, lease, expires_at=0.0)
    open_lease().look()
    assert not lease.renew()


def test_workers_are_ranked_by_age(store: Store, open_lease: OpenLease) -> None:
    workers = [open_lease() for _ in range(3)]
    assert [worker.look().older for worker in workers] == [0, 1, 2]
    _clear_away(store, workers[0])
    assert [worker.look().older for worker in workers[1:]] == [0, 1]


def test_studies_do_not_share_leases(store: Store, lease: Lease) -> None:
    other = store.register_study("t", IDENTITY, StudyConfig(), {})
    with Lease.open(store, other.id, Pace()) as elsewhere:
        assert lease.reserve(1, 2)
        assert elsewhere.reserve(1, 2)
        assert elsewhere.look() == Others((), starting=0, older=0)
