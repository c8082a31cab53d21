"""A further worker process of a search: ``python -m osanas.engine.companion``, started by the first one.

It reads its ``Order`` from standard input, works silently, and ends at once when that pipe is closed, as it is when the
first process ends in whatever way: all that counts is in the database.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from osanas.engine.companions import Order
from osanas.errors import OsanasError


def main() -> int:
    """Works until the study ends. The exit code is the error's, and its problem is on standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the first process answers it
    with open(0, "rb", buffering=0, closefd=False) as pipe:  # unbuffered: a thread goes on reading it
        line = pipe.readline()
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    if not line:
        return 0
    try:
        _work(Order(**json.loads(line)))
    except OsanasError as error:
        sys.stderr.write(f"{' '.join(error.problem.split())}\n")
        return error.exit_code
    return 0


def _end_with_the_first() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _work(order: Order) -> None:
    import torch

    from osanas.engine.api import run_search
    from osanas.genotype.space import SearchSpace
    from osanas.study.config import StudyConfig

    torch.set_num_threads(order.threads)
    run_search(
        StudyConfig.model_validate(order.config),
        storage=order.storage,
        listener=lambda _: None,
        space=SearchSpace.from_dict(order.space, "space"),
        is_companion=True,
        until=order.until,
    )


if __name__ == "__main__":
    sys.exit(main())
