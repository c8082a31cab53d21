from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from osanas.store.leases import Lease, Pace
from osanas.store.store import Store
from osanas.study.config import StudyConfig
from osanas.study.records import StudyRecord
from tests.store.helpers import IDENTITY

OpenLease = Callable[[], Lease]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 's.db'}", create=True)


@pytest.fixture
def record(store: Store) -> StudyRecord:
    return store.register_study("s", IDENTITY, StudyConfig(study="s"), {"name": "cpu"})


@pytest.fixture
def open_lease(store: Store, record: StudyRecord) -> Iterator[OpenLease]:
    """Opens leases of one study that live until the test ends."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Lease.open(store, record.id, Pace()))


@pytest.fixture
def lease(open_lease: OpenLease) -> Lease:
    return open_lease()
