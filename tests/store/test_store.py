from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from osanas.errors import EnvironmentFailure, StudyError
from osanas.genotype.architecture import Architecture
from osanas.genotype.space import SearchSpace
from osanas.machine.process import ProcessIdentity, this_process
from osanas.results.savings import Savings, savings_of
from osanas.store import leases
from osanas.store.leases import (
    LeaseKeeper,
    adopt,
    close_lease,
    open_lease,
    others,
    rank,
    release,
    renew,
    reserve,
)
from osanas.store.store import Store, _is_transient
from osanas.store.tables import EvaluationRow, LeaseRow, StudyRow
from osanas.study.config import StudyConfig
from osanas.study.records import CurvePoint, Lease, Outcome, StudyRecord
from tests.fakes import SMALL

MEMBERS: list[Architecture] = list(SearchSpace.from_dict(SMALL).enumerate())[:6]
IDENTITY = {"space": {"name": "small"}, "objectives": ["accuracy"], "epochs": 2}
COSTS = {
    "latency_ms": 1.5,
    "energy_mj": None,
    "energy_source": None,
    "measurement_key": "m1:a",
    "parameters": 10,
    "multiply_adds": 2**40,
    "memory_access_elements": 30,
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 's.db'}", create=True)


@pytest.fixture
def record(store: Store) -> StudyRecord:
    return store.register_study("s", IDENTITY, StudyConfig(study="s"), {"name": "cpu"})


@pytest.fixture
def lease(store: Store, record: StudyRecord) -> Lease:
    return open_lease(store, record.id)


def _claim(store: Store, lease: Lease, index: int, trial: int | None) -> int:
    member = MEMBERS[index]
    evaluation, ours = store.claim(lease, member.digest, member, 2, trial)
    assert ours
    return evaluation.id


# studies ------------------------------------------------------------------------------------------------------------


def test_a_study_keeps_its_identity_and_takes_new_options(store: Store, record: StudyRecord) -> None:
    again = store.register_study("s", IDENTITY, StudyConfig(study="s", trials=9, max_latency_ms=2.0), {"name": "gpu"})
    assert again.id == record.id
    assert again.created_at == record.created_at
    assert (again.config.trials, again.limits.max_latency_ms, again.device) == (9, 2.0, {"name": "gpu"})
    assert store.study("s") == again


def test_another_identity_is_refused_and_nothing_stored(store: Store, record: StudyRecord) -> None:
    with pytest.raises(StudyError) as caught:
        store.register_study("s", {**IDENTITY, "epochs": 3, "new": [1]}, StudyConfig(trials=1), {})
    assert caught.value.problem.splitlines()[1:] == ["  epochs: stored 2, now 3", "  new[0]: stored None, now 1"]
    assert store.study("s") == record


def test_options_of_another_version_are_passed_over(store: Store, record: StudyRecord) -> None:
    config = {**record.config.to_dict(), "an_option_of_tomorrow": 1}
    store.write(lambda session: session.execute(sa.update(StudyRow).values(config=config)))
    assert store.study("s").config == record.config


def test_unknown_studies_are_named_with_a_hint(store: Store) -> None:
    with pytest.raises(StudyError, match=r"There is no study 'x' in .*s\.db. It holds no study yet"):
        store.study("x")
    store.register_study("vovnet-digits", IDENTITY, StudyConfig(), {})
    with pytest.raises(StudyError, match="Did you mean 'vovnet-digits'"):
        store.study("vovnet-digit")


def test_studies_registered_at_once(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda _: store.register_study("s", IDENTITY, StudyConfig(), {}).id, range(12))
    assert set(found) == {1}


# evaluations --------------------------------------------------------------------------------------------------------


def test_a_claim_is_the_first_ones(store: Store, record: StudyRecord, lease: Lease) -> None:
    other = open_lease(store, record.id)
    evaluation, ours = store.claim(lease, MEMBERS[0].digest, MEMBERS[0], 2, 0)
    assert ours
    assert evaluation.costs == dict.fromkeys(("latency_ms", "energy_mj", "parameters", "multiply_adds"))
    again, theirs = store.claim(other, MEMBERS[0].digest, MEMBERS[0], 2, 1)
    assert not theirs
    assert again.trial == 0
    _, deeper = store.claim(other, MEMBERS[0].digest, MEMBERS[0], 6, 2)
    assert deeper  # another fidelity is another evaluation of the same candidate
    assert [candidate.epochs for candidate in store.candidates(record.id)] == [2, 6]


