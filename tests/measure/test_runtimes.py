from __future__ import annotations

import gc
import importlib.util
import logging
import weakref
from collections.abc import Callable
from importlib.metadata import version

import pytest
import torch
from torch import Tensor, nn

from osanas.errors import CandidateError, MissingExtraError, UsageError
from osanas.measure.deploy import deployed
from osanas.measure.protocol import MeasurementProtocol, Precision, Runtime
from osanas.measure.runtimes import building, check_runtime, describe_runtime, prepared, resolve_runtime
from osanas.measure.workload import open_workload

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)


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


def _batch(size: int = 2) -> Tensor:
    images = torch.randn(size, 3, 12, 12, generator=torch.Generator().manual_seed(5))
    return images.to(memory_format=torch.channels_last)


def _folded(model: nn.Module | None = None) -> nn.Module:
    return deployed(Branches() if model is None else model, CPU, MeasurementProtocol()).module


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


def test_compiling_is_never_replaced_by_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the user's environment asks for it."""
    from torch._dynamo import config

    def broken(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        raise RuntimeError("no such instruction\nand more")

    monkeypatch.setattr("osanas.measure.runtimes._COMPILE_BACKEND", broken)
    with (
        config.patch(suppress_errors=True),
        pytest.raises(CandidateError, match=r"compile cannot run the network: RuntimeError: no such instruction\.$"),
        prepared("compile", _folded(), _batch()),
    ):
        pytest.fail("another runtime took its place")


def test_a_network_of_which_nothing_compiles_is_refused() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    with (
        pytest.raises(CandidateError, match="nothing of it was compiled"),
        prepared("compile", Constant(), _batch()),
    ):
        pytest.fail("nothing was compiled")


def test_results_that_differ_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    for factor, note in (
        (1.1, "the results of compile differ from the eager network's by 10%"),
        (float("nan"), "the results of compile differ from the eager network's"),
    ):

        def wrong(graph: torch.fx.GraphModule, inputs: list[Tensor], factor: float = factor) -> Callable[..., object]:
            return lambda *arguments: tuple(output * factor for output in graph(*arguments))

        monkeypatch.setattr("osanas.measure.runtimes._COMPILE_BACKEND", wrong)
        with prepared("compile", _folded(nn.Conv2d(3, 4, 3)), _batch()) as runner:
            assert runner.notes == (note,)
            expected = pytest.approx(0.1, rel=1e-3) if factor == 1.1 else None
            assert runner.details["output_difference"] == expected


def test_images_that_do_not_fit_fail_alike_in_every_runtime() -> None:
    runtimes: tuple[Runtime, ...] = ("eager", "onnxruntime", "compile")
    for runtime in runtimes:
        with pytest.raises(CandidateError, match="does not run on images of 3x12x12") as failure:
            prepared(runtime, nn.Conv2d(4, 4, 3), _batch()).__enter__()
        assert failure.value.kind == "forward"


def test_the_devices_failures_stay_the_devices() -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory"):
        building("cudagraph", fail)
    assert logging.root.manager.disable == 0


def test_a_broken_capture_is_the_networks_failure() -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nCompile with ...")

    with pytest.raises(CandidateError, match=r"cudagraph cannot run the network: CUDA error: .* capturing\.$"):
        building("cudagraph", fail)


def test_auto_on_a_cpu_is_eager_and_names_resolve_to_themselves() -> None:
    assert resolve_runtime("auto", CPU) == "eager"
    assert resolve_runtime("onnxruntime", CPU) == "onnxruntime"
    with pytest.raises(UsageError, match=r"Unknown runtime 'cudagraphs'\. Did you mean 'cudagraph'\?"):
        resolve_runtime("cudagraphs", CPU)


def test_a_graph_needs_a_gpu() -> None:
    with pytest.raises(UsageError, match="CUDA graphs need a GPU") as failure:
        resolve_runtime("cudagraph", CPU)
    assert "--runtime eager" in failure.value.fix
    with (
        pytest.raises(UsageError, match="CUDA graphs need a GPU"),
        open_workload(nn.Conv2d(3, 4, 3), (3, 8, 8), CPU, MeasurementProtocol(runtime="cudagraph")),
    ):
        pytest.fail("it ran")


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("osanas.measure.runtimes.find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(MissingExtraError, match=f"needs the package '{package}'") as failure:
        resolve_runtime("onnxruntime", CPU)
    assert "osanas[onnx]" in failure.value.fix


@pytest.mark.parametrize(
    ("precision", "message"), [("bf16", "does not convolve in bf16 on a CPU"), ("fp16", "Half precision")]
)
def test_onnx_runtime_on_a_cpu_computes_in_fp32(precision: Precision, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_runtime("onnxruntime", precision, CPU)


def test_a_provider_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(UsageError, match="does not offer the CUDAExecutionProvider here") as failure:
        check_runtime("onnxruntime", "fp32", CUDA)
    assert "onnxruntime-gpu" in failure.value.fix


def test_a_provider_that_does_not_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime itself would go on with its CPU provider."""
    monkeypatch.setattr("osanas.measure.runtimes._provider", lambda device: "CUDAExecutionProvider")
    with pytest.raises(UsageError, match="does not offer the CUDAExecutionProvider"):
        prepared("onnxruntime", _folded(), _batch()).__enter__()


def test_compiling_needs_a_compiler() -> None:
    from torch._inductor import config

    with (
        config.patch({"cpp.cxx": (None, "no-such-compiler")}),
        pytest.raises(UsageError, match=r"needs a C\+\+ compiler on a CPU: No working C\+\+ compiler") as failure,
    ):
        resolve_runtime("compile", CPU)
    assert "Install g++" in failure.value.fix


def test_compiling_for_a_gpu_needs_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osanas.measure.runtimes.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="needs Triton"):
        check_runtime("compile", "fp32", CUDA)


def test_a_runtime_is_described_by_what_may_change_its_figures() -> None:
    assert describe_runtime("eager", CPU) == {"name": "eager"}
    assert describe_runtime("cudagraph", CUDA) == {"name": "cudagraph"}
    described = describe_runtime("compile", CPU)
    assert (described["name"], described["backend"]) == ("compile", "inductor")
    assert any(character.isdigit() for character in described["compiler"])
    assert describe_runtime("onnxruntime", CPU) == {
        "name": "onnxruntime",
        "provider": "CPUExecutionProvider",
        **{package: version(package) for package in ("onnx", "onnxscript", "onnxruntime")},
    }
