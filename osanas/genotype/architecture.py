"""The genotype of a one-shot-aggregation network. Free of torch."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from osanas.genotype.blocks import ATTENTIONS, CONVS, in_single_modules
from osanas.validation import validate

if TYPE_CHECKING:
    Conv = str
    Attention = str
else:
    Conv = Literal[tuple(CONVS)]
    Attention = Literal[tuple(ATTENTIONS)]
Downsample = Literal["pool", "stride"]

NUM_STAGES = 4
STAGE_NAMES = ("stage2", "stage3", "stage4", "stage5")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Stem(_Frozen):
    """The first three 3x3 convolutions."""

    channels: Annotated[tuple[PositiveInt, PositiveInt, PositiveInt], Field(strict=False)]
    """Output channels of each convolution."""
    downsample: Downsample = "pool"
    """``pool``: third convolution at stride 1, then a 3x3 max pool at stride 2 (paper). ``stride``: third convolution
    at stride 2 and no pool (the public PyTorch ports)."""


class Stage(_Frozen):
    """One stage: ``modules`` OSA modules of ``layers`` 3x3 convolutions each, then a 1x1 aggregation."""

    conv_channels: PositiveInt
    out_channels: PositiveInt
    layers: PositiveInt
    modules: PositiveInt


class Architecture(_Frozen):
    """An OSA network. Immutable and hashable."""

    stem: Stem
    stages: Annotated[tuple[Stage, Stage, Stage, Stage], Field(strict=False)]
    """Stages 2 to 5."""
    conv: Conv = "dense"
    """Kind of the 3x3 convolutions, a name in ``blocks.CONVS``. The stem's first is always dense."""
    attention: Attention = "none"
    """Kind of the gates on modules' outputs, a name in ``blocks.ATTENTIONS``."""
    identity: bool = False
    """Whether modules 2..n of a stage add their input to their output."""

    @classmethod
    def from_dict(cls, document: Any, source: str = "architecture") -> Architecture:
        """Reads the JSON form that ``to_dict`` gives.

        Raises:
            ConfigError: Naming everything that is wrong in it.
        """
        return validate(cls, document, source)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: plain lists, numbers and strings."""
        return self.model_dump(mode="json")

    def canonical(self) -> Architecture:
        """The same network with inert choices set to one value, for an image that the stem reduces by 4.

        Where every stage has one module there is no identity, and some kinds of attention are equal. For smaller
        images see ``NetworkShape.canonical``.
        """
        if any(stage.modules > 1 for stage in self.stages):
            return self
        return self.model_copy(update={"identity": False, "attention": in_single_modules(self.attention)})

    @property
    def digest(self) -> str:
        """Identity of the network: ``a1:`` and 16 hexadecimal digits of SHA-256 over the canonical form."""
        return _digest(self)

    def __str__(self) -> str:
        stages = " ".join(
            f"{s.conv_channels}x{s.layers}>{s.out_channels}{f'*{s.modules}' if s.modules > 1 else ''}"
            for s in self.stages
        )
        marks: list[str] = [self.conv] * (self.conv != "dense") + [self.attention] * (self.attention != "none")
        marks += ["identity"] * self.identity + ["stride-stem"] * (self.stem.downsample == "stride")
        return " ".join([f"{'-'.join(map(str, self.stem.channels))} | {stages}", *marks])


@lru_cache(maxsize=2**16)  # a property that caches would be carried over to a changed copy by `model_copy`
def _digest(architecture: Architecture) -> str:
    text = json.dumps(architecture.canonical().to_dict(), sort_keys=True, separators=(",", ":"))
    return "a1:" + hashlib.sha256(text.encode()).hexdigest()[:16]