def test_a_claim_repeated_after_a_lost_connection_is_still_ours(store: Store, lease: Lease) -> None:
    _claim(store, lease, 0, 5)
    _claim_again = store.claim(lease, MEMBERS[0].digest, MEMBERS[0], 2, 5)
    assert _claim_again[1]


def test_claims_of_threads_are_one_each(store: Store, record: StudyRecord) -> None:
    holders = [open_lease(store, record.id) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        won = list(
            pool.map(
                lambda pair: store.claim(pair[1], MEMBERS[0].digest, MEMBERS[0], 2, pair[0])[1], enumerate(holders)
            )
        )
    assert sum(won) == 1


def test_the_life_of_an_evaluation(store: Store, record: StudyRecord, lease: Lease) -> None:
    identifier = _claim(store, lease, 0, 0)
    store.save_costs(identifier, COSTS)
    for epoch, accuracy in ((1, 0.1), (1, 0.2), (2, 0.3)):
        store.save_epoch(identifier, CurvePoint(epoch, 1.0, 2.0, accuracy, 0.5))
    store.finish(lease, identifier, Outcome("complete", accuracy=0.3, training_seconds=7.0))
    store.add_duplicate(record.id, 1, identifier)
    store.add_duplicate(record.id, 1, identifier)  # again after a lost connection
    assert [point.val_accuracy for point in store.curve(identifier)] == [0.2, 0.3]
    first, copy = store.candidates(record.id)
    assert (first.status, first.accuracy, first.multiply_adds, first.energy_mj) == ("complete", 0.3, 2**40, None)
    assert (copy.trial, copy.status, copy.accuracy, copy.reason) == (1, "duplicate", 0.3, "the network of trial 0")
    assert first.architecture == MEMBERS[0]
    assert store.summaries()[0].counts == {"complete": 1, "duplicate": 1}


def test_reopening(store: Store, record: StudyRecord, lease: Lease) -> None:
    identifier = _claim(store, lease, 0, 0)
    assert store.reopen(lease, identifier, 1) is None  # it runs
    store.finish(lease, identifier, Outcome("infeasible", reason_kind="limit", reason="too slow"))
    found = store.reopen(lease, identifier, 1)
    assert found is not None
    assert (found.trial, found.status, found.reason) == (1, "running", None)
    assert store.reopen(lease, identifier, 2) is None  # somebody was first
    assert [(c.trial, c.status) for c in store.candidates(record.id)] == [(0, "waiting"), (1, "running")]


def test_a_network_without_a_trial_yet_is_not_listed(store: Store, record: StudyRecord, lease: Lease) -> None:
    identifier = _claim(store, lease, 0, None)
    store.add_duplicate(record.id, 3, identifier)
    assert [(c.trial, c.reason) for c in store.candidates(record.id)] == [(3, "a network that another worker begins")]
    store.assign_trial(lease, identifier, 4)
    assert [c.trial for c in store.candidates(record.id)] == [3, 4]


ACTIONS: dict[str, Callable[[Store, Lease, int], object]] = {
    "claim": lambda store, lease, _: store.claim(lease, MEMBERS[1].digest, MEMBERS[1], 2, 1),
    "reopen": lambda store, lease, identifier: store.reopen(lease, identifier, 1),
    "assign": lambda store, lease, identifier: store.assign_trial(lease, identifier, 9),
    "finish": lambda store, lease, identifier: store.finish(lease, identifier, Outcome("complete", accuracy=0.5)),
    "reserve": lambda store, lease, _: reserve(store, lease, 10, 2),
    "release": lambda store, lease, _: release(store, lease),
    "adopt": lambda store, lease, _: adopt(store, lease),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_is_stored_without_a_lease(store: Store, record: StudyRecord, lease: Lease, action: str) -> None:
    identifier = _claim(store, lease, 0, 0)
    if action == "reopen":
        store.finish(lease, identifier, Outcome("infeasible"))
    close_lease(store, lease)
    before = (store.evaluations(record.id), store.duplicates(record.id))
    with pytest.raises(EnvironmentFailure, match="cut off from the database for longer than its lease"):
        ACTIONS[action](store, lease, identifier)
    assert (store.evaluations(record.id), store.duplicates(record.id)) == before
    assert not renew(store, lease)


def test_measurements_are_kept_by_key_and_network(store: Store) -> None:
    assert store.measurement_record("m1:a", "n") is None
    store.save_measurement("m1:a", {"device": "x"}, "n", {"latency_ms": 1.0, "blocks_ms": [1.0, 1.1]})
    store.save_measurement("m1:a", {"device": "x"}, "n", {"latency_ms": 9.0})
    store.save_measurement("m1:b", {"device": "y"}, "n", {"latency_ms": 2.0})
    found = store.measurement_record("m1:a", "n")
    assert found is not None
    assert found.result == {"latency_ms": 1.0, "blocks_ms": [1.0, 1.1]}
    assert abs(found.measured_at - time.time()) < 60
    assert set(store.measurements("m1:b", ["n", "m"])) == {"n"}
    store.save_measurement("m1:a", {"device": "x"}, "n", {"latency_ms": 9.0}, replace=True)
    replaced = store.measurement_record("m1:a", "n")
    assert replaced is not None
    assert replaced.result == {"latency_ms": 9.0}
    assert replaced.measured_at >= found.measured_at
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: store.save_measurement("m1:c", {}, "n", {"i": i}), range(8)))
    assert store.measurement_record("m1:c", "n") is not None


