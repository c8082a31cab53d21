"""Muon: momentum whose every step is made orthogonal, for the kernels of convolutions (Jordan et al., 2024).

Source: https://kellerjordan.github.io/posts/muon/. ``torch.optim.Muon`` takes two-dimensional parameters one at a time
and in bfloat16, which costs more than a small network's whole step on a CPU. Here kernels that agree in their smaller
side go through the iteration together, and the iteration works on their Gram matrices, which are small and square.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic step, from the source; singular values end between about 0.7 and 1.2."""

NEWTON_SCHULZ_STEPS = 5

LARGEST_SIDE = 128
"""A matrix whose smaller side is longer is cut into blocks, each made orthogonal by itself (MuonBP, arXiv 2510.16981,
leaves them apart in most steps): a kernel of 512 channels on a map of 1x1 would take longer than the network's step."""

_SIDE_STEP = 16
"""Gram matrices are filled up with zeros to a multiple of this side: a few stacks are quicker than many."""


class Muon(SGD):
    """Orthogonal steps for matrices, SGD with Nesterov momentum for everything else.

    A kernel is the matrix ``[out, height * width * in]``. Its step is the learning rate
    times the orthogonal factor of its Nesterov momentum, times ``sqrt(out / columns)`` where that is more than 1; its
    weight decay is decoupled from the gradient. After a step the gradients of matrices hold what was applied.

    Args:
        matrices: Kernels of ungrouped convolutions, ``[out, in, height, width]``.
        others: Groups of further parameters, as for ``torch.optim.SGD``.
        lr: Learning rate of both.
        momentum: Momentum of both.
        weight_decay: Of the matrices.
        fused: Whether torch's fused form applies the steps.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Sequence[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        fused: bool | None = None,
    ) -> None:
        # SGD without momentum of its own applies what became of the matrices' gradients
        group = {"params": list(matrices), "matrix_momentum": momentum, "weight_decay": weight_decay}
        matrix_group = {**group, "momentum": 0.0, "nesterov": False}
        super().__init__([matrix_group, *others], lr=lr, momentum=momentum, nesterov=True, fused=fused)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of all parameters that have a gradient.

        Args:
            closure: Computes the gradients and returns the loss.

        Returns:
            What ``closure`` returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if "matrix_momentum" in group:
                self._orthogonalise(group)
        super().step()
        return loss

    def _orthogonalise(self, group: dict[str, Any]) -> None:
        """Puts the orthogonal factor of its Nesterov momentum in the place of each gradient."""
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        if not parameters:
            return
        gradients = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        momentum: float = group["matrix_momentum"]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        torch._foreach_lerp_(gradients, buffers, momentum)
        factors = orthogonal_factors([_as_matrix(gradient) for gradient in gradients])
        kernels = [_as_kernel(factor, gradient) for factor, gradient in zip(factors, gradients, strict=True)]
        torch._foreach_copy_(gradients, kernels)
        torch._foreach_mul_(gradients, [max(1.0, len(factor) / factor.shape[1]) ** 0.5 for factor in factors])


def orthogonal_factors(matrices: Sequence[Tensor]) -> list[Tensor]:
    """``U V^T`` of each matrix ``U S V^T``, roughly: the singular values of what is returned lie around 1.

    Where both sides are longer than ``LARGEST_SIDE`` that is true of blocks of the matrix.

    Args:
        matrices: Of float32, each ``[rows, columns]``.

    Returns:
        Matrices of the same shapes. One of zeros stays so.
    """
    blocks: list[Tensor] = []
    for matrix in matrices:
        wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        blocks += wide.tensor_split(_block_count(matrix))
    found = iter(_wide_factors(blocks))
    factors = []
    for matrix in matrices:
        count = _block_count(matrix)
        factor = next(found) if count == 1 else torch.cat(list(islice(found, count)))
        factors.append(factor if matrix.shape[0] <= matrix.shape[1] else factor.T)
    return factors


def _block_count(matrix: Tensor) -> int:
    return math.ceil(min(matrix.shape) / LARGEST_SIDE)


def _wide_factors(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Orthogonal factors of matrices that have no more rows than columns.

    The quintic Newton-Schulz iteration multiplies a matrix from the left by a polynomial of its Gram matrix, and the
    Gram matrix by the same on both sides. So it needs the matrix itself at the beginning and at the end only.
    """
    stacks: defaultdict[int, list[int]] = defaultdict(list)
    for index, matrix in enumerate(matrices):
        stacks[math.ceil(len(matrix) / _SIDE_STEP) * _SIDE_STEP].append(index)
    factors = list(matrices)
    for side, indices in stacks.items():
        gram = matrices[indices[0]].new_zeros(len(indices), side, side)
        for slot, index in zip(gram, indices, strict=True):
            rows = len(matrices[index])
            slot[:rows, :rows] = matrices[index] @ matrices[index].T
        for multiplier, index in zip(_newton_schulz(gram), indices, strict=True):
            rows = len(matrices[index])
            factors[index] = multiplier[:rows, :rows] @ matrices[index]
    return factors


def _newton_schulz(gram: Tensor) -> Tensor:
    """What each matrix is to be multiplied by, from the left.

    Args:
        gram: ``[n, rows, rows]``, the products of the matrices with their transposes.
    """
    a, b, c = NEWTON_SCHULZ
    squared_norm = gram.diagonal(dim1=1, dim2=2).sum(dim=1).clamp_(min=1e-14)[:, None, None]
    gram = gram / squared_norm
    multiplier = squared_norm.rsqrt()  # brings the matrices to a norm of 1
    for step in range(NEWTON_SCHULZ_STEPS):
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal(dim1=1, dim2=2).add_(a)
        multiplier = polynomial * multiplier if step == 0 else polynomial @ multiplier
        if step + 1 < NEWTON_SCHULZ_STEPS:
            gram = polynomial @ gram @ polynomial
    return multiplier


def _as_matrix(kernel: Tensor) -> Tensor:
    """``[out, height * width * in]``: no copy of a kernel that lies in memory with its channels last."""
    return kernel.permute(0, 2, 3, 1).flatten(1)


def _as_kernel(matrix: Tensor, like: Tensor) -> Tensor:
    rows, channels, height, width = like.shape
    return matrix.reshape(rows, height, width, channels).permute(0, 3, 1, 2)
