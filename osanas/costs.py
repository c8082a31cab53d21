"""What a network costs for one image: parameters, multiply-adds, memory access and peak activations.

Counted from the operations that a forward pass runs, so any ``nn.Module`` will do. The pass is run on the meta device,
which computes shapes only; a network that cannot do so is run for real.

Memory access cost (VoVNet, arXiv 1904.09730, equation 1; ShuffleNet V2, arXiv 1807.11164, guideline G1) is the number
of input, output and weight elements of a layer: ``h w (ci + co) + k^2 ci co`` at stride 1 without groups, where it is
bounded from below by ``2 sqrt(h w B / k^2) + B / (h w)`` for ``B`` multiply-adds, reached where ``ci = co``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from osanas.errors import UsageError

_aten = torch.ops.aten
_MATRIX_PRODUCTS = (_aten.mm.default, _aten.addmm.default, _aten.bmm.default, _aten.baddbmm.default)
_WITH_BIAS_FIRST = (_aten.addmm.default, _aten.baddbmm.default)
_COPIES = "clone copy _to_copy detach lift_fresh as_strided"
_CONSTANTS = "arange empty empty_like fill full new_empty new_zeros ones scalar_tensor zero zeros"
_COMPUTE_NOTHING = frozenset(f"{_COPIES} {_CONSTANTS}".split())
"""Beside views, which are told by the memory they share."""

_REFUSALS = (RuntimeError, TypeError, ValueError)
"""What a network raises that cannot be run."""


@dataclass(frozen=True)
class LayerCost:
    """One run of a 2-D convolution or linear layer, for one image."""

    multiply_adds: int
    memory_access_elements: int
    """Input, output and weight elements; the bias is not counted."""
    memory_access_bound: float | None
    """Fewest elements that as many multiply-adds on this map need; None where the bound does not hold: with groups, or
    an output map of another size than the input's (stride, missing padding, transposed convolution)."""


