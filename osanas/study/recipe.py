"""How candidates are trained: part of a study's identity, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from osanas.validation import validate

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class RecipeOptions(BaseModel):
    """Stochastic gradient descent with Nesterov momentum and averaged weights.

    Everything depends on the steps done so far and nothing on the epochs to come: training may end after any epoch,
    and training on from there equals having trained straight through.

    The defaults are tuned for small OSA networks and few epochs, without which the noise between seeds hides the
    differences between candidates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: Positive = 0.1
    """After the warm-up, for ``batch_size`` as it is."""
    warmup_epochs: NotNegative = 1.0
    """Epochs over which the rate rises linearly from 0."""
    decay_power: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The rate falls as ``(warmup_epochs / epochs done) ** decay_power`` after the warm-up; 0 keeps it."""
    momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    weight_decay: NotNegative = 5e-4
    """Not applied to biases and the weights of norms."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    gradient_clip_norm: Positive | None = 1.0
    """Largest norm of all gradients together; None does not clip."""
    averaging_power: Positive = 9.0
    """How short the memory of the averaged weights is: the ``t``-th step counts in proportion to ``t ** (power - 1)``,
    so that the mean age of what is averaged is ``1 / (power + 1)`` of the steps done."""
    averaging_max_decay: Annotated[float, Field(ge=0, lt=1)] = 0.9998
    """Decay a step at which the averaging stays once it gets there."""
    augment: bool = True
    """Random shifts and mirroring, where they help a data set."""
    mixed_precision: bool = True
    """On CUDA: bfloat16 where the device has it, else float16 with loss scaling. Without effect on a CPU."""


class Recipe(RecipeOptions):
    """The whole recipe: how a network is trained, and on how many images at once."""

    batch_size: Annotated[int, Field(ge=2)] = 32
    """Most images in a batch; the batches of an epoch are equal in size but for one image."""

    @classmethod
    def of(cls, changes: Mapping[str, Any], *, source: str = "The training recipe") -> Recipe:
        """The default recipe with some fields changed.

        Args:
            changes: New values by field name.
            source: Where they come from, for the message.

        Raises:
            ConfigError: With everything that is wrong in them.
        """
        return validate(cls, dict(changes), source)

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """The learning rate of a step.

        Args:
            step: Steps done before it.
            steps_per_epoch: Steps of one epoch.
        """
        warmup_steps = self.warmup_epochs * steps_per_epoch
        if step + 1 <= warmup_steps:
            return self.learning_rate * (step + 1) / warmup_steps
        fall: float = (max(warmup_steps, 1.0) / (step + 1)) ** self.decay_power
        return self.learning_rate * fall

    def averaging_decay_at(self, step: int) -> float:
        """Share of the averaged weights that stays at a step's update (``step`` as in ``learning_rate_at``)."""
        return min(self.averaging_max_decay, (1 + step) / (1 + step + self.averaging_power))
