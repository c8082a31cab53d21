"""What only a GPU can show of latency, runtimes and memory."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import Tensor, nn

from osanas.costs import count_costs
from osanas.errors import CandidateError, UsageError
from osanas.machine.clock import SystemClock
from osanas.measure.deploy import DTYPES, deployed
from osanas.measure.latency import time_workload
from osanas.measure.measurement import Measurement
from osanas.measure.network import peak_memory_bytes
from osanas.measure.protocol import MeasurementProtocol, Precision, Runtime
from osanas.measure.runners import captured, prepared
from osanas.measure.runtimes import check_runtime, resolve_runtime
from osanas.measure.workload import CudaWorkload, open_workload

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

DEVICE = torch.device("cuda", 0)
SHAPE = (64, 64, 64)


def _stack(depth: int, channels: int = 64) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*layers)


def _latency(
    model: nn.Module, runtime: Runtime, shape: tuple[int, int, int] = SHAPE, precision: Precision = "fp32"
) -> Measurement:
    protocol = MeasurementProtocol.for_search(runtime=runtime, precision=precision)
    with open_workload(model, shape, DEVICE, protocol) as workload:
        return time_workload(workload, protocol, clock=SystemClock())


def _deployed(model: nn.Module, precision: Precision) -> tuple[nn.Module, Tensor]:
    module, _ = deployed(model, DEVICE, MeasurementProtocol(precision=precision))
    batch = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(1))
    return module, batch.to(device=DEVICE, dtype=DTYPES[precision], memory_format=torch.channels_last)


class Synchronising(nn.Module):
    """Reads a value back in its forward pass, which no CUDA graph can capture."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.sum().item()


def test_the_host_waits_at_least_as_long_as_the_gpu_works() -> None:
    """Proves that host latency covers the GPU's work, that a larger network takes longer by both, and that torch's
    settings are put back."""
    benchmark = torch.backends.cudnn.benchmark
    small, large = _latency(_stack(1), "cudagraph"), _latency(_stack(20), "cudagraph")
    for latency in (small, large):
        assert latency.gpu_time_ms is not None
        assert latency.gpu_time_interval_ms is not None
        assert 0 < latency.gpu_time_ms <= latency.latency_ms * 1.02
        assert latency.gpu_time_interval_ms[0] <= latency.gpu_time_ms <= latency.gpu_time_interval_ms[1]
        assert latency.runtime_details["capture_seconds"] > 0
    assert small.latency_ms < large.latency_ms
    assert (small.gpu_time_ms or 0) < (large.gpu_time_ms or 0)
    assert torch.backends.cudnn.benchmark == benchmark


def test_many_small_kernels_are_launch_bound_and_few_large_ones_are_not() -> None:
    """Proves that a captured graph of tiny kernels takes less than 0.8 of the GPU time of their eager launches, and
    that convolutions of milliseconds are not flagged."""
    tiny = _latency(_stack(40, channels=8), "eager", (8, 8, 8))
    assert "launch_bound" in tiny.flags
    assert tiny.runtime_details["cudagraph_gpu_time_ms"] < 0.8 * (tiny.gpu_time_ms or 0)
    heavy = _latency(_stack(4, channels=256), "eager", (256, 224, 224))
    assert "launch_bound" not in heavy.flags
    assert heavy.notes == ()


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_graph_gives_what_eager_mode_gives(precision: Precision) -> None:
    """Proves that capture and replay compute the folded network on the batch that stands in memory."""
    module, batch = _deployed(_stack(3), precision)
    with prepared("cudagraph", module, batch) as runner, torch.inference_mode():
        assert runner.details["output_difference"] < 1e-2
        output = runner.keeps[2]
        assert isinstance(output, Tensor)
        batch.mul_(0.5)  # replays read the same memory again
        runner.run()
        torch.cuda.synchronize()
        assert torch.allclose(output, module(batch), rtol=1e-2, atol=1e-2)


