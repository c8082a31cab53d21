"""Averaged weights, kept beside a model at the cost of one fused update a step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """A moving average of a model's parameters and of its floating-point buffers (batch norm's statistics).

    Integer buffers (counts of batches) are the model's own. The average starts at the model's present state.

    Args:
        model: The model, on its device already.
    """

    def __init__(self, model: nn.Module) -> None:
        state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self._live = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
        self._average = {name: tensor.detach().clone() for name, tensor in self._live.items()}
        self._swapped = False

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Moves the average towards the model: ``average = decay * average + (1 - decay) * model``."""
        assert not self._swapped, "the model holds the averaged weights"
        multi_average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        multi_average(list(self._average.values()), list(self._live.values()), 0)

    def swap(self) -> None:
        """Exchanges the averaged weights and the model's by exchanging storage; a second call undoes the first."""
        for name, live in self._live.items():
            live.data, self._average[name] = self._average[name], live.data
        self._swapped = not self._swapped

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged tensors by their names in the model."""
        assert not self._swapped, "the model holds the averaged weights"
        return dict(self._average)

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restores what ``state_dict`` gave.

        Raises:
            KeyError: If it belongs to another model.
        """
        for name, average in self._average.items():
            average.copy_(state[name])
