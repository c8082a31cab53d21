"""Networks made ready in a runtime: run eagerly, compiled, captured as a CUDA graph, or as a session of ONNX Runtime.

All of them start from the same folded network. None is ever replaced by another: what a runtime cannot do is an error.
"""

from __future__ import annotations

import io
import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from osanas.errors import CandidateError, OsanasError, UsageError
from osanas.machine.failures import failure_kind, reason
from osanas.measure.protocol import Runtime

COMPILE_BACKEND = "inductor"

_ONNX_BFLOAT16 = 16
"""``onnx.TensorProto.BFLOAT16``; NumPy has no such type."""

_MOST_DIFFERENCE = 0.05
"""Of the largest value; half precision and another order of sums stay well below."""


@dataclass(frozen=True)
class Runner:
    """A network in a runtime, with its batch."""

    run: Callable[[], object]
    """Runs the batch; on a GPU it may return before the device has finished."""
    details: dict[str, Any] = field(default_factory=dict)
    """What the runtime tells of itself, as JSON."""
    notes: tuple[str, ...] = ()
    """What a reader should know of it."""
    stream: torch.cuda.Stream | None = None
    """The CUDA stream that it runs on; None is the current one."""
    keeps: tuple[object, ...] = ()
    """What must stay alive because only its address is known to the runtime."""


@contextmanager
def prepared(runtime: Runtime, module: nn.Module, batch: Tensor) -> Iterator[Runner]:
    """A deployed network in a runtime; compiling, exporting and capturing are done, and timed apart.

    Args:
        runtime: Checked by ``check_runtime``.
        module: From ``deployed``.
        batch: On the network's device, of its precision.

    Raises:
        CandidateError: ``forward``: the network does not run on such a batch; ``runtime``: not in that runtime.
        UsageError: ONNX Runtime does not start on the GPU.
    """
    expected = _first_pass(module, batch)
    try:
        if runtime == "eager":
            runner = Runner(partial(module, batch))
        else:
            build = {
                "compile": partial(compiled, module, batch),
                "cudagraph": partial(captured, module, batch),
                "onnxruntime": partial(onnx_session, module, batch, expected, onnx_provider(batch.device)),
            }[runtime]
            runner, output = building(runtime, build)
            runner = compared(runner, expected, output, runtime)
            del build, output
        del expected
        yield runner
    finally:
        if runtime in ("compile", "onnxruntime"):  # guards and compiled code of one network would outlive it
            torch.compiler.reset()


def _first_pass(module: nn.Module, batch: Tensor) -> object:
    """What the network gives in eager mode."""
    try:
        with torch.inference_mode(), redirect_stderr(io.StringIO()):  # a traced network prints its source there
            output = module(batch)
            if batch.device.type == "cuda":
                torch.cuda.synchronize(batch.device)
    except (RuntimeError, ValueError, IndexError) as error:
        if failure_kind(error) is not None:
            raise
        shape = "x".join(map(str, batch.shape[1:]))
        raise CandidateError("forward", f"The network does not run on images of {shape}: {reason(error)}.") from error
    return output


def building(runtime: Runtime, build: Callable[[], tuple[Runner, object]]) -> tuple[Runner, object]:
    """Builds something in silence; what goes wrong is the network's failure in that runtime.

    Raises:
        CandidateError: ``runtime``.
    """
    silenced = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            return build()
    except OsanasError:
        raise
    except Exception as error:  # compilers and exporters raise what they like
        if failure_kind(error) is not None:
            raise
        raise CandidateError("runtime", f"The runtime {runtime} cannot run the network: {reason(error)}.") from error
    finally:
        logging.disable(silenced)


def compared(runner: Runner, expected: object, output: object, runtime: Runtime) -> Runner:
    """The runner with a record of how far its runtime's results are from the eager network's."""
    difference = _largest_difference(expected, output)
    notes, is_finite = runner.notes, difference is not None and math.isfinite(difference)
    if difference is not None and difference > _MOST_DIFFERENCE:
        by = f" by {difference:.0%}" if is_finite else ""
        notes = (*notes, f"the results of {runtime} differ from the eager network's{by}")
    details = {**runner.details, "output_difference": difference if is_finite else None}
    return replace(runner, details=details, notes=notes)


def _largest_difference(expected: object, output: object) -> float | None:
    """Largest difference over the largest value; None where the eager network's own results are not finite."""
    worst = 0.0
    for one, other in zip(_tensors(expected), _tensors(output), strict=True):
        reference, found = one.double(), other.double()
        if not reference.isfinite().all():
            return None
        if not found.isfinite().all():
            return math.inf
        worst = max(worst, ((reference - found).abs().max() / reference.abs().max().clamp(min=1e-30)).item())
    return worst


def _tensors(output: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.numel()]


