"""The runtimes that a deployed network can run in, each made ready to run one batch over and over.

All of them start from the same folded network. None is ever replaced by another: what a runtime cannot do is an error.
"""

from __future__ import annotations

import io
import logging
import math
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, TypeVar, get_args

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from osanas.errors import CandidateError, MissingExtraError, OsanasError, UsageError
from osanas.machine.failures import failure_kind, reason
from osanas.measure.deploy import check_precision
from osanas.measure.protocol import Precision, Runtime
from osanas.validation import did_you_mean

_RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_ONNX_BFLOAT16 = 16
"""``onnx.TensorProto.BFLOAT16``; NumPy has no such type."""
_COMPILE_BACKEND = "inductor"
_MOST_DIFFERENCE = 0.05
"""Of the largest value; half precision and another order of sums stay well below."""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Runner:
    """A network in a runtime, with its batch.

    Attributes:
        run: Runs the batch; on a GPU it may return before the device has finished.
        details: What the runtime tells of itself, as JSON.
        notes: What a reader should know of it.
        stream: The CUDA stream that it runs on; None is the current one.
        keeps: What must stay alive because only its address is known to the runtime.
    """

    run: Callable[[], object]
    details: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stream: torch.cuda.Stream | None = None
    keeps: tuple[object, ...] = ()


def resolve_runtime(choice: str, device: torch.device) -> Runtime:
    """The runtime that a user named.

    Args:
        choice: A runtime, or ``auto``: on a GPU ``cudagraph`` if a tiny convolution can be captured and replayed there,
            otherwise ``eager``.
        device: From ``resolve_device``.

    Raises:
        UsageError: The name is unknown, or that runtime does not work here.
    """
    if choice == "auto":
        return "cudagraph" if device.type == "cuda" and _can_capture(device) else "eager"
    for runtime in _RUNTIMES:
        if choice == runtime:
            check_runtime(runtime, "fp32", device)
            return runtime
    raise UsageError(f"Unknown runtime '{choice}'.", did_you_mean(choice, ("auto", *_RUNTIMES)))


def check_runtime(runtime: Runtime, precision: Precision, device: torch.device) -> None:
    """Refuses what cannot work here for any network.

    Raises:
        UsageError: The device or this machine cannot do it.
        MissingExtraError: ONNX Runtime or its exporter is not installed.
    """
    check_precision(device, precision)
    if runtime == "cudagraph" and device.type != "cuda":
        raise UsageError("CUDA graphs need a GPU.", "Use --runtime eager, compile or onnxruntime on a CPU.")
    if runtime == "compile":
        _check_compiler(device)
    if runtime == "onnxruntime":
        _check_onnx(precision, device)


def _check_compiler(device: torch.device) -> None:
    if device.type == "cuda":
        if find_spec("triton") is None:
            raise UsageError(
                "torch.compile needs Triton on a GPU, which is not installed.",
                "Install the package 'triton', or use --runtime cudagraph or eager.",
            )
        return
    try:
        _cpp_compiler()
    except RuntimeError as error:
        raise UsageError(
            f"torch.compile needs a C++ compiler on a CPU: {reason(error)}.",
            "Install g++ or clang++ (CXX names another one), or use --runtime eager.",
        ) from None


def _check_onnx(precision: Precision, device: torch.device) -> None:
    for package in _ONNX_PACKAGES:
        if find_spec(package) is None:
            raise MissingExtraError(package, "onnx", "The runtime onnxruntime")
    if device.type == "cpu" and precision == "bf16":
        raise UsageError("ONNX Runtime does not convolve in bf16 on a CPU.", "Use --precision fp32.")
    import onnxruntime

    if _provider(device) not in onnxruntime.get_available_providers():
        raise _without_provider(device)


def _without_provider(device: torch.device) -> UsageError:
    return UsageError(
        f"ONNX Runtime does not offer the {_provider(device)} here.",
        "Install onnxruntime-gpu in the place of onnxruntime, for torch's CUDA and cuDNN, or use another --runtime.",
    )


