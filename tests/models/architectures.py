"""Hypothesis strategies and helpers for architectures small enough to build by the hundred."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn
from torch.fx import Tracer

from osanas.genotype.architecture import Architecture, Stage, Stem
from osanas.genotype.blocks import ATTENTIONS, CONVS
from osanas.genotype.leaves import LEAVES
from osanas.models.build import build

WIDTHS = st.sampled_from([2, 3, 4, 8])
STEMS = st.builds(Stem, channels=st.tuples(WIDTHS, WIDTHS, WIDTHS), downsample=st.sampled_from(["pool", "stride"]))
STAGES = st.builds(
    Stage, conv_channels=WIDTHS, out_channels=WIDTHS, layers=st.integers(1, 2), modules=st.integers(1, 2)
)
ARCHITECTURES = st.builds(
    Architecture,
    stem=STEMS,
    stages=st.tuples(STAGES, STAGES, STAGES, STAGES),
    conv=st.sampled_from(list(CONVS)),
    attention=st.sampled_from(list(ATTENTIONS)),
    identity=st.booleans(),
)
"""Any architecture, in small widths."""

MUTATIONS: list[tuple[Any, ...]] = list(LEAVES.values())
"""Path of every leaf of an architecture's JSON form."""
_NEXT = {
    word: words[(index + 1) % len(words)]
    for words in (["pool", "stride"], list(CONVS), list(ATTENTIONS))
    for index, word in enumerate(words)
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
    """What the built network is: the graph of its forward pass, and its layers."""
    model = build(architecture, num_classes=2, stem_reduction=stem_reduction)
    return str(Tracer().trace(model)), str(model)


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