def test_what_cannot_be_captured_is_the_networks_failure_and_the_gpu_lives_on() -> None:
    """Proves that a broken capture is a candidate's failure, leaves the current stream and the context usable, and in
    eager mode is a note."""
    stream = torch.cuda.current_stream()
    with pytest.raises(CandidateError) as failure:
        _latency(Synchronising(), "cudagraph")
    assert failure.value.kind == "runtime"
    assert torch.cuda.current_stream() == stream
    assert torch.ones(1, device=DEVICE).item() == 1.0
    eager = _latency(Synchronising(), "eager")
    assert any("not known whether it is launch bound" in note for note in eager.notes)
    module, batch = _deployed(_stack(1), "fp32")
    assert captured(module, batch)[0].details["capture_seconds"] > 0


def test_auto_is_a_graph() -> None:
    """Proves that the trial convolution can be captured on this GPU."""
    assert resolve_runtime("auto", DEVICE) == "cudagraph"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs Triton")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_compiled_network_gives_what_eager_mode_gives(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that Inductor compiles the folded network on this GPU in one graph, and that its time is kept apart."""
    monkeypatch.setenv("_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR", "")  # the compiler sets it
    latency = _latency(_stack(3), "compile", precision=precision)
    assert latency.runtime_details["graphs"] == 1
    assert latency.runtime_details["output_difference"] < 1e-2
    assert latency.runtime_details["compile_seconds"] > latency.latency_ms / 1e3


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_onnx_runtime_runs_on_the_gpu_or_not_at_all(precision: Precision) -> None:
    """Proves that the CUDA provider is the active one, that it runs on the stream that its events are recorded on, and
    that its results are the eager network's."""
    try:
        check_runtime("onnxruntime", precision, DEVICE)
    except UsageError as error:
        pytest.skip(str(error))
    module, batch = _deployed(_stack(8), precision)
    with prepared("onnxruntime", module, batch) as runner, torch.cuda.device(DEVICE):
        assert runner.details["provider"] == "CUDAExecutionProvider"
        assert runner.details["output_difference"] < 2e-2
        workload = CudaWorkload(runner)
        workload.run(50)
        host = workload.block(50, SystemClock(), singly=True)
        on_gpu = workload.gpu_block(50)
        # events on another stream would see none of its work
        assert 0.1 * host.iteration_ms < on_gpu.iteration_ms <= 1.1 * host.iteration_ms
        assert len(host.singles_ms) == 50


def test_a_measured_network_gives_its_memory_back() -> None:
    """Proves that neither runner nor graph keeps memory of the GPU after a measurement."""
    runtimes: tuple[Runtime, ...] = ("eager", "cudagraph")
    for runtime in runtimes:
        held = []
        for _ in range(2):  # libraries keep workspaces of their own from the first time on
            with open_workload(_stack(4), SHAPE, DEVICE, MeasurementProtocol(runtime=runtime)) as workload:
                workload.run(3)
                at_work = torch.cuda.memory_allocated(DEVICE)
            held.append(torch.cuda.memory_allocated(DEVICE))
        assert held[0] == held[1] < at_work


def test_a_gpu_that_is_too_small_is_the_candidates_failure() -> None:
    """Proves that CUDA's out-of-memory error becomes the candidate's reason and the device stays usable."""
    model = nn.Conv2d(3, 65536, 3)  # its input takes 200 MB, its output 4 TB
    shape = (3, 4096, 4096)
    with pytest.raises(CandidateError) as failure, open_workload(model, shape, DEVICE, MeasurementProtocol()):
        pytest.fail("it fitted")
    assert failure.value.kind == "out_of_memory"
    assert torch.ones(1, device=DEVICE).item() == 1.0


def test_peak_memory_covers_weights_and_maps_in_every_runtime() -> None:
    """Proves that the allocator's peak grows with the batch and does not miss what a graph keeps apart."""
    model = nn.Conv2d(64, 64, 3)
    least = 4 * (sum(parameter.numel() for parameter in model.parameters()) + 64 * 64 * 64 + 64 * 62 * 62)
    costs = count_costs(model, SHAPE)
    one = peak_memory_bytes(model, SHAPE, DEVICE, MeasurementProtocol(), costs=costs)
    assert one >= least
    assert peak_memory_bytes(model, SHAPE, DEVICE, MeasurementProtocol(batch_size=8), costs=costs) > one
    assert peak_memory_bytes(model, SHAPE, DEVICE, MeasurementProtocol(runtime="cudagraph"), costs=costs) >= least
