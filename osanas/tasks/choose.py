"""Choosing a task by a study's options."""

from __future__ import annotations

from osanas.study.config import StudyConfig
from osanas.tasks.classification.data import load
from osanas.tasks.classification.task import Classification
from osanas.tasks.task import Task


def choose_task(config: StudyConfig) -> Task:
    """The task of a study, with its data.

    Raises:
        UsageError: The data set is unknown, or a number is out of range.
        DataError: The data are missing, incomplete or corrupt.
    """
    data = load(
        config.data,
        data_dir=config.data_dir,
        resolution=config.resolution,
        train_samples=config.train_samples,
        split_seed=config.split_seed,
    )
    return Classification(data)
