"""Peers to compare with: torchvision's classification networks, timm's when it is installed, the paper's control.

The only module that knows torchvision's models and timm. Weights are random: nothing is fetched.
"""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from typing import Any

from torch import nn
from torchvision import models

from osanas.errors import MissingExtraError, UsageError
from osanas.genotype.geometry import check_resolution, stem_reduction_for
from osanas.models.bottleneck import BOTTLENECK_NAME, build_bottleneck
from osanas.validation import did_you_mean

TIMM_PREFIX = "timm:"


def peer_names() -> list[str]:
    """Names of torchvision's classification networks and of the control, sorted; ``timm:NAME`` works beside them."""
    return sorted([*models.list_models(module=models), BOTTLENECK_NAME])


def has_timm() -> bool:
    """Whether ``timm:NAME`` can be built."""
    return find_spec("timm") is not None


def build_peer(name: str, num_classes: int = 1000, *, resolution: int = 224) -> nn.Module:
    """Builds a peer with random weights.

    Auxiliary heads (GoogLeNet, Inception) are left out: they do not run when the network is used.

    Args:
        name: A name of ``peer_names``, or ``timm:NAME``.
        num_classes: Number of classes.
        resolution: Side of the images in pixels. The control has the stem that suits them, as every VoVNet here;
            the others are the same for all sizes.

    Raises:
        UsageError: If no such network is known, or the images are too small for the control.
        MissingExtraError: If timm is meant and not installed.
    """
    if num_classes < 1:
        raise UsageError(f"num_classes is {num_classes}.", "Give at least 1.")
    if name.startswith(TIMM_PREFIX):
        return _build_timm(name.removeprefix(TIMM_PREFIX), num_classes)
    if name == BOTTLENECK_NAME:
        reduction = stem_reduction_for(resolution)
        check_resolution(resolution, reduction)
        return build_bottleneck(num_classes, stem_reduction=reduction)
    known = peer_names()
    if name not in known:
        raise UsageError(f"There is no network '{name}'.", did_you_mean(name, known))
    options: dict[str, Any] = {"num_classes": num_classes}
    if name in {"googlenet", "inception_v3"}:
        options |= {"aux_logits": False, "init_weights": True}
    peer: nn.Module = models.get_model(name, weights=None, **options)
    return peer


def _build_timm(name: str, num_classes: int) -> nn.Module:
    try:
        import timm
    except ImportError:
        raise MissingExtraError("timm", "timm", f"The network '{TIMM_PREFIX}{name}'") from None
    known = timm.list_models()
    # Checked against the list because timm itself takes addresses of hubs and folders too, and would fetch from them.
    if name.partition(".")[0] not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean 'timm:{near[0]}'?" if near else "timm.list_models() lists its networks."
        raise UsageError(f"timm has no network '{name}'.", hint)
    peer: nn.Module = timm.create_model(name, pretrained=False, num_classes=num_classes)
    return peer
