"""Hypothesis strategies and helpers for architectures small enough to build by the hundred."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn
from torch.fx import symbolic_trace

from osanas.genotype.architecture import Architecture, Stage, Stem
from osanas.models.build import build

WIDTHS = st.sampled_from([2, 3, 4, 8])
STEMS = st.builds(Stem, channels=st.tuples(WIDTHS, WIDTHS, WIDTHS), downsample=st.sampled_from(["pool", "stride"]))
STAGES = st.builds(
    Stage, conv_channels=WIDTHS, out_channels=WIDTHS, layers=st.integers(1, 3), modules=st.integers(1, 2)
)
ARCHITECTURES = st.builds(
    Architecture,
    stem=STEMS,
    stages=st.tuples(STAGES, STAGES, STAGES, STAGES),
    conv=st.sampled_from(["dense", "depthwise"]),
    attention=st.sampled_from(["none", "ese", "ese_last", "eca_last"]),
    identity=st.booleans(),
)
"""Any architecture, in small widths."""

MUTATIONS: list[tuple[Any, ...]] = [
    *(("stem", "channels", index) for index in range(3)),
    ("stem", "downsample"),
    *(
        ("stages", index, field)
        for index in range(4)
        for field in ("conv_channels", "out_channels", "layers", "modules")
    ),
    ("conv",),
    ("attention",),
    ("identity",),
]
"""Path of every leaf of an architecture's JSON form."""
_NEXT = {
    "pool": "stride",
    "stride": "pool",
    "dense": "depthwise",
    "depthwise": "dense",
    "none": "ese",
    "ese": "ese_last",
    "ese_last": "eca_last",
    "eca_last": "none",
}


def mutated(architecture: Architecture, path: tuple[Any, ...]) -> Architecture:
    """The architecture with one leaf set to another value."""
    document = architecture.to_dict()
    parent: Any = document
    for key in path[:-1]:
        parent = parent[key]
    old = parent[path[-1]]
    parent[path[-1]] = not old if isinstance(old, bool) else _NEXT[old] if isinstance(old, str) else old + 1
    return Architecture.from_dict(document)


def tiny(**changes: Any) -> Architecture:
    """A small dense network with two modules in its last two stages."""
    document: dict[str, Any] = {
        "stem": {"channels": [4, 4, 8], "downsample": "pool"},
        "stages": [
            {"conv_channels": 4, "out_channels": 8, "layers": 2, "modules": 1},
            {"conv_channels": 6, "out_channels": 8, "layers": 3, "modules": 1},
            {"conv_channels": 8, "out_channels": 12, "layers": 2, "modules": 2},
            {"conv_channels": 8, "out_channels": 16, "layers": 2, "modules": 2},
        ],
        **changes,
    }
    return Architecture.from_dict(document)


def structure(architecture: Architecture, stem_reduction: int = 4) -> tuple[str, str]:
    """What the built network is: the code of its traced forward pass, and its layers."""
    with torch.device("meta"):
        model = build(architecture, num_classes=2, stem_reduction=stem_reduction)
    leaves = [f"{name}: {module}" for name, module in model.named_modules() if not list(module.children())]
    return str(symbolic_trace(model).code), "\n".join(leaves)


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in float64 and evaluation mode, all weights and statistics random."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        fan_in = tensor[0].numel() if tensor.dim() > 1 else 1
        values = torch.randn(tensor.shape, generator=generator, dtype=torch.float64) / fan_in**0.5
        tensor.copy_(values.abs() + 0.5 if name.endswith("running_var") else values + (tensor.dim() == 1))
    return model
