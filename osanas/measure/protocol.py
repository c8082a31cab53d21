"""How a network is measured. A protocol is part of the measurement key: figures of different ones never meet."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from osanas.errors import ConfigError
from osanas.validation import problems_of

Precision = Literal["fp32", "fp16", "bf16"]
Runtime = Literal["eager", "compile", "cudagraph", "onnxruntime"]


class MeasurementProtocol(BaseModel):
    """Settings of a measurement; the defaults measure one network well, ``for_search`` measures hundreds.

    Times are in seconds. Latency is measured in blocks of iterations; its value is the median of the blocks, which
    are never trimmed by value. Blocks during which the processor was taken away are kept apart.

    Raises:
        ConfigError: With everything that is wrong in the settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    version: Literal[3] = 3
    """Raised whenever the code measures differently."""
    batch_size: PositiveInt = 1
    precision: Precision = "fp32"
    runtime: Runtime = "eager"
    threads: PositiveInt | None = None
    """CPU threads inside an operator; None leaves the process as it is."""
    rounds: PositiveInt = 1
    """How often a network's turn comes where several are measured in turn."""

    warmup_min_seconds: PositiveFloat = 0.2
    """trtexec's default of 200 ms; at least three iterations run too."""
    warmup_max_seconds: PositiveFloat = 0.6
    """When to go on although the last three warm-up blocks still differ."""
    warmup_tolerance: PositiveFloat = 0.02
    """Relative spread of the last three warm-up blocks that counts as stable."""
    block_seconds: PositiveFloat = 0.005
    """Aimed length of a block: long for the timer, short beside a scheduler's bursts. At least one iteration."""
    interval_target: float = Field(default=0.01, gt=0, lt=1)
    """Half the width of the median's 95 % interval, relative to the median, at which blocks suffice."""
    min_blocks: int = Field(default=30, ge=6)
    """Fewer suffice only at the cap; never fewer than the six that a 95 % interval takes."""
    min_seconds: PositiveFloat = 0.5
    max_seconds: PositiveFloat = 2.4
    """The cap on the time spent in blocks; three times as long if almost all of them are disturbed."""

    energy_warmup_seconds: PositiveFloat = 0.6
    """Load before the first energy window; a meter that averages over longer waits longer."""
    energy_window_seconds: PositiveFloat = 2.0
    """Least length of an energy window; a slow meter makes it longer."""
    energy_min_ticks: PositiveInt = 20
    """Steps of the meter's counter that a window spans at least."""
    energy_min_windows: int = Field(default=3, ge=3)
    energy_max_windows: int = Field(default=10, ge=3)
    energy_interval_target: float = Field(default=0.02, gt=0, lt=1)
    """Half the width of the 95 % interval of the windows' mean, relative to it, at which windows suffice."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        pairs = (
            ("warmup_min_seconds", "warmup_max_seconds"),
            ("min_seconds", "max_seconds"),
            ("energy_min_windows", "energy_max_windows"),
        )
        for low, high in pairs:
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} {getattr(self, low)} is above {high} {getattr(self, high)}")
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _explained(cls, settings: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        # stands last, so that it is around the checks above
        try:
            return handler(settings)
        except ValidationError as error:
            raise ConfigError("The measurement protocol", problems_of(error, cls)) from None

    @classmethod
    def for_search(
        cls,
        *,
        batch_size: int = 1,
        precision: Precision = "fp32",
        runtime: Runtime = "eager",
        threads: int | None = None,
    ) -> Self:
        """A cheaper protocol for the many candidates of a search: an interval of 2 %, energy windows of 0.5 s."""
        return cls(
            batch_size=batch_size,
            precision=precision,
            runtime=runtime,
            threads=threads,
            warmup_min_seconds=0.05,
            warmup_max_seconds=0.2,
            interval_target=0.02,
            min_blocks=20,
            min_seconds=0.25,
            max_seconds=0.8,
            energy_window_seconds=0.5,
            energy_min_ticks=5,
            energy_max_windows=5,
        )

    @property
    def bytes_per_element(self) -> int:
        """Bytes of a number in the chosen precision."""
        return 4 if self.precision == "fp32" else 2

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain values."""
        return self.model_dump(mode="json")
