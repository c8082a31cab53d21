"""How candidates are trained: part of a study's identity, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from osanas.validation import validate

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

LEARNING_RATES = {"muon": 0.05, "sgd": 0.1}
MOMENTA = {"muon": 0.95, "sgd": 0.9}


class RecipeOptions(BaseModel):
    """Muon or stochastic gradient descent, with Nesterov momentum and averaged weights.

    Everything depends on the steps done so far and nothing on the epochs to come: training may end after any epoch,
    and training on from there equals having trained straight through.

    The defaults are tuned for small OSA networks and few epochs, without which the noise between seeds hides the
    differences between candidates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    optimizer: Literal["muon", "sgd"] = "muon"
    """``muon`` makes the steps of convolutions' kernels orthogonal, and takes SGD for what is left."""
    learning_rate: Positive = Field(default_factory=lambda given: LEARNING_RATES[given.get("optimizer", "muon")])
    """After the warm-up, for ``batch_size`` as it is. Steps of ``muon`` and ``sgd`` differ in size: 0.05 and 0.1."""
    warmup_epochs: NotNegative = 0.2
    """Epochs over which the rate rises linearly from 0."""
    decay_power: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The rate falls as ``(warmup_epochs / epochs done) ** decay_power`` after the warm-up; 0 keeps it."""
    momentum: Annotated[float, Field(gt=0, lt=1)] = Field(
        default_factory=lambda given: MOMENTA[given.get("optimizer", "muon")]
    )
    """0.95 for ``muon``, 0.9 for ``sgd``."""
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
    batch_norm_images: NonNegativeInt = 1_024
    """Training images that batch norm's statistics are recomputed from before the averaged weights are judged, rounded
    up to whole batches; 0 averages the statistics as the weights are."""
    augment: bool = True
    """Random shifts and mirroring, where they help a data set."""
    mixed_precision: bool = True
    """On CUDA: bfloat16 where the device has it, else float16 with loss scaling. Without effect on a CPU."""


class Recipe(RecipeOptions):
    """The whole recipe: how a network is trained, and on how many images at once."""

    batch_size: Annotated[int, Field(ge=2)] = 64
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
