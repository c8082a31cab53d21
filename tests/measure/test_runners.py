from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable
from typing import NoReturn

import pytest
import torch
from torch import Tensor, nn

from osanas.errors import CandidateError, UsageError
from osanas.measure.deploy import deployed
from osanas.measure.protocol import MeasurementProtocol, Runtime
from osanas.measure.runners import Runner, building, compared, compiled, onnx_session, prepared
from osanas.measure.workload import open_workload

CPU = torch.device("cpu")


class Branches(nn.Module):
    """Folded batch norms, a concatenation, two outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.right = nn.Conv2d(3, 4, 1)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = torch.cat([self.left(x), self.right(x)], dim=1)
        return {"features": features, "logits": self.head(features.mean(dim=(2, 3)))}


class Undecided(nn.Module):
    """Asks for a value in its forward pass, so that no exporter can follow it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum().item() > 0 else x - 1


class Halves(nn.Module):
    """A compiler cannot follow it in one piece."""

    def forward(self, x: Tensor) -> Tensor:
        doubled = x * 2
        torch._dynamo.graph_break()
        return doubled + 1


def _batch(size: int = 2) -> Tensor:
    images = torch.randn(size, 3, 12, 12, generator=torch.Generator().manual_seed(5))
    return images.to(memory_format=torch.channels_last)


def _folded(model: nn.Module | None = None) -> nn.Module:
    return deployed(Branches() if model is None else model, CPU, MeasurementProtocol())[0]


def test_eager_runs_the_very_module() -> None:
    module, batch = _folded(), _batch()
    with prepared("eager", module, batch) as runner, torch.inference_mode():
        found, expected = runner.run(), module(batch)
    assert isinstance(found, dict)
    assert torch.equal(found["logits"], expected["logits"])
    assert (runner.details, runner.notes) == ({}, ())


def test_onnx_runtime_gives_the_eager_networks_results(capfd: pytest.CaptureFixture[str]) -> None:
    module, batch = _folded(), _batch()
    with torch.inference_mode():
        expected = module(batch)
    with prepared("onnxruntime", module, batch) as runner:
        _, outputs = runner.keeps
        assert isinstance(outputs, list)
        for output in outputs:
            output.zero_()
        runner.run()
        for output, name in zip(outputs, ("features", "logits"), strict=True):
            assert torch.allclose(output, expected[name], rtol=1e-4, atol=1e-4)
    assert runner.details["provider"] == "CPUExecutionProvider"
    assert runner.details["output_difference"] < 1e-4
    assert runner.details["export_seconds"] > 0
    assert runner.notes == ()
    assert capfd.readouterr() == ("", "")


def test_a_compiled_network_is_one_graph_and_its_time_is_told() -> None:
    """With the backend that only traces; Inductor takes its time below."""
    module, batch = _folded(), _batch()
    runner, output = compiled(module, batch, "eager")
    assert runner.details["compile_seconds"] > 0
    assert (runner.details["graphs"], runner.details["graph_breaks"], runner.notes) == (1, 0, ())
    assert compared(runner, module(batch), output, "compile").details["output_difference"] < 1e-6
    runner, _ = compiled(Halves(), batch, "eager")
    assert runner.details["graph_breaks"] == 1
    assert runner.notes == ("compiled in 2 parts",)
    torch.compiler.reset()


@pytest.mark.slow
def test_compiling_gives_the_eager_networks_results_and_leaves_nothing_behind(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the compiler tells its own processes an address there
    monkeypatch.setenv("_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR", "")
    protocol = MeasurementProtocol.for_search(batch_size=2, runtime="compile")
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    with open_workload(model, (3, 12, 12), CPU, protocol) as workload:
        workload.run(2)
        details = workload.details
    assert details["compile_seconds"] > 0
    assert (details["graphs"], details["graph_breaks"]) == (1, 0)
    assert details["output_difference"] < 1e-4
    assert capfd.readouterr() == ("", "")
    module = _folded(model)
    with prepared("compile", module, _batch()) as runner, torch.inference_mode():
        found = runner.run()
        assert isinstance(found, Tensor)
        assert torch.allclose(found, module(_batch()), rtol=1e-4, atol=1e-5)
    held = weakref.ref(next(module.parameters()))
    del runner, module, found
    gc.collect()
    assert held() is None


def test_what_cannot_be_exported_is_the_networks_failure(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CandidateError) as failure, prepared("onnxruntime", Undecided().eval(), _batch()):
        pytest.fail("another runtime took its place")
    assert failure.value.kind == "runtime"
    assert failure.value.problem.startswith("The runtime onnxruntime cannot run the network: Could not guard on")
    assert "\n" not in failure.value.problem
    assert capfd.readouterr() == ("", "")
    with prepared("eager", Undecided().eval(), _batch()) as runner:
        assert isinstance(runner.run(), Tensor)


def test_compiling_is_never_replaced_by_eager() -> None:
    """Not even where the user's environment asks for it."""
    from torch._dynamo import config

    def broken(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        raise RuntimeError("no such instruction\nand more")

    with (
        config.patch(suppress_errors=True),
        pytest.raises(CandidateError, match=r"compile cannot run the network: RuntimeError: no such instruction\.$"),
    ):
        building("compile", lambda: compiled(_folded(), _batch(), broken))
    torch.compiler.reset()


def test_a_network_of_which_nothing_compiles_is_refused() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    with (
        pytest.raises(CandidateError, match="nothing of it was compiled"),
        prepared("compile", Constant(), _batch()),
    ):
        pytest.fail("nothing was compiled")


@pytest.mark.parametrize(
    ("factor", "difference", "notes"),
    [
        (1.04, pytest.approx(0.04, rel=1e-3), ()),
        (1.1, pytest.approx(0.1, rel=1e-3), ("the results of compile differ from the eager network's by 10%",)),
        (float("nan"), None, ("the results of compile differ from the eager network's",)),
    ],
)
def test_results_that_differ_are_noted(factor: float, difference: float | None, notes: tuple[str, ...]) -> None:
    expected = {"features": _batch(), "nothing": torch.empty(0), "logits": torch.tensor([1.0, -2.0])}
    output = [expected["features"], expected["logits"] * factor]
    runner = compared(Runner(lambda: None), expected, output, "compile")
    assert runner.notes == notes
    assert runner.details["output_difference"] == difference


def test_images_that_do_not_fit_fail_alike_in_every_runtime() -> None:
    runtimes: tuple[Runtime, ...] = ("eager", "onnxruntime", "compile")
    for runtime in runtimes:
        with pytest.raises(CandidateError, match="does not run on images of 3x12x12") as failure:
            prepared(runtime, nn.Conv2d(4, 4, 3), _batch()).__enter__()
        assert failure.value.kind == "forward"


def test_the_devices_failures_stay_the_devices() -> None:
    def fail() -> NoReturn:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory"):
        building("cudagraph", fail)
    assert logging.root.manager.disable == 0


def test_a_broken_capture_is_the_networks_failure() -> None:
    def fail() -> NoReturn:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nCompile with ...")

    with pytest.raises(CandidateError, match=r"cudagraph cannot run the network: CUDA error: .* capturing\.$"):
        building("cudagraph", fail)


def test_a_provider_that_does_not_start_is_refused() -> None:
    """ONNX Runtime itself would go on with its CPU provider."""
    module, batch = _folded(), _batch()
    with pytest.raises(UsageError, match="does not offer the CUDAExecutionProvider"):
        building("onnxruntime", lambda: onnx_session(module, batch, module(batch), "CUDAExecutionProvider"))