def compiled(
    module: nn.Module, batch: Tensor, backend: str | Callable[..., Any] = COMPILE_BACKEND
) -> tuple[Runner, object]:
    """A network after ``torch.compile`` and its first pass, and what that gives.

    Raises:
        CandidateError: ``runtime``: nothing of it was compiled.
    """
    from torch._dynamo import config
    from torch._dynamo.utils import counters

    counters.clear()
    program = torch.compile(module, backend=backend, dynamic=False)
    start = time.perf_counter()
    with config.patch(suppress_errors=False), torch.inference_mode():  # otherwise it falls back to eager mode
        output = program(batch)
    seconds = time.perf_counter() - start
    graphs, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
    if not graphs:
        raise CandidateError("runtime", "The runtime compile cannot run the network: nothing of it was compiled.")
    notes = (f"compiled in {graphs} parts",) if breaks else ()
    details = {"compile_seconds": seconds, "graphs": graphs, "graph_breaks": breaks}
    return Runner(partial(program, batch), details, notes), output


@cache
def capture_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream that graphs are captured on: libraries keep a workspace for every stream that they have seen."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def captured(module: nn.Module, batch: Tensor) -> tuple[Runner, object]:
    """A CUDA graph of one forward pass, replayed once, and what it gives.

    Warmed up on a side stream, then captured, as PyTorch's notes on CUDA semantics ("CUDA Graphs") prescribe.
    """
    start = time.perf_counter()
    # the outer stream: a capture that breaks leaves its own stream the current one
    with torch.inference_mode(), torch.cuda.device(batch.device), torch.cuda.stream(torch.cuda.current_stream()):
        side = capture_stream(batch.device)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                module(batch)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=side):
                output = module(batch)
        except RuntimeError as error:  # leaving a broken capture raises again, which hides why
            raise error.__context__ or error from None
        graph.replay()
        torch.cuda.synchronize()
    return Runner(graph.replay, {"capture_seconds": time.perf_counter() - start}, keeps=(module, batch, output)), output


def onnx_session(module: nn.Module, batch: Tensor, expected: object, provider: str) -> tuple[Runner, object]:
    """ONNX Runtime with inputs and outputs bound to torch's memory, on a CUDA stream of torch's, and what it gives.

    Args:
        module: From ``deployed``.
        batch: On the network's device.
        expected: What the network gives in eager mode.
        provider: From ``onnx_provider``.

    Raises:
        UsageError: The provider does not start.
    """
    import onnxruntime

    start = time.perf_counter()
    batch = batch.contiguous()
    program = torch.onnx.export(module.to(memory_format=torch.contiguous_format), (batch,), dynamo=True, verbose=False)
    assert program is not None
    exported = time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    run_options = onnxruntime.RunOptions()
    stream, provider_options = None, {}
    if batch.device.type == "cuda":
        stream = torch.cuda.Stream(batch.device)  # type: ignore[no-untyped-call]
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")  # the workload synchronises
        provider_options = {
            "device_id": str(batch.device.index or 0),
            "user_compute_stream": str(stream.cuda_stream),
            "use_tf32": str(int(torch.backends.cudnn.allow_tf32)),
        }
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), options, providers=[(provider, provider_options)], enable_fallback=0
    )
    if session.get_providers()[0] != provider:
        raise no_onnx_provider(provider)
    details = {
        "export_seconds": exported - start,
        "session_seconds": time.perf_counter() - exported,
        "provider": provider,
    }
    outputs = [torch.empty_like(leaf, memory_format=torch.contiguous_format) for leaf in _tensors(expected)]
    binding = session.io_binding()
    for bind, slots, tensors in (
        (binding.bind_input, session.get_inputs(), [batch]),
        (binding.bind_output, session.get_outputs(), outputs),
    ):
        for slot, tensor in zip(slots, tensors, strict=True):
            place = (batch.device.type, batch.device.index or 0, _element_type(tensor), tuple(tensor.shape))
            bind(slot.name, *place, tensor.data_ptr())
    run = partial(session.run_with_iobinding, binding, run_options)
    if stream is not None:
        stream.wait_stream(torch.cuda.current_stream(batch.device))
    run()
    if stream is not None:
        stream.synchronize()
    return Runner(run, details, stream=stream, keeps=(batch, outputs)), outputs


def _element_type(tensor: Tensor) -> Any:
    if tensor.dtype == torch.bfloat16:
        return _ONNX_BFLOAT16
    return torch.empty(0, dtype=tensor.dtype).numpy().dtype.type


def onnx_provider(device: torch.device) -> str:
    """ONNX Runtime's name for what computes on a device."""
    return "CUDAExecutionProvider" if device.type == "cuda" else "CPUExecutionProvider"


def no_onnx_provider(provider: str) -> UsageError:
    """The error to raise where a provider is missing or does not start."""
    return UsageError(
        f"ONNX Runtime does not offer the {provider} here.",
        "Replace onnxruntime by onnxruntime-gpu, built for torch's CUDA and cuDNN, or use another --runtime.",
    )
