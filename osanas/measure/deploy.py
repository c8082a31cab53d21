"""The form in which a network is deployed, and so measured: batch norm folded, channels_last, the chosen precision."""

from __future__ import annotations

import copy
import inspect
import warnings
from operator import attrgetter

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from osanas.errors import UsageError
from osanas.measure.protocol import MeasurementProtocol, Precision

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

_Foldable = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear
_Norm = tuple[Tensor, Tensor, Tensor | None, Tensor | None, float]
"""Mean, variance, scale, shift and epsilon."""


def check_precision(device: torch.device, precision: Precision) -> None:
    """Refuses a precision that the device does not compute in.

    Raises:
        UsageError: Half precision on a CPU, or bfloat16 on a GPU that emulates it.
    """
    if device.type == "cpu" and precision == "fp16":
        raise UsageError("Half precision (fp16) is not measured on a CPU.", "Use --precision bf16 or fp32.")
    if device.type == "cuda" and precision == "bf16":
        with torch.cuda.device(device):
            if not torch.cuda.is_bf16_supported(including_emulation=False):
                raise UsageError(
                    f"The GPU {device} has no bfloat16 units and would emulate them.", "Use --precision fp16 or fp32."
                )


def deployed(
    model: nn.Module, device: torch.device, protocol: MeasurementProtocol
) -> tuple[nn.Module, tuple[str, ...]]:
    """A copy of a network as it would be deployed; the network itself stays as it is.

    Args:
        model: Any network in fp32; its batch norms' running statistics are used as they are.
        device: Where the copy goes.
        protocol: Its precision; convolution weights are channels_last.

    Returns:
        The copy, and notes on what of that form it does not have.

    Raises:
        UsageError: The device cannot compute in that precision.
        torch.OutOfMemoryError: The network does not fit the device's memory.
    """
    check_precision(device, protocol.precision)
    original = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    folded, reason = _folded(original)
    unfolded = _remaining(folded)
    notes: tuple[str, ...] = ()
    if unfolded:
        why = "folding needs a convolution or linear layer right before that feeds nothing else"
        if reason:
            why = f"the network's forward pass cannot be traced ({reason})"
        notes = (f"{unfolded} batch norm{'s are' if unfolded > 1 else ' is'} not folded: {why}",)
    return folded.to(device=device, dtype=DTYPES[protocol.precision]).to(memory_format=torch.channels_last), notes


def _folded(model: nn.Module) -> tuple[nn.Module, str | None]:
    """The network with its batch norms merged, and why it could not be traced.

    Where the whole cannot be traced, its parts are, so that one dynamic head costs a peer no more than that.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on what tracing fixes; all of it is fixed in a deployed network too
            traced = fx.symbolic_trace(model)
    except Exception as error:  # noqa: BLE001  (tracing runs the network's own code, which raises what it likes)
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    else:
        _fold_graph(traced)
        return traced.eval(), None
    for name, child in list(model.named_children()):
        if any(isinstance(part, _BatchNorm) for part in child.modules()) and not isinstance(child, _BatchNorm):
            setattr(model, name, _folded(child)[0])
    # containers have no forward pass of their own to trace
    return model, None if isinstance(model, (nn.ModuleList, nn.ModuleDict)) else reason


def _fold_graph(traced: fx.GraphModule) -> None:
    """Merges each batch norm into the layer before it, where nothing else reads that layer's output."""
    graph = traced.graph
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target is torch._assert:  # on shapes, which are fixed when deployed
            graph.erase_node(node)
    graph.eliminate_dead_code()
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    for node in list(graph.nodes):
        norm = _norm_of(traced, node)
        source = node.args[0] if norm is not None and node.args else None
        if norm is None or not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        layer = traced.get_submodule(str(source.target))
        if not isinstance(layer, _Foldable) or calls.count(source.target) != 1:
            continue
        _merge(layer, *norm)
        node.replace_all_uses_with(source)
        graph.erase_node(node)
    graph.eliminate_dead_code()
    traced.delete_all_unused_submodules()
    traced.recompile()


def _norm_of(traced: fx.GraphModule, node: fx.Node) -> _Norm | None:
    """The constants of a batch norm with running statistics, called as a module or as a function."""
    if node.op == "call_module":
        module = traced.get_submodule(str(node.target))
        if isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None:
            return module.running_mean, module.running_var, module.weight, module.bias, module.eps
        return None
    if node.op != "call_function" or node.target is not F.batch_norm:
        return None
    call = inspect.signature(F.batch_norm).bind(*node.args, **node.kwargs)
    call.apply_defaults()
    values = call.arguments
    names = ("running_mean", "running_var", "weight", "bias")
    mean, variance, scale, shift = (_constant(traced, values[name]) for name in names)
    lost = (values["weight"] is not None and scale is None) or (values["bias"] is not None and shift is None)
    if mean is None or variance is None or lost or values["training"] is not False:
        return None
    return mean, variance, scale, shift, float(values["eps"])


def _constant(traced: fx.GraphModule, node: object) -> Tensor | None:
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    value = attrgetter(str(node.target))(traced)
    return value if isinstance(value, Tensor) else None


def _merge(
    layer: _Foldable, mean: Tensor, variance: Tensor, scale: Tensor | None, shift: Tensor | None, epsilon: float
) -> None:
    scale = torch.ones_like(mean) if scale is None else scale
    shift = torch.zeros_like(mean) if shift is None else shift
    fuse = fuse_linear_bn_weights if isinstance(layer, nn.Linear) else fuse_conv_bn_weights
    layer.weight, layer.bias = fuse(layer.weight, layer.bias, mean, variance, epsilon, scale, shift)


def _remaining(model: nn.Module) -> int:
    graphs = [module.graph for module in model.modules() if isinstance(module, fx.GraphModule)]
    functions = sum(len(graph.find_nodes(op="call_function", target=F.batch_norm)) for graph in graphs)
    return functions + sum(isinstance(module, _BatchNorm) for module in model.modules())
