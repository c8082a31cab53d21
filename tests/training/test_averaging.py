from __future__ import annotations

import torch

from osanas.training.averaging import WeightAverage
from tests.training.helpers import SmallNet


def test_against_the_definition() -> None:
    model = SmallNet()
    average = WeightAverage(model)
    expected = {name: tensor.clone().double() for name, tensor in model.state_dict().items()}
    for step, decay in enumerate((0.1, 0.5, 0.9)):
        with torch.no_grad():
            for tensor in (*model.parameters(), model.get_buffer("features.1.running_mean")):
                tensor.add_(step + 1.0)
        average.update(decay)
        for name, tensor in model.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * tensor
    state = average.state_dict()
    assert "features.1.running_mean" in state
    assert "features.1.num_batches_tracked" not in state
    for name, tensor in state.items():
        torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-5)


def test_swapping_twice_changes_nothing() -> None:
    model = SmallNet()
    average = WeightAverage(model)
    with torch.no_grad():
        model.fc.bias.fill_(7.0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    parameters = list(model.parameters())
    average.swap()
    assert float(model.fc.bias.detach().sum()) != 28.0
    average.swap()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(new is old for new, old in zip(model.parameters(), parameters, strict=True))


def test_state_goes_into_another() -> None:
    first, second = WeightAverage(SmallNet(seed=1)), WeightAverage(SmallNet(seed=2))
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(tensor, first.state_dict()[name]) for name, tensor in second.state_dict().items())


def test_no_gradient_is_recorded() -> None:
    model = SmallNet()
    average = WeightAverage(model)
    average.update(0.5)
    assert not any(tensor.requires_grad for tensor in average.state_dict().values())
