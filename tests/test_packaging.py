"""What a wheel and a source distribution hold, built from a copy of the tree."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SPACES = {path.name for path in (ROOT / "search_spaces").glob("*.yaml")}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="hatchling builds the wheel and is not installed"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution of a tree in which a search has been run."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tree)
    for name in ("osanas", "search_spaces"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "studies" / "mine" / "checkpoints").mkdir(parents=True)
    (tree / "studies" / "shipped.yaml").write_text("space: tiny\n", encoding="utf-8")
    for name in ("study.db", "report.html", "notes.yaml", "checkpoints/1.ckpt"):
        (tree / "studies" / "mine" / name).write_text("a user's own", encoding="utf-8")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def _wheel(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


def test_the_wheel_holds_the_package_and_its_spaces(built: Path) -> None:
    with zipfile.ZipFile(_wheel(built)) as wheel:
        names = set(wheel.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "osanas").rglob("*.py")}
    assert len(SPACES) >= 4
    assert modules | {"osanas/py.typed"} <= names
    assert {f"osanas/search_spaces/{name}" for name in SPACES} <= names
    assert "osanas/studies/shipped.yaml" in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"osanas"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_nothing_of_a_users_study_is_packed(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with zipfile.ZipFile(_wheel(built)) as wheel, tarfile.open(sdist) as source:
        names = [*wheel.namelist(), *source.getnames()]
    assert any(name.endswith("studies/shipped.yaml") for name in names)
    assert [name for name in names if "/mine" in name or name.endswith((".db", ".ckpt"))] == []


def test_an_installed_package_finds_its_spaces(built: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(_wheel(built)) as wheel:
        wheel.extractall(tmp_path)
    code = (
        "import osanas\n"
        "from osanas.genotype.space import SearchSpace, available\n"
        "print(osanas.__file__)\n"
        "print(osanas.__version__)\n"
        "print(*available())\n"
        "print(SearchSpace.load('vovnet').size)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    file, version, spaces, size = done.stdout.splitlines()
    assert Path(file).is_relative_to(tmp_path)
    assert version in _wheel(built).name
    assert {f"{name}.yaml" for name in spaces.split()} == SPACES
    assert int(size) > 10**9
