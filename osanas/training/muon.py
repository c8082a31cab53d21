"""Muon: momentum whose every step is made orthogonal, for the kernels of convolutions (Jordan et al., 2024).

Source: https://kellerjordan.github.io/posts/muon/. ``torch.optim.Muon`` takes two-dimensional parameters one at a time
and in bfloat16, which costs more than a small network's whole step on a CPU. Here kernels that agree in their smaller
side go through the iteration together, and the iteration works on their Gram matrices, which are small and square.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic step, from the source; singular values end between about 0.7 and 1.2."""

NEWTON_SCHULZ_STEPS = 5

_SIDE_STEP = 32
"""Gram matrices are filled up with zeros to a multiple of this side: a few large stacks are quicker than many small."""


class Muon(SGD):
    """Orthogonal steps for matrices, SGD with Nesterov momentum for everything else.

    A kernel ``[out, in, height, width]`` is the matrix ``[out, height * width * in]``. Its step is the learning rate
    times the orthogonal factor of its Nesterov momentum, times ``sqrt(out / columns)`` where that is more than 1; its
    weight decay is decoupled from the gradient. After a step the gradients of matrices hold what was applied.

    Args:
        matrices: Parameters of two or more dimensions.
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
        matrices = [_as_matrix(gradient) for gradient in gradients]
        for gradient, factor in zip(gradients, orthogonal_factors(matrices), strict=True):
            rows, columns = factor.shape
            scaled = factor * max(1.0, rows / columns) ** 0.5
            gradient.copy_(_as_kernel(scaled, gradient))


def orthogonal_factors(matrices: Sequence[Tensor]) -> list[Tensor]:
    """``U V^T`` of each matrix ``U S V^T``, roughly: the singular values of what is returned lie around 1.

    The quintic Newton-Schulz iteration multiplies a wide matrix from the left by a polynomial of its Gram matrix, and
    the Gram matrix by the same on both sides. So it needs the matrix itself at the beginning and at the end only.

    Args:
        matrices: Of float32, each ``[rows, columns]``.

    Returns:
        Matrices of the same shapes. One of zeros stays so.
    """
    wide = [matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T for matrix in matrices]
    stacks: defaultdict[int, list[int]] = defaultdict(list)
    for index, matrix in enumerate(wide):
        stacks[-(-len(matrix) // _SIDE_STEP) * _SIDE_STEP].append(index)
    factors = list(matrices)
    for side, indices in stacks.items():
        gram = wide[indices[0]].new_zeros(len(indices), side, side)
        for slot, index in zip(gram, indices, strict=True):
            rows = len(wide[index])
            slot[:rows, :rows] = wide[index] @ wide[index].T
        for multiplier, index in zip(_newton_schulz(gram), indices, strict=True):
            rows = len(wide[index])
            factor = multiplier[:rows, :rows] @ wide[index]
            factors[index] = factor if wide[index] is matrices[index] else factor.T
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
    return kernel.movedim(1, -1).flatten(1)


def _as_kernel(matrix: Tensor, like: Tensor) -> Tensor:
    return matrix.view(like.movedim(1, -1).shape).movedim(-1, 1)
