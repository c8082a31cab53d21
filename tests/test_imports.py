from __future__ import annotations

import subprocess
import sys

import pytest

import osanas

HEAVY = ("torch", "optuna", "pytorch_lightning", "lightning", "sqlalchemy", "torchvision", "sklearn")


def _loaded_by(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after running some code."""
    script = f"{code}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    return set(done.stdout.split())


def test_the_probe_sees_what_is_loaded() -> None:
    assert _loaded_by("import sqlalchemy") == {"sqlalchemy"}


@pytest.mark.parametrize(
    "code",
    [
        "import osanas",
        "from osanas import Architecture, SearchSpace; SearchSpace.load('vovnet').smallest().digest",
        "from osanas.pareto import front; front([(1, 2)], ['minimize'] * 2)",
        "import osanas.study.config, osanas.validation, osanas.errors",
        "import osanas; dir(osanas)",
    ],
)
def test_light_imports(code: str) -> None:
    assert _loaded_by(code) == set()


def test_building_a_network_needs_no_search() -> None:
    assert _loaded_by("from osanas import build") <= {"torch"}


def test_every_public_name_is_there() -> None:
    for name in osanas.__all__:
        assert callable(getattr(osanas, name)), name
    assert set(osanas.__all__) <= set(dir(osanas))


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'osanas' has no attribute 'serach'"):
        _ = osanas.serach
