"""Which runtimes a deployed network can run in on this machine, and what tells their figures apart."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, get_args

import torch
from torch import Tensor, nn

from osanas.errors import MissingExtraError, UsageError
from osanas.machine.failures import reason
from osanas.measure.deploy import check_precision
from osanas.measure.protocol import Precision, Runtime
from osanas.measure.runners import COMPILE_BACKEND, captured, no_onnx_provider, onnx_provider
from osanas.validation import did_you_mean

_RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


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
                "torch.compile on a GPU needs Triton, which is not installed.",
                "Install the package 'triton', or use --runtime cudagraph or eager.",
            )
        return
    try:
        _cpp_compiler()
    except RuntimeError as error:
        raise UsageError(
            f"torch.compile on a CPU needs a C++ compiler: {reason(error)}.",
            "Install g++ or clang++ (CXX names another one), or use --runtime eager.",
        ) from None


def _check_onnx(precision: Precision, device: torch.device) -> None:
    for package in _ONNX_PACKAGES:
        if find_spec(package) is None:
            raise MissingExtraError(package, "onnx", "The runtime onnxruntime")
    if device.type == "cpu" and precision == "bf16":
        raise UsageError("ONNX Runtime has no bf16 convolutions on a CPU.", "Use --precision fp32.")
    import onnxruntime

    if onnx_provider(device) not in onnxruntime.get_available_providers():
        raise no_onnx_provider(onnx_provider(device))


def describe_runtime(runtime: Runtime, device: torch.device) -> dict[str, Any]:
    """What may change a runtime's figures beside torch itself, as JSON: part of the measurement key.

    Raises:
        UsageError: As ``check_runtime``.
    """
    if runtime == "compile":
        check_runtime(runtime, "fp32", device)
        compiler = f"triton {_version('triton')}" if device.type == "cuda" else _cpp_compiler()
        return {"name": runtime, "backend": COMPILE_BACKEND, "compiler": compiler}
    if runtime == "onnxruntime":
        check_runtime(runtime, "fp32", device)
        versions = {package: _version(package) for package in _ONNX_PACKAGES}
        return {"name": runtime, "provider": onnx_provider(device), **versions}
    return {"name": runtime}


def _can_capture(device: torch.device) -> bool:
    try:
        _, output = captured(nn.Conv2d(3, 4, 3).eval().to(device), torch.zeros(1, 3, 8, 8, device=device))
    except RuntimeError:
        return False
    return isinstance(output, Tensor) and bool(torch.isfinite(output).all())


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
