"""One thread for everything, and no test may leave the process other than it found it."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# before torch is imported, here and in every subprocess: spinning threads slow a shared machine down many times
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["OMP_NUM_THREADS"] = "1"

hypothesis.settings.register_profile("osanas", deadline=None, max_examples=40)
hypothesis.settings.load_profile("osanas")

# A shell starts what it puts in the background with Ctrl-C ignored, and subprocesses inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# set by libraries when they are first imported or find a GPU, and by pytest around each phase of a test
_SET_BY_IMPORTS = (
    "KMP_",
    "CUDA_DEVICE_ORDER",
    "CUDA_MODULE_LOADING",
    "PYTORCH_NVML_BASED_CUDA_CHECK",
    "PYTEST_CURRENT_TEST",
    "TORCHINDUCTOR_CACHE_DIR",
    "_TORCHINDUCTOR_",
    "TRITON_",
)


@pytest.fixture(scope="session", autouse=True)
def _own_locks() -> Iterator[None]:
    """A temporary folder, and so device locks, of this process's own: other measurements do not pause its trainings."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="osanas-tests-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL's server runs as another user
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(autouse=True)
def _leaves_no_trace() -> Iterator[None]:
    """Fails a test that leaves environment variables, torch's threads or its default type changed; restores them."""
    environment = dict(os.environ)
    yield
    changed = sorted(
        name
        for name in environment.keys() | os.environ.keys()
        if environment.get(name) != os.environ.get(name) and not name.startswith(_SET_BY_IMPORTS)
    )
    leaks = [f"environment variable {name}" for name in changed]
    for name in changed:
        if name in environment:
            os.environ[name] = environment[name]
        else:
            del os.environ[name]
    leaks += _restored_torch_settings()
    if leaks:
        pytest.fail(f"The test left changed: {', '.join(leaks)}.")


def _restored_torch_settings() -> list[str]:
    if "torch" not in sys.modules:
        return []
    import torch

    leaks = []
    if torch.get_num_threads() != 1:
        leaks.append(f"torch threads ({torch.get_num_threads()})")
        torch.set_num_threads(1)
    if torch.get_default_dtype() != torch.float32:
        leaks.append(f"torch default type ({torch.get_default_dtype()})")
        torch.set_default_dtype(torch.float32)
    return leaks
