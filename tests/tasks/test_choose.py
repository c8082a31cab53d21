from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osanas.errors import DataError, UsageError
from osanas.study.config import StudyConfig
from osanas.tasks.choose import choose_task
from osanas.tasks.classification.data import load
from osanas.tasks.classification.sources import FASHION_MNIST_FILES
from osanas.tasks.classification.task import Classification


def config(**options: Any) -> StudyConfig:
    return StudyConfig.model_validate({"space": "tiny", **options})


def test_data_is_what_the_options_name() -> None:
    task = choose_task(config(data="digits", resolution=16, train_samples=100, split_seed=2))
    assert isinstance(task, Classification)
    assert task.data.describe() == load("digits", resolution=16, train_samples=100, split_seed=2).describe()
    assert choose_task(config(data="digits")).shape.resolution == 8
    assert choose_task(config(train_samples=100)).shape.resolution == 24


def test_data_dir_is_where_data_lie(tmp_path: Path) -> None:
    (tmp_path / FASHION_MNIST_FILES[0]).write_bytes(b"broken")
    with pytest.raises(DataError, match=f"The data file {tmp_path / FASHION_MNIST_FILES[0]} cannot be read"):
        choose_task(config(data="fashion_mnist", data_dir=tmp_path))


def test_what_is_no_data_set() -> None:
    with pytest.raises(UsageError, match="There is no data set 'mnist'"):
        choose_task(config(data="mnist"))
