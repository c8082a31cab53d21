from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from osanas.training.muon import LARGEST_SIDE, NEWTON_SCHULZ, NEWTON_SCHULZ_STEPS, Muon, orthogonal_factors


def kernel(*shape: int, seed: int = 0) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def newton_schulz(matrix: Tensor) -> Tensor:
    """As it is defined, in double precision."""
    a, b, c = NEWTON_SCHULZ
    wide = matrix.double() if matrix.shape[0] <= matrix.shape[1] else matrix.double().T
    wide = wide / wide.norm()
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    result: Tensor = wide if matrix.shape[0] <= matrix.shape[1] else wide.T
    return result


def muon(*kernels: nn.Parameter, weight_decay: float = 0.0) -> Muon:
    return Muon(kernels, [], lr=0.1, momentum=0.9, weight_decay=weight_decay)


def test_factors_of_many_shapes_at_once_against_the_definition() -> None:
    shapes = [(16, 144), (64, 32), (17, 40), (8, 9), (9, 8), (1, 5), (5, 1), (96, 864)]
    matrices = [torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))) for shape in shapes]
    for matrix, factor in zip(matrices, orthogonal_factors(matrices), strict=True):
        torch.testing.assert_close(factor.double(), newton_schulz(matrix), rtol=0, atol=2e-3)


def test_singular_values_end_around_one() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(32, 288, generator=generator) * torch.logspace(0, -2, 32)[:, None]
    values = torch.linalg.svdvals(orthogonal_factors([matrix])[0])
    assert torch.linalg.svdvals(matrix).min() < 0.02 * torch.linalg.svdvals(matrix).max()
    assert values.min() > 0.3
    assert values.max() < 1.3


def test_a_matrix_of_zeros_stays_so() -> None:
    zeros, other = orthogonal_factors([torch.zeros(4, 9), torch.ones(4, 9)])
    assert torch.equal(zeros, torch.zeros(4, 9))
    assert other.abs().sum() > 0


@pytest.mark.parametrize("tall", [False, True])
def test_a_large_matrix_is_cut_along_its_smaller_side(*, tall: bool) -> None:
    rows = 2 * LARGEST_SIDE + 4
    matrix = torch.randn(rows, rows + 50, generator=torch.Generator().manual_seed(0))
    (factor,) = orthogonal_factors([matrix.T if tall else matrix])
    blocks = orthogonal_factors(list(matrix.tensor_split(3)))
    assert [len(block) for block in blocks] == [87, 87, 86]
    torch.testing.assert_close(factor.T if tall else factor, torch.cat(blocks))


@pytest.mark.parametrize("shape", [(8, 16), (32, 16)])
def test_steps_are_those_of_torch(shape: tuple[int, int]) -> None:
    ours, theirs = kernel(*shape, 1, 1), kernel(*shape)
    optimizers = (
        muon(ours, weight_decay=0.3),
        torch.optim.Muon([theirs], lr=0.1, momentum=0.9, weight_decay=0.3, ns_coefficients=NEWTON_SCHULZ),
    )
    for step in range(4):
        gradient = torch.randn(shape, generator=torch.Generator().manual_seed(step))
        ours.grad, theirs.grad = gradient.clone().view(*shape, 1, 1), gradient.clone()
        before = theirs.detach().clone()
        for optimizer in optimizers:
            optimizer.step()
        moved = (theirs.detach() - before).norm()
        assert moved > 0.1
        assert (ours.detach().view(shape) - theirs.detach()).norm() < 0.03 * moved * (step + 1)  # it rounds to bfloat16


def test_the_size_of_a_gradient_does_not_matter() -> None:
    kernels = [kernel(8, 4, 3, 3) for _ in range(2)]
    for parameter, size in zip(kernels, (1.0, 1e-3), strict=True):
        parameter.grad = torch.ones(8, 4, 3, 3).cumsum(0) * size
        muon(parameter).step()
    torch.testing.assert_close(kernels[0], kernels[1])
    assert not torch.equal(kernels[0], kernel(8, 4, 3, 3))


def test_layout_in_memory_does_not_matter() -> None:
    plain = kernel(8, 4, 3, 3)
    channels_last = nn.Parameter(plain.detach().clone(memory_format=torch.channels_last))
    for seed in range(2):
        plain.grad = kernel(8, 4, 3, 3, seed=seed).detach().clone()
        channels_last.grad = plain.grad.clone(memory_format=torch.channels_last)
        muon(plain).step()
        muon(channels_last).step()
    torch.testing.assert_close(plain, channels_last)


def test_a_parameter_without_gradient_stays() -> None:
    idle, busy = kernel(4, 4, 3, 3), kernel(4, 4, 3, 3, seed=1)
    before = idle.detach().clone()
    busy.grad = torch.ones_like(busy)
    muon(idle, busy, weight_decay=0.5).step()
    assert torch.equal(idle, before)
    Muon([idle], [], lr=0.1, momentum=0.9, weight_decay=0.0).step()


def test_other_parameters_are_stepped_as_by_sgd() -> None:
    ours, theirs = kernel(5, 3), kernel(5, 3)
    matrix = kernel(4, 4, 3, 3)
    optimizers = (
        Muon([matrix], [{"params": [ours], "weight_decay": 0.2}], lr=0.1, momentum=0.9, weight_decay=0.0),
        torch.optim.SGD([theirs], lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.2),
    )
    for step in range(3):
        matrix.grad = torch.ones_like(matrix)
        ours.grad, theirs.grad = (torch.full((5, 3), step + 1.0) for _ in range(2))
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_its_state_is_restored_exactly() -> None:
    first, bias = kernel(8, 4, 3, 3), kernel(8)
    optimizer = Muon([first], [{"params": [bias], "weight_decay": 0.0}], lr=0.1, momentum=0.9, weight_decay=0.1)

    def step(parameters: tuple[nn.Parameter, ...], stepped: Muon, seed: int) -> None:
        for parameter in parameters:
            parameter.grad = kernel(*parameter.shape, seed=seed).detach().clone()
        stepped.step()

    for seed in range(2):
        step((first, bias), optimizer, seed)
    copies = copy.deepcopy((first, bias))
    restored = Muon([copies[0]], [{"params": [copies[1]]}], lr=7.0, momentum=0.1, weight_decay=0.0)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for seed in range(2, 4):
        step((first, bias), optimizer, seed)
        step(copies, restored, seed)
    assert torch.equal(first, copies[0])
    assert torch.equal(bias, copies[1])


def test_the_closure_computes_gradients_and_its_loss_is_returned() -> None:
    parameter = kernel(4, 4, 3, 3)
    before = parameter.detach().clone()

    def closure() -> Tensor:
        loss = parameter.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    assert float(muon(parameter).step(closure).detach()) == pytest.approx(float(before.square().sum()))
    assert parameter.square().sum() < before.square().sum()
