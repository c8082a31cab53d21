"""Sizes and strides of an OSA network's parts, from its genotype. Free of torch."""

from __future__ import annotations

from osanas.errors import UsageError
from osanas.genotype.architecture import STAGE_NAMES, Downsample


def stem_reduction_for(resolution: int) -> int:
    """By how much the stem should reduce an image's height and width: 1 up to 16 pixels, 2 up to 64, 4 above."""
    if resolution <= 16:
        return 1
    return 2 if resolution <= 64 else 4


def check_resolution(resolution: int, stem_reduction: int, *, downsample: Downsample = "pool") -> None:
    """Refuses image sizes whose maps reach 1x1 before the last max pool.

    Args:
        resolution: Height and width of the image in pixels.
        stem_reduction: By how much the stem reduces it: 1, 2 or 4.
        downsample: The stem's second downsampling; matters at a reduction of 4 only.

    Raises:
        UsageError: With the smallest size that works.
    """
    check_stem_reduction(stem_reduction)
    if _fits(resolution, stem_reduction, downsample):
        return
    smallest = next(size for size in range(1, 64) if _fits(size, stem_reduction, downsample))
    raise UsageError(
        f"Resolution {resolution} is too small at a stem reduction of {stem_reduction}: the last max pool would get "
        "a map of one pixel or none.",
        f"Use a resolution of at least {smallest}" + (", or a smaller stem reduction." if stem_reduction > 1 else "."),
    )


def check_stem_reduction(stem_reduction: int) -> None:
    """Refuses stem reductions that do not exist.

    Raises:
        UsageError: For anything but 1, 2 and 4.
    """
    if stem_reduction not in (1, 2, 4):
        raise UsageError(f"A stem reduction of {stem_reduction!r} does not exist.", "Use 1, 2 or 4.")


def stem_strides(stem_reduction: int, downsample: Downsample) -> tuple[int, int, int]:
    """Strides of the stem's three convolutions."""
    first = 1 if stem_reduction == 1 else 2
    return first, 1, 2 if stem_reduction == 4 and downsample == "stride" else 1


def stem_pools(stem_reduction: int, downsample: Downsample) -> bool:
    """Whether a max pool follows the stem's convolutions."""
    return stem_reduction == 4 and downsample == "pool"


def strided(size: int, stride: int) -> int:
    """Map size after a 3x3 convolution with padding 1."""
    return -(-size // stride)


def pooled(size: int) -> int:
    """Map size after a 3x3 stride 2 max pool without padding in ceil mode: ``ceil((size - 3) / 2) + 1``."""
    return size // 2


def _fits(resolution: int, stem_reduction: int, downsample: Downsample) -> bool:
    """Whether every max pool gets a map larger than 1x1."""
    size = resolution
    for stride in stem_strides(stem_reduction, downsample):
        size = strided(size, stride)
    for _ in range(len(STAGE_NAMES) - 1 + stem_pools(stem_reduction, downsample)):
        if size < 2:
            return False
        size = pooled(size)
    return True
