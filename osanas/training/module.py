"""One training as Lightning sees it."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.swa_utils import update_bn

from osanas.errors import CandidateError, TrainingStopped
from osanas.study.recipe import Recipe
from osanas.study.records import CurvePoint
from osanas.tasks.task import Batch, Batches, Task, epoch_seed
from osanas.training.averaging import WeightAverage
from osanas.training.muon import Muon

_LOSS_CHECK_STEPS_ON_GPU = 50
"""Reading the loss waits for the GPU, so it is looked at seldom there, and at every step on a CPU."""

DIVERGED_AT = 10.0
"""An epoch's mean loss of so many times that of guessing is no training; clipping can keep it finite."""


class TrainingModule(pl.LightningModule):
    """Trains a model from some epoch on and keeps its averaged weights.

    Lightning counts epochs and steps from 0 in every process; ``first_epoch`` is added to them, so that nothing of
    Lightning's own state has to be restored.

    Args:
        model: The model, on its device and in training mode.
        recipe: How to train it.
        task: Its loss and its scores.
        seed: Seed of the training.
        batches: What the model is trained on.
        first_epoch: Epochs done already.
        loss_scaling: State of float16's loss scaling to go on from; empty for none.
        on_epoch_end: Called with every epoch's point of the curve.
        keep: Called after that, with whether training stops here.
        should_stop: Asked at every step.
        give_way: Called at every step boundary; may pause, and gives the seconds that it did.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        *,
        task: Task,
        seed: int,
        batches: Batches,
        first_epoch: int,
        loss_scaling: Mapping[str, Any],
        on_epoch_end: Callable[[CurvePoint], None],
        keep: Callable[[bool], None],
        should_stop: Callable[[], bool],
        give_way: Callable[[], float],
    ) -> None:
        super().__init__()
        self.model = model
        self.average = WeightAverage(model)
        self.optimizer = build_optimizer(model, recipe)
        self._recipe = recipe
        self._seed = seed
        self._batches = batches
        self._first_epoch = first_epoch
        self._loss_scaling = loss_scaling
        self._on_epoch_end = on_epoch_end
        self._keep = keep
        self._should_stop = should_stop
        self._give_way = give_way
        self._task = task
        self._scores = task.scores()
        self._hopeless_loss = DIVERGED_AT * task.guessing_loss
        self._loss_sum = self._val_loss_sum = torch.zeros(())
        self._count = self._val_count = 0
        self._step = first_epoch * len(batches)
        self._started_s = 0.0
        self._sigterm: Any = None

    def epoch_index(self) -> int:
        """The epoch under way, from 0, over all processes."""
        return self._first_epoch + self.current_epoch

    def configure_optimizers(self) -> Optimizer:
        """The optimiser, made before Lightning so that its state could be restored."""
        return self.optimizer

    def forward(self, batch: Batch) -> Tensor:
        """Loss of a batch."""
        loss: Tensor = self._task.loss(self.model, batch, self._recipe)
        return loss

    def on_fit_start(self) -> None:
        """Restores the loss scaling, and notes the handler that Lightning is about to replace."""
        if self._loss_scaling:
            self.trainer.precision_plugin.load_state_dict(dict(self._loss_scaling))
        self._sigterm = signal.getsignal(signal.SIGTERM)

    def on_train_start(self) -> None:
        """Gives SIGTERM back to whoever handled it: Lightning's handler would wait for the end of the step."""
        if self._sigterm is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._sigterm)

    def on_train_epoch_start(self) -> None:
        """Seeds what layers draw (dropout in peers) and resets the sums."""
        torch.manual_seed(epoch_seed(self._seed, self.epoch_index()))
        self._loss_sum = torch.zeros((), device=self.device)
        self._count = 0
        self._started_s = time.perf_counter()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch, its learning rate set; raises where the training is to end."""
        self._pause_if_asked()
        if self._should_stop():
            raise TrainingStopped(f"Training was stopped in epoch {self.epoch_index() + 1}.")
        rate = self._recipe.learning_rate_at(self._step, len(self._batches))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        value: Tensor = self(batch)
        self._loss_sum += value.detach() * len(batch[0])
        self._count += len(batch[0])
        if self.device.type == "cpu" or (batch_idx + 1) % _LOSS_CHECK_STEPS_ON_GPU == 0:
            self._require_loss_below(math.inf)
        return value

    def on_train_batch_end(self, _outputs: Any, _batch: Any, _batch_idx: int) -> None:
        """Averages the weights."""
        self.average.update(self._recipe.averaging_decay_at(self._step))
        self._step += 1

    def on_validation_start(self) -> None:
        """Puts the averaged weights in place, with statistics of batch norm that are theirs."""
        self._require_loss_below(self._hopeless_loss)
        self.average.swap()
        if self._recipe.batch_norm_images:
            with self.trainer.precision_plugin.forward_context():
                update_bn(self._statistics_batches(), self)  # what it is called with are batches
        self._scores.reset()
        self._val_loss_sum = torch.zeros((), device=self.device)
        self._val_count = 0

    def validation_step(self, batch: Batch) -> None:
        """Adds a batch to loss and scores."""
        self._pause_if_asked()
        self._val_loss_sum += self._task.judge(self.model, batch, self._scores) * len(batch[0])
        self._val_count += len(batch[0])

    def on_validation_end(self) -> None:
        """Puts the trained weights back."""
        self.average.swap()

    def on_train_epoch_end(self) -> None:
        """Hands the epoch's point on."""
        val_loss = float(self._val_loss_sum) / self._val_count
        if not math.isfinite(val_loss):
            raise self._diverged("validation", val_loss)
        scores = {name: float(value) for name, value in self._scores.compute().items()}
        point = CurvePoint(
            epoch=self.epoch_index() + 1,
            train_loss=float(self._loss_sum) / self._count,
            val_loss=val_loss,
            score=scores.pop(self._task.score.name),
            seconds=time.perf_counter() - self._started_s,
            other_scores=scores,
        )
        self._on_epoch_end(point)
        stopping = self._should_stop()
        self._keep(stopping)
        if stopping:
            raise TrainingStopped(f"Training was stopped after epoch {point.epoch}.")

    def _statistics_batches(self) -> Iterator[tuple[Batch]]:
        """The first batches of the epoch under way, each as ``update_bn`` takes an input."""
        count = math.ceil(self._recipe.batch_norm_images / self._recipe.batch_size)
        for batch in islice(self._batches.epoch(self.epoch_index()), count):
            self._pause_if_asked()
            yield (batch,)

    def _pause_if_asked(self) -> None:
        self._started_s += self._give_way()  # a pause is no time of the epoch

    def _require_loss_below(self, bound: float) -> None:
        mean = float(self._loss_sum) / max(1, self._count)
        if not mean < bound:  # a NaN is not
            raise self._diverged("training", mean)

    def _diverged(self, which: str, value: float) -> CandidateError:
        return CandidateError("diverged", f"The {which} loss became {value} in epoch {self.epoch_index() + 1}.")


def build_optimizer(model: nn.Module, recipe: Recipe) -> SGD:
    """Muon or SGD, with weight decay on matrices and kernels only, not on norms and biases.

    Muon's part are the kernels of convolutions; those of grouped ones are no matrices, and the last layer's gradient
    is one of few examples a row.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # the fused form saves up to a fifth of a step on a CPU; on a GPU Lightning cannot clip before it in float16
    fused = all(parameter.device.type == "cpu" for parameter in parameters) or None
    kernels = _dense_kernels(model) if recipe.optimizer == "muon" else []
    taken = {id(kernel) for kernel in kernels}
    groups = [
        {"params": [p for p in parameters if p.ndim > 1 and id(p) not in taken], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=True, fused=fused)
    return Muon(
        kernels,
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=fused,
    )


def _dense_kernels(model: nn.Module) -> list[Tensor]:
    convolutions = (module for module in model.modules() if isinstance(module, nn.Conv2d) and module.groups == 1)
    return [convolution.weight for convolution in convolutions if convolution.weight.requires_grad]
