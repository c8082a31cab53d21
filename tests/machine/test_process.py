from __future__ import annotations

from osanas.machine.process import ProcessIdentity, this_process


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