def describe_runtime(runtime: Runtime, device: torch.device) -> dict[str, Any]:
    """What may change a runtime's figures beside torch itself, as JSON: part of the measurement key.

    Args:
        runtime: From ``resolve_runtime``.
        device: Its kind decides.

    Raises:
        UsageError: As ``check_runtime``.
    """
    if runtime == "compile":
        check_runtime(runtime, "fp32", device)
        compiler = f"triton {_version('triton')}" if device.type == "cuda" else _cpp_compiler()
        return {"name": runtime, "backend": _COMPILE_BACKEND, "compiler": compiler}
    if runtime == "onnxruntime":
        check_runtime(runtime, "fp32", device)
        versions = {package: _version(package) for package in _ONNX_PACKAGES}
        return {"name": runtime, "provider": _provider(device), **versions}
    return {"name": runtime}


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
                "compile": partial(_compiled, module, batch),
                "cudagraph": partial(captured, module, batch),
                "onnxruntime": partial(_session, module, batch, expected),
            }.pop(runtime)
            runner, output = building(runtime, build)
            runner = _compared(runner, expected, output, runtime)
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


def building(runtime: Runtime, build: Callable[[], _Result]) -> _Result:
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


def _compared(runner: Runner, expected: object, output: object, runtime: Runtime) -> Runner:
    """Records how far the runtime's results are from the eager network's."""
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


def _compiled(module: nn.Module, batch: Tensor) -> tuple[Runner, object]:
    from torch._dynamo import config
    from torch._dynamo.utils import counters

    counters.clear()
    compiled = torch.compile(module, backend=_COMPILE_BACKEND, dynamic=False)
    start = time.perf_counter()
    with config.patch(suppress_errors=False), torch.inference_mode():  # otherwise it falls back to eager mode
        output = compiled(batch)
    seconds = time.perf_counter() - start
    graphs, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
    if not graphs:
        raise CandidateError("runtime", "The runtime compile cannot run the network: nothing of it was compiled.")
    notes = (f"compiled in {graphs} parts",) if breaks else ()
    details = {"compile_seconds": seconds, "graphs": graphs, "graph_breaks": breaks}
    return Runner(partial(compiled, batch), details, notes), output


def captured(module: nn.Module, batch: Tensor) -> tuple[Runner, object]:
    """A CUDA graph of one forward pass, replayed once, and what it gives.

    Warmed up on a side stream, then captured, as PyTorch's notes on CUDA semantics ("CUDA Graphs") prescribe.
    """
    start = time.perf_counter()
    # the outer stream: a capture that breaks leaves its own stream the current one
    with torch.inference_mode(), torch.cuda.device(batch.device), torch.cuda.stream(torch.cuda.current_stream()):
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
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


def _can_capture(device: torch.device) -> bool:
    try:
        _, output = captured(nn.Conv2d(3, 4, 3).eval().to(device), torch.zeros(1, 3, 8, 8, device=device))
    except RuntimeError:
        return False
    return isinstance(output, Tensor) and bool(torch.isfinite(output).all())


def _session(module: nn.Module, batch: Tensor, expected: object) -> tuple[Runner, object]:
    """ONNX Runtime with inputs and outputs bound to torch's memory, on a CUDA stream of torch's."""
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
    provider = _provider(batch.device)
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), options, providers=[(provider, provider_options)], enable_fallback=0
    )
    if session.get_providers()[0] != provider:
        raise _without_provider(batch.device)
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


def _provider(device: torch.device) -> str:
    return "CUDAExecutionProvider" if device.type == "cuda" else "CPUExecutionProvider"


def _cpp_compiler() -> str:
    """Name and version of the compiler that torch.compile uses on a CPU.

    Raises:
        RuntimeError: There is none.
    """
    from torch._inductor.cpp_builder import get_compiler_version_info, get_cpp_compiler

    compiler = get_cpp_compiler()
    found = re.search(r"version (\d\S*)", get_compiler_version_info(compiler))
    return f"{compiler} {found[1]}" if found else compiler


def _version(package: str) -> str | None:
    for name in (package, f"{package}-gpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
