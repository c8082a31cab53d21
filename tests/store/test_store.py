from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from osanas.errors import StudyError
from osanas.store.leases import Lease
from osanas.store.store import Store, _is_transient
from osanas.store.tables import EvaluationRow, StudyRow
from osanas.study.config import StudyConfig
from osanas.study.records import CurvePoint, Outcome, StudyRecord
from tests.store.helpers import COSTS, IDENTITY, MEMBERS, claim

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


def test_the_life_of_an_evaluation(store: Store, record: StudyRecord, lease: Lease) -> None:
    identifier = claim(lease, 0, 0)
    store.save_costs(identifier, COSTS)
    for epoch, accuracy in ((1, 0.1), (1, 0.2), (2, 0.3)):
        store.save_epoch(identifier, CurvePoint(epoch, 1.0, 2.0, accuracy, 0.5))
    lease.finish(identifier, Outcome("complete", score=0.3, training_seconds=7.0))
    store.add_duplicate(record.id, 1, identifier)
    store.add_duplicate(record.id, 1, identifier)  # again after a lost connection
    assert [point.score for point in store.curve(identifier)] == [0.2, 0.3]
    first, copy = store.candidates(record.id)
    assert (first.status, first.accuracy, first.multiply_adds, first.energy_mj) == ("complete", 0.3, 2**40, None)
    assert (copy.trial, copy.status, copy.accuracy, copy.reason) == (1, "duplicate", 0.3, "the network of trial 0")
    assert first.architecture == MEMBERS[0]
    assert store.summaries()[0].counts == {"complete": 1, "duplicate": 1}


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


def test_documents_are_json(store: Store, record: StudyRecord, lease: Lease) -> None:
    identifier = claim(lease, 0, 0)
    with store.read() as session:
        row = session.get_one(EvaluationRow, identifier)
        assert row.score is None
    json.dumps([record.identity, record.config.to_dict(), record.device])


# rungs --------------------------------------------------------------------------------------------------------------


def _trained(store: Store, lease: Lease, index: int, epochs: int, trial: int, *, begun: int = 0) -> int:
    evaluation = claim(lease, index, trial, epochs)
    if not begun:
        store.save_costs(evaluation, COSTS)
    for epoch in range(begun + 1, epochs + 1):
        store.save_epoch(evaluation, CurvePoint(epoch, 1 / epoch, 1.0, 0.1 * epoch, 1.0))
    lease.finish(evaluation, Outcome("complete", score=0.1 * epochs))
    return evaluation


def test_a_promotion_has_the_costs_of_the_rung_below(store: Store, record: StudyRecord, lease: Lease) -> None:
    _trained(store, lease, 0, 1, 0)
    _trained(store, lease, 0, 3, 1, begun=1)
    evaluation, _ = lease.claim(MEMBERS[0], 9, 2)
    assert (evaluation.costs["latency_ms"], evaluation.measurement_key) == (1.5, "m1:a")
    found = store.candidates(record.id)
    assert [(c.epochs, c.promoted_from, c.latency_ms) for c in found] == [(1, None, 1.5), (3, 0, 1.5), (9, 1, 1.5)]
    assert store.epochs_trained(record.id) == 3
    assert store.summaries()[0].counts == {"complete": 1}


def test_evaluations_tell_the_last_training_loss(store: Store, record: StudyRecord, lease: Lease) -> None:
    _trained(store, lease, 0, 3, 0)
    claim(lease, 1, 1)
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
