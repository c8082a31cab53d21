"""The study files that come with osanas."""

from __future__ import annotations

from pathlib import Path

import pytest

from osanas.genotype.space import SearchSpace
from osanas.shipped import shipped_folder
from osanas.study.config import find_study_file, study_config

FILES = sorted(shipped_folder("studies").glob("*.yaml"))


def test_there_are_shipped_studies() -> None:
    assert len(FILES) >= 1


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_study_is_valid_and_names_itself(file: Path) -> None:
    config = study_config(file, {})
    assert config.name == file.stem
    assert SearchSpace.load(config.space).size > config.trials


def test_a_shipped_study_is_found_by_its_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_study_file(FILES[0].name) == FILES[0]
    own = tmp_path / FILES[0].name
    own.write_text("space: tiny\n", encoding="utf-8")
    assert find_study_file(FILES[0].name) == Path(FILES[0].name)
    assert find_study_file("no_such_study.yaml") == Path("no_such_study.yaml")
    assert find_study_file(f"folder/{FILES[0].name}") == Path(f"folder/{FILES[0].name}")