@dataclass(frozen=True)
class Costs:
    """Costs of a network for one image."""

    layers: tuple[LayerCost, ...]
    """In the order they run; a layer that runs twice is there twice."""
    parameters: int
    """Parameter elements, shared ones once."""
    peak_activation_bytes: int
    """Largest sum, over the operations in the order they run, of the tensors alive at that operation: its inputs and
    outputs, and every earlier result (or the image) that a later operation or the caller reads. Views share memory;
    what runs in place needs none of its own; parameters, buffers, a kernel's workspace and results that nothing reads
    (a max pool's indices) are not counted. The network is taken as it stands, in its own floating-point type: a batch
    norm that is folded later is an operation here."""
    uncounted: tuple[str, ...]
    """Operations that ran and are in neither ``multiply_adds`` nor ``memory_access_elements``, by ATen's names, in
    order of first appearance; views, copies and constants are left out."""

    @property
    def multiply_adds(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def memory_access_elements(self) -> int:
        """Memory access cost of all layers, in elements."""
        return sum(layer.memory_access_elements for layer in self.layers)

    def memory_access_bytes(self, bytes_per_element: int = 4) -> int:
        """Memory access cost of all layers, in bytes."""
        return self.memory_access_elements * bytes_per_element

    @property
    def memory_access_bound(self) -> float | None:
        """Lower bound in elements, summed over the layers where it holds; None if it holds for none."""
        bounds = [layer.memory_access_bound for layer in self.layers if layer.memory_access_bound is not None]
        return math.fsum(bounds) if bounds else None

    @property
    def memory_access_excess(self) -> float | None:
        """Memory access cost over its bound, both over the layers where the bound holds; None if it holds for none."""
        bound = self.memory_access_bound
        if bound is None:
            return None
        bounded = (layer for layer in self.layers if layer.memory_access_bound is not None)
        return sum(layer.memory_access_elements for layer in bounded) / bound


def memory_access_bound(multiply_adds: int, map_elements: int, kernel_elements: int) -> float:
    """The bound ``2 sqrt(h w B / k^2) + B / (h w)``, in elements.

    Args:
        multiply_adds: ``B``.
        map_elements: ``h w``.
        kernel_elements: ``k^2``.
    """
    return 2 * math.sqrt(map_elements * multiply_adds / kernel_elements) + multiply_adds / map_elements


def count_costs(model: nn.Module, input_shape: tuple[int, int, int]) -> Costs:
    """Counts what one forward pass in evaluation mode costs.

    The network comes back on the device and in the mode it was in.

    Args:
        model: The network; it takes ``x[N, C, H, W]``.
        input_shape: ``(C, H, W)``; the batch is 1.

    Raises:
        UsageError: If the network cannot take such an input.
    """
    state = {name: tensor.detach().to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    weights = [*model.parameters(), *model.buffers()]
    device = weights[0].device if weights else torch.device("cpu")
    try:
        on_meta = partial(torch.func.functional_call, model, state)
        trace = _traced(model, on_meta, state.values(), input_shape, torch.device("meta"))
    except _REFUSALS:  # it holds tensors or control flow that need values
        try:
            trace = _traced(model, model, weights, input_shape, device)
        except _REFUSALS as error:
            shape, reason = "x".join(map(str, input_shape)), str(error).strip().partition("\n")[0]
            raise UsageError(
                f"The network cannot take an input of {shape}: {reason.rstrip('. ')}.",
                "Give the channels and the resolution it expects.",
            ) from error
    return Costs(
        layers=tuple(trace.layers),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        peak_activation_bytes=trace.peak_activation_bytes(),
        uncounted=tuple(trace.uncounted),
    )


def _traced(
    model: nn.Module,
    forward: Callable[[Tensor], Any],
    weights: Iterable[Tensor],
    input_shape: tuple[int, int, int],
    device: torch.device,
) -> _Trace:
    """A forward pass of the network on an image of zeros."""
    image = torch.zeros(1, *input_shape, device=device, dtype=_float_type(model))
    trace = _Trace(weights, image)
    trace.watch(model, lambda: forward(image))
    return trace


def _float_type(model: nn.Module) -> torch.dtype:
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())


class _Trace(TorchDispatchMode):
    """Sees every operation of a forward pass, below autograd, and which module ran it."""

    def __init__(self, weights: Iterable[Tensor], image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: list[LayerCost] = []
        self.uncounted: dict[str, None] = {}
        self._modules: list[nn.Module] = []
        # Identities stay unique only while the memory lives; on the meta device that costs nothing.
        self._alive: list[Tensor] = [image, *weights]
        self._image, *weight_memories = map(_memory, self._alive)
        self._weights = frozenset(weight_memories)
        self._bytes = {self._image: image.untyped_storage().nbytes()}
        self._steps: list[tuple[frozenset[int], frozenset[int]]] = []  # memory that each operation reads and writes

    def watch(self, model: nn.Module, forward: Callable[[], Any]) -> None:
        """Runs a forward pass in evaluation mode, without gradients."""
        with ExitStack() as stack:
            # The fused attention kernel would hide the linear layers inside it.
            stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
            torch.backends.mha.set_fastpath_enabled(False)
            for module in model.modules():
                stack.callback(setattr, module, "training", module.training)
                stack.enter_context(module.register_forward_pre_hook(self._enter))
                stack.enter_context(module.register_forward_hook(self._leave, always_call=True))
            model.eval()
            with torch.no_grad(), self:
                outputs = forward()
        self._steps.append((self._memories(outputs), frozenset()))  # the caller reads after the last operation

    def peak_activation_bytes(self) -> int:
        """See ``Costs.peak_activation_bytes``."""
        last_read = {memory: index for index, (reads, _) in enumerate(self._steps) for memory in reads}
        live = last_read.keys() & {self._image}
        peak = 0
        for index, (reads, writes) in enumerate(self._steps):
            live |= writes & last_read.keys()
            peak = max(peak, sum(self._bytes[memory] for memory in live))
            live -= {memory for memory in reads if last_read[memory] == index}
        return peak

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        reads = self._memories((args, kwargs))
        fresh = [t for t in tensors if _memory(t) not in reads | self._weights]
        for tensor in fresh:
            self._alive.append(tensor)
            self._bytes[_memory(tensor)] = tensor.untyped_storage().nbytes()
        if fresh or func._schema.is_mutable:
            self._steps.append((reads, frozenset(map(_memory, fresh))))
            self._count(func, args, tensors)
        return result

    def _count(self, func: Any, args: tuple[Any, ...], results: list[Tensor]) -> None:
        if func is _aten.convolution.default and args[0].dim() == 4:
            self.layers.append(_convolution(args, results[0]))
        elif func in _MATRIX_PRODUCTS and (operands := self._linear_operands(func, args)):
            self.layers.append(_linear(*operands))
        else:
            operation = func.overloadpacket.__name__.removesuffix("_")
            if operation == "convolution":
                operation = f"conv{args[0].dim() - 2}d"
            if operation not in _COMPUTE_NOTHING:
                self.uncounted[operation] = None

    def _linear_operands(self, func: Any, args: tuple[Any, ...]) -> tuple[Tensor, Tensor] | None:
        """Input and weight of a matrix product with a weight; None if both sides are activations."""
        left, right = args[1:3] if func in _WITH_BIAS_FIRST else args[:2]
        if _memory(right) in self._weights or (self._modules and isinstance(self._modules[-1], nn.Linear)):
            return left, right
        return (right.mT, left.mT) if _memory(left) in self._weights else None

    def _memories(self, tree: Any) -> frozenset[int]:
        """Memory of the activations in nested arguments."""
        tensors = (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
        return frozenset(map(_memory, tensors)) & self._bytes.keys()

    def _enter(self, module: nn.Module, _inputs: Any) -> None:
        self._modules.append(module)

    def _leave(self, _module: nn.Module, _inputs: Any, _outputs: Any) -> None:
        self._modules.pop()


def _memory(tensor: Tensor) -> int:
    """Identity of the memory behind a tensor, which its views share."""
    return int(tensor.untyped_storage()._cdata)


def _convolution(args: tuple[Any, ...], output: Tensor) -> LayerCost:
    inputs, weight, transposed, groups = args[0], args[1], args[6], args[8]
    in_map, out_map = math.prod(inputs.shape[2:]), math.prod(output.shape[2:])
    # A transposed convolution spreads every input element over a kernel; the other gathers one per output element.
    multiply_adds = weight.numel() * (in_map if transposed else out_map)
    is_bounded = inputs.shape[2:] == output.shape[2:] and groups == 1 and not transposed
    bound = memory_access_bound(multiply_adds, out_map, math.prod(weight.shape[2:])) if is_bounded else None
    return LayerCost(multiply_adds, inputs.numel() + output.numel() + weight.numel(), bound)


def _linear(inputs: Tensor, weight: Tensor) -> LayerCost:
    """A linear layer is a 1x1 convolution over a map of as many elements as it has input rows."""
    rows = math.prod(inputs.shape[:-1])
    wide, narrow = weight.shape[-2:]
    multiply_adds = rows * wide * narrow
    return LayerCost(multiply_adds, rows * (wide + narrow) + wide * narrow, memory_access_bound(multiply_adds, rows, 1))
