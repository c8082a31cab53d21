"""Measurer and trainer of OSA networks, for a task and by the options of a study."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from osanas.errors import CandidateError
from osanas.evaluation.measurer import NetworkMeasurer
from osanas.evaluation.network_trainer import NetworkTrainer
from osanas.genotype.architecture import Architecture
from osanas.machine.device import resolve_device
from osanas.machine.sharing import training_threads, worker_count
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.setup import set_up
from osanas.models.build import build_backbone
from osanas.study.config import StudyConfig
from osanas.study.recipe import Recipe
from osanas.tasks.choose import choose_task
from osanas.tasks.task import Task


def network_evaluators(config: StudyConfig, task: Task | None = None) -> tuple[NetworkMeasurer, NetworkTrainer]:
    """Who measures and who trains by the options of a study.

    Args:
        config: The options. Where they name no threads, a CPU is measured with one.
        task: Instead of the one that the options name.

    Raises:
        UsageError: Data, device, meter, recipe or resolution is wrong.
        EnvironmentFailure: The device or the meter is here and does not work.
    """
    most = config.threads or torch.get_num_threads()
    threads = config.threads
    if threads is None and resolve_device(config.device).type == "cpu":
        threads = 1  # small networks gain little by more, and threads that wake each other make their latency erratic
    protocol = MeasurementProtocol.for_search(batch_size=config.batch_size, precision=config.precision, threads=threads)
    setup = set_up(config.device, config.runtime, config.energy, protocol)
    recipe = Recipe(batch_size=config.train_batch_size, **config.recipe.model_dump())
    chosen = choose_task(config) if task is None else task
    build = partial(build_network, task=chosen)
    measurer = NetworkMeasurer(setup, chosen.shape, partial(build, seed=config.seed))
    each = training_threads(worker_count(config.workers, setup.device.type), most)
    return measurer, NetworkTrainer(chosen, recipe, setup.device, config.seed, build, each)


def build_network(architecture: Architecture, seed: int, *, task: Task) -> nn.Module:
    """The network of an architecture under a task's head, with the initial weights of a seed.

    Raises:
        CandidateError: It cannot be built (``build``).
    """
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            shape = task.shape
            return task.head(
                build_backbone(architecture, in_channels=shape.in_channels, stem_reduction=shape.stem_reduction)
            )
    except (MemoryError, RuntimeError) as error:
        raise CandidateError("build", f"The network cannot be built: {' '.join(str(error).split())[:300]}") from error
