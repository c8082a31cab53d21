"""Trains one model with Lightning, silently, resumably and without touching the process around it."""

from __future__ import annotations

import contextlib
import gc
import logging
import math
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]
from torch import nn

from osanas.errors import UsageError
from osanas.machine.device import device_uuid
from osanas.machine.exclusive import CPU, TrainingTurn
from osanas.machine.failures import device_errors
from osanas.study.recipe import Recipe
from osanas.study.records import CurvePoint, Trained
from osanas.tasks.task import Batch, Batches, Task
from osanas.training.checkpoint import TrainingState, read_checkpoint, write_checkpoint
from osanas.training.module import TrainingModule

CHECKPOINT_INTERVAL_S = 20.0
"""Writing a checkpoint takes longer than an epoch of a small network; losing so many seconds to a crash is cheap."""

_LIGHTNING_LOGGERS = ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric")
_LIGHTNING_MODULES = r"(pytorch_lightning|lightning_fabric|lightning_utilities|torchmetrics|torch)(\.|$)"


def train(
    model: nn.Module,
    task: Task,
    recipe: Recipe,
    *,
    epochs: int,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    checkpoint_interval_s: float = CHECKPOINT_INTERVAL_S,
    on_epoch: Callable[[CurvePoint], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Trained:
    """Trains a model for a task and judges it by the task's validation data.

    While another osanas process measures on the device, it pauses at the next step, and goes on afterwards.

    On a CPU the result is a function of the arguments. The model ends on ``device`` with the averaged weights, in
    evaluation mode. Its initial weights are the caller's; they do not matter where a checkpoint is resumed.

    Args:
        model: From ``task.head``.
        task: Its batches, loss and scores; test data are not read.
        recipe: How to train.
        epochs: Epochs in total, those that a checkpoint holds included.
        seed: Seed of order, augmentation and dropout.
        device: Where to train.
        checkpoint: Where the state is kept after the last epoch, and on the way. If the file is there, training goes
            on from it as if it had never stopped; if it is corrupt, of another training or of more epochs than asked
            for, training starts over and a note says so.
        checkpoint_interval_s: Seconds that pass at least between two checkpoints on the way; 0 writes one after each
            epoch.
        on_epoch: Called after each epoch trained here, before its checkpoint is written.
        should_stop: Asked at every step and after every epoch.

    Raises:
        TrainingStopped: ``should_stop`` said so. The checkpoint holds the epochs finished if it said so after one,
            otherwise those that were last written.
        CandidateError: The loss is no finite number (``diverged``), or memory ran out (``out_of_memory``).
        EnvironmentFailure: The device failed, the checkpoint cannot be written, or a measurement of another process
            does not end.
        DataError: An image cannot be read.
        UsageError: No epoch is asked for.
        KeyboardInterrupt: Ctrl-C, as everywhere.
    """
    if epochs < 1:
        raise UsageError(f"Training for {epochs} epochs was asked for.", "Give at least 1.")
    training = _Training(
        model,
        task,
        recipe,
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        checkpoint_interval_s=checkpoint_interval_s,
        on_epoch=on_epoch,
    )
    try:
        with device_errors(device, "training"), torch.random.fork_rng(_cuda_devices(device)):
            training.run(epochs, should_stop or _never)
    finally:
        # Lightning's trainer and module hold each other: left to the collector, their memory would be there for long
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    curve = tuple(training.curve)
    return Trained(
        score=curve[-1].score,
        seconds=math.fsum(point.seconds for point in curve),
        notes=training.notes,
        curve=curve,
    )


class _Training:
    """One call of ``train``."""

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        recipe: Recipe,
        *,
        seed: int,
        device: torch.device,
        checkpoint: Path | None,
        checkpoint_interval_s: float,
        on_epoch: Callable[[CurvePoint], None] | None,
    ) -> None:
        self._model = model
        self._task = task
        self._recipe = recipe
        self._seed = seed
        self._device = device
        self._checkpoint = checkpoint
        self._checkpoint_interval_s = checkpoint_interval_s
        self._written_s = time.monotonic()
        self._epochs = 0
        self._on_epoch = on_epoch
        described = task.describe(recipe)["data"]
        self._identity = {"recipe": recipe.model_dump(mode="json"), "seed": seed, "data": described}
        self.curve: list[CurvePoint] = []
        self.notes: tuple[str, ...] = ()

    def run(self, epochs: int, should_stop: Callable[[], bool]) -> None:
        self._model.to(self._device).to(memory_format=torch.channels_last).train()
        self._epochs = epochs
        state = self._stored_state(epochs)
        self.curve = [] if state is None else list(state.curve)
        first_epoch = len(self.curve)
        batches = self._task.training_batches(self._recipe, seed=self._seed, device=self._device)
        turn = _training_turn(self._device)
        module = TrainingModule(
            self._model,
            self._recipe,
            task=self._task,
            seed=self._seed,
            batches=batches,
            first_epoch=first_epoch,
            loss_scaling={} if state is None else state.loss_scaling,
            on_epoch_end=self._finish_epoch,
            keep=lambda stopping: self._keep(module, stopping=stopping),
            should_stop=should_stop,
            give_way=lambda: turn.give_way(should_stop),
        )
        if state is not None:
            self._model.load_state_dict(state.model)
            module.average.load_state_dict(state.average)
            module.optimizer.load_state_dict(state.optimizer)
        if first_epoch < epochs:
            # twice the batch, since nothing is kept for a backward pass
            validation = self._task.validation_batches(2 * self._recipe.batch_size, device=self._device)
            with turn:
                _fit(_quiet_trainer(epochs - first_epoch, self._recipe, self._device), module, batches, validation)
        self._model.to(self._device)  # Lightning moves it to the CPU when done
        self._model.load_state_dict(module.average.state_dict(), strict=False)
        self._model.eval()

    def _stored_state(self, epochs: int) -> TrainingState | None:
        if self._checkpoint is None:
            return None
        state, note = read_checkpoint(self._checkpoint, self._identity, self._device)
        if state is not None and len(state.curve) > epochs:  # of a database that was set back, for instance
            note = f"The checkpoint {self._checkpoint} was of {len(state.curve)} epochs, so training started over."
            state = None
        if note is not None:
            self.notes = (note,)
        return state

    def _finish_epoch(self, point: CurvePoint) -> None:
        self.curve.append(point)
        if self._on_epoch is not None:
            self._on_epoch(point)

    def _keep(self, module: TrainingModule, *, stopping: bool) -> None:
        """Writes the state at the end, from which a promotion goes on, and where losing it would cost much."""
        is_due = time.monotonic() - self._written_s >= self._checkpoint_interval_s
        if self._checkpoint is None or not (len(self.curve) == self._epochs or stopping or is_due):
            return
        state = TrainingState(
            identity=self._identity,
            model=dict(self._model.state_dict()),
            average=module.average.state_dict(),
            optimizer=module.optimizer.state_dict(),
            loss_scaling=dict(module.trainer.precision_plugin.state_dict()),
            curve=tuple(self.curve),
        )
        write_checkpoint(self._checkpoint, state)
        self._written_s = time.monotonic()


def _training_turn(device: torch.device) -> TrainingTurn:
    if device.type != "cuda":
        return TrainingTurn(CPU)
    # what was launched before the pause is not to run during the measurement
    return TrainingTurn(device_uuid(device) or CPU, settle=lambda: torch.cuda.synchronize(device))


class _Epochs:
    """Batches as Lightning iterates over them: the epoch is that which is current at the first of them."""

    def __init__(self, batches: Batches, current_epoch: Callable[[], int]) -> None:
        self._batches, self._current_epoch = batches, current_epoch

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        yield from self._batches.epoch(self._current_epoch())  # Lightning makes an iterator to see whether it can


def _fit(trainer: pl.Trainer, module: TrainingModule, batches: Batches, validation: Batches) -> None:
    """Runs Lightning without its chatter, and with Ctrl-C as it is everywhere else."""
    loaders = [_Epochs(part, module.epoch_index) for part in (batches, validation)]
    with _silent(), _interrupts_kept():
        try:
            trainer.fit(module, train_dataloaders=loaders[0], val_dataloaders=loaders[1])
        except SystemExit as stop:  # what Lightning makes of a KeyboardInterrupt
            if isinstance(stop.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise


def _quiet_trainer(epochs: int, recipe: Recipe, device: torch.device) -> pl.Trainer:
    """A Lightning trainer that writes and prints nothing."""
    on_gpu = device.type == "cuda"
    with _silent():
        return pl.Trainer(
            accelerator=device.type,
            devices=[_index(device)] if on_gpu else 1,
            precision=_precision(device) if on_gpu and recipe.mixed_precision else "32-true",
            plugins=[LightningEnvironment()],  # a cluster's variables around a search concern the search
            max_epochs=epochs,
            gradient_clip_val=recipe.gradient_clip_norm,
            # trying cuDNN's algorithms took 10 s a network on an H200, whose epochs took one
            benchmark=False if on_gpu else None,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            inference_mode=False,  # weights are exchanged during validation
            use_distributed_sampler=False,
        )


def _precision(device: torch.device) -> Literal["bf16-mixed", "16-mixed"]:
    with torch.cuda.device(device):
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index


def _cuda_devices(device: torch.device) -> list[int]:
    return [_index(device)] if device.type == "cuda" else []


def _never() -> bool:
    return False


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keeps Lightning's hints from the terminal: nothing a user of this package could act on."""
    loggers = [logging.getLogger(name) for name in _LIGHTNING_LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=_LIGHTNING_MODULES)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Restores the handling of SIGINT and cuDNN's autotuning flag, both of which Lightning leaves changed."""
    handler = signal.getsignal(signal.SIGINT)
    benchmark = torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = benchmark
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