# transactions -------------------------------------------------------------------------------------------------------


def test_a_transaction_is_run_again_while_the_database_is_locked(store: Store, record: StudyRecord) -> None:
    tries: list[int] = []

    def work(session: Session) -> int:
        tries.append(1)
        if len(tries) < 3:
            raise sa.exc.OperationalError("UPDATE", {}, Exception("database is locked"))
        return len(tries)

    assert store.write(work) == 3


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (sa.exc.OperationalError("", {}, Exception("database is locked")), True),
        (sa.exc.OperationalError("", {}, Exception("server closed the connection unexpectedly")), True),
        (sa.exc.IntegrityError("", {}, Exception("UNIQUE constraint failed")), True),
        (sa.exc.InterfaceError("", {}, Exception("closed"), connection_invalidated=True), True),
        (sa.exc.OperationalError("", {}, Exception("database or disk is full")), False),
        (sa.exc.OperationalError("", {}, Exception("disk I/O error")), False),
        (sa.exc.OperationalError("", {}, Exception("attempt to write a readonly database")), False),
        (sa.exc.ProgrammingError("", {}, Exception("no such column")), False),
        (ValueError("database is locked"), False),
    ],
)
def test_what_may_pass_by_itself(error: Exception, again: bool) -> None:
    assert _is_transient(error) == again


# leases -------------------------------------------------------------------------------------------------------------


def _age(store: Store, lease: Lease, **values: object) -> None:
    store.write(lambda session: session.execute(sa.update(LeaseRow).where(LeaseRow.id == lease.id).values(**values)))


def test_places_are_handed_out_up_to_the_total(store: Store, record: StudyRecord) -> None:
    workers = [open_lease(store, record.id) for _ in range(4)]
    assert [reserve(store, worker, 3, 2) for worker in workers] == [True, True, True, False]
    assert reserve(store, workers[0], 3, 2)  # its own place is no hindrance
    release(store, workers[1])
    assert reserve(store, workers[3], 3, 2)
    assert not reserve(store, workers[1], 3, 2)


@pytest.mark.parametrize(("status", "counts"), [("complete", True), ("infeasible", False), ("failed", False)])
def test_only_trained_candidates_count(store: Store, lease: Lease, status: str, counts: bool) -> None:
    identifier = _claim(store, lease, 0, 0)
    store.finish(lease, identifier, Outcome(status))  # type: ignore[arg-type]
    assert reserve(store, lease, 1, 2) is not counts
    assert reserve(store, lease, 1, 6)  # of another rung


def test_an_abandoned_evaluation_keeps_its_place(store: Store, record: StudyRecord, lease: Lease) -> None:
    """Else a worker would take the place before another adopts the evaluation: one too many."""
    _claim(store, lease, 0, 0)
    close_lease(store, lease)
    second, third = open_lease(store, record.id), open_lease(store, record.id)
    assert not reserve(store, second, 1, 2)
    assert adopt(store, third) is not None
    assert not reserve(store, second, 1, 2)


def test_a_dead_process_is_succeeded_at_once(store: Store, record: StudyRecord, lease: Lease) -> None:
    _claim(store, lease, 0, 7)
    second = open_lease(store, record.id)
    assert adopt(store, second) is None
    holders, starting = others(store, second)
    assert [(holder.trial, holder.pid) for holder in holders] == [(7, this_process().pid)]
    assert not starting
    _age(store, lease, process_started=this_process().process_started - 50)
    adopted = adopt(store, second)
    assert adopted is not None
    assert (adopted.trial, adopted.digest) == (7, MEMBERS[0].digest)
    assert others(store, second) == ([], False)
    assert not renew(store, lease)


