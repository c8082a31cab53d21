from __future__ import annotations

import sys
from importlib.metadata import version

import pytest
import torch
from torch import nn

from osanas.errors import MissingExtraError, UsageError
from osanas.measure.protocol import MeasurementProtocol, Precision
from osanas.measure.runtimes import check_runtime, describe_runtime, resolve_runtime
from osanas.measure.workload import open_workload

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)


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
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=f"needs the package '{package}'") as failure:
        resolve_runtime("onnxruntime", CPU)
    assert "osanas[onnx]" in failure.value.fix


@pytest.mark.parametrize(
    ("precision", "message"), [("bf16", "has no bf16 convolutions on a CPU"), ("fp16", "Half precision")]
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


def test_compiling_needs_a_compiler() -> None:
    from torch._inductor import config

    with (
        config.patch({"cpp.cxx": (None, "no-such-compiler")}),
        pytest.raises(
            UsageError, match=r"torch.compile on a CPU needs a C\+\+ compiler: No working C\+\+ compiler"
        ) as failure,
    ):
        resolve_runtime("compile", CPU)
    assert "Install g++" in failure.value.fix


def test_compiling_for_a_gpu_needs_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(UsageError, match="on a GPU needs Triton"):
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