def test_another_host_is_succeeded_when_its_lease_expires(store: Store, record: StudyRecord, lease: Lease) -> None:
    _claim(store, lease, 0, 0)
    second = open_lease(store, record.id)
    _age(store, lease, host="elsewhere", pid=2**22 + 1, boot_id="x:1")
    assert adopt(store, second) is None
    _age(store, lease, expires_at=time.time() - 2)
    assert adopt(store, second) is not None


def test_a_claim_without_a_trial_is_left_to_whoever_may_be_starting(store: Store, record: StudyRecord) -> None:
    first, second = open_lease(store, record.id), open_lease(store, record.id)
    assert reserve(store, first, 5, 2)
    _claim(store, first, 0, None)
    assert others(store, second) == ([], True)
    assert adopt(store, second) is None
    _age(store, first, expires_at=0.0)
    adopted = adopt(store, second)
    assert adopted is not None
    assert adopted.trial is None


def test_an_evaluation_is_adopted_once(store: Store, record: StudyRecord, lease: Lease) -> None:
    for index in range(3):
        _claim(store, lease, index, index)
    close_lease(store, lease)
    workers = [open_lease(store, record.id) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = [evaluation for evaluation in pool.map(lambda worker: adopt(store, worker), workers) if evaluation]
    assert sorted(evaluation.trial or 0 for evaluation in found) == [0, 1, 2]
    assert {row.status for row in store.evaluations(record.id)} == {"running"}


def test_an_expired_lease_is_still_its_holders_until_another_clears_it(
    store: Store, record: StudyRecord, lease: Lease
) -> None:
    _age(store, lease, expires_at=0.0)
    assert reserve(store, lease, 1, 2)
    assert others(store, lease) == ([], False)
    assert renew(store, lease)
    _age(store, lease, expires_at=0.0)
    others(store, open_lease(store, record.id))
    assert not renew(store, lease)


def test_workers_are_ranked_by_age(store: Store, record: StudyRecord) -> None:
    workers = [open_lease(store, record.id) for _ in range(3)]
    assert [rank(store, worker) for worker in workers] == [0, 1, 2]
    close_lease(store, workers[0])
    assert [rank(store, worker) for worker in workers[1:]] == [0, 1]


def test_studies_do_not_share_leases(store: Store, record: StudyRecord, lease: Lease) -> None:
    other = store.register_study("t", IDENTITY, StudyConfig(), {})
    elsewhere = open_lease(store, other.id)
    assert reserve(store, lease, 1, 2)
    assert reserve(store, elsewhere, 1, 2)
    assert others(store, elsewhere) == ([], False)


def test_the_keeper_renews_and_sees_a_loss(store: Store, lease: Lease) -> None:
    _age(store, lease, expires_at=time.time() + 1)
    with LeaseKeeper(store, lease, period_s=0.02) as keeper:
        assert not keeper.lost.wait(0.3)
        with store.read() as session:
            assert session.get_one(LeaseRow, lease.id).expires_at > time.time() + leases.LEASE_S - 10
        close_lease(store, lease)
        assert keeper.lost.wait(5)


def test_a_keeper_outlives_a_database_that_is_away(store: Store, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def away(*_: object) -> bool:
        calls.append(1)
        if len(calls) < 3:
            raise EnvironmentFailure("away")
        return False

    monkeypatch.setattr(leases, "renew", away)
    with LeaseKeeper(store, lease, period_s=0.01) as keeper:
        assert keeper.lost.wait(5)
    assert len(calls) == 3


def test_the_clock_is_the_databases(store: Store, lease: Lease) -> None:
    with store.read() as session:
        assert abs(leases._now(session) - time.time()) < 2
        assert abs(session.get_one(LeaseRow, lease.id).expires_at - time.time() - leases.LEASE_S) < 2


def test_processes_are_told_apart() -> None:
    me = this_process()
    assert not me.is_dead_here()
    changes: list[tuple[dict[str, object], bool]] = [
        ({"process_started": me.process_started - 5}, True),
        ({"pid": 2**22 + 1}, True),
        ({"boot_id": "another:" + me.boot_id.partition(":")[2]}, True),
        ({"boot_id": me.boot_id.partition(":")[0] + ":4711"}, False),  # numbers of another container
        ({"host": "elsewhere", "pid": 2**22 + 1}, False),
    ]
    for change, dead in changes:
        assert ProcessIdentity(**{**vars(me), **change}).is_dead_here() is dead, change


def test_documents_are_json(store: Store, record: StudyRecord, lease: Lease) -> None:
    identifier = _claim(store, lease, 0, 0)
    with store.read() as session:
        row = session.get_one(EvaluationRow, identifier)
        assert row.accuracy is None
    json.dumps([record.identity, record.config.to_dict(), record.device])


# rungs --------------------------------------------------------------------------------------------------------------


def _trained(store: Store, lease: Lease, index: int, epochs: int, trial: int, *, begun: int = 0) -> int:
    member = MEMBERS[index]
    evaluation, ours = store.claim(lease, member.digest, member, epochs, trial)
    assert ours
    if not begun:
        store.save_costs(evaluation.id, COSTS)
    for epoch in range(begun + 1, epochs + 1):
        store.save_epoch(evaluation.id, CurvePoint(epoch, 1 / epoch, 1.0, 0.1 * epoch, 1.0))
    store.finish(lease, evaluation.id, Outcome("complete", accuracy=0.1 * epochs))
    return evaluation.id


def test_a_promotion_has_the_costs_of_the_rung_below(store: Store, record: StudyRecord, lease: Lease) -> None:
    _trained(store, lease, 0, 1, 0)
    _trained(store, lease, 0, 3, 1, begun=1)
    evaluation, _ = store.claim(lease, MEMBERS[0].digest, MEMBERS[0], 9, 2)
    assert (evaluation.costs["latency_ms"], evaluation.measurement_key) == (1.5, "m1:a")
    found = store.candidates(record.id)
    assert [(c.epochs, c.promoted_from, c.latency_ms) for c in found] == [(1, None, 1.5), (3, 0, 1.5), (9, 1, 1.5)]
    assert store.epochs_trained(record.id) == 3
    assert store.summaries()[0].counts == {"complete": 1}


def test_evaluations_tell_the_last_training_loss(store: Store, record: StudyRecord, lease: Lease) -> None:
    _trained(store, lease, 0, 3, 0)
    _claim(store, lease, 1, 1)
    assert [evaluation.train_loss for evaluation in store.evaluations(record.id)] == [1 / 3, None]
    assert [evaluation.architecture for evaluation in store.evaluations(record.id)] == MEMBERS[:2]


@pytest.mark.parametrize(
    ("stored", "now", "allowed"),
    [
        ([1, 3], [1, 3], True),
        ([1, 3], [1, 3, 9], True),
        ([9], [9, 27, 81], True),
        ([1, 3, 9], [1, 3], False),
        ([1, 3], [1, 2, 9], False),
        ([3], [1, 3], False),
    ],
)
def test_only_higher_rungs_may_be_added(store: Store, stored: list[int], now: list[int], allowed: bool) -> None:
    store.register_study("ladder", {**IDENTITY, "rungs": stored}, StudyConfig(), {})
    if allowed:
        store.register_study("ladder", {**IDENTITY, "rungs": now}, StudyConfig(), {})
        assert store.study("ladder").identity == {**IDENTITY, "rungs": now}
        return
    with pytest.raises(StudyError) as caught:
        store.register_study("ladder", {**IDENTITY, "rungs": now}, StudyConfig(), {})
    assert "\n  rungs[" in caught.value.problem
    assert caught.value.fix.endswith("Of the rungs, only higher ones may be added at the end.")
    assert store.study("ladder").identity["rungs"] == stored


def test_a_higher_rung_excuses_no_other_change(store: Store) -> None:
    store.register_study("ladder", {**IDENTITY, "rungs": [1]}, StudyConfig(), {})
    with pytest.raises(StudyError) as caught:
        store.register_study("ladder", {**IDENTITY, "rungs": [1, 3], "epochs": 5}, StudyConfig(), {})
    assert caught.value.problem.splitlines()[1:] == ["  epochs: stored 2, now 5"]
    assert "rungs" not in caught.value.fix


def test_savings(store: Store, record: StudyRecord, lease: Lease) -> None:
    _trained(store, lease, 0, 1, 0)
    _trained(store, lease, 0, 3, 1, begun=1)
    _trained(store, lease, 1, 1, 2)
    failed = _trained(store, lease, 2, 1, 3)
    evaluation, _ = store.claim(lease, MEMBERS[2].digest, MEMBERS[2], 3, 4)
    store.finish(lease, evaluation.id, Outcome("failed", reason_kind="diverged", reason="nan"))
    for index, outcome in (
        (3, Outcome("infeasible", reason_kind="limit")),
        (4, Outcome("failed", reason_kind="build")),
    ):
        store.finish(lease, _claim(store, lease, index, 2 + index), outcome)
    store.add_duplicate(record.id, 9, failed)
    found = savings_of(
        store.evaluations(record.id), (1, 3, 9), duplicates=1, epochs_trained=store.epochs_trained(record.id)
    )
    assert found == Savings(
        epochs_trained=5, epochs_saved=(9 - 3) + (9 - 1), duplicates=1, infeasible=1, failed_at_build=1
    )
