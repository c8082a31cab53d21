"""Which boards CUDA would see, read from the environment as CUDA reads it, without making a CUDA context.

CUDA programming guide, "CUDA Environment Variables", device enumeration: ``CUDA_VISIBLE_DEVICES`` is a list of indices
or of UUIDs or their unambiguous beginnings, cut at the first invalid entry; ``CUDA_DEVICE_ORDER`` decides what an
index means. Where the guide says nothing (repetitions, lists of both kinds), ``torch.cuda`` is followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

_VARIABLE, _ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"


class Listed(Protocol):
    """What a board has to tell of itself."""

    @property
    def index(self) -> int:
        """NVML's index: the order of PCI addresses."""
        ...

    @property
    def uuid(self) -> str:
        """``GPU-...``."""
        ...

    @property
    def name(self) -> str:
        """Its model."""
        ...


@dataclass(frozen=True)
class Visibility:
    """What the environment lets CUDA see.

    Attributes:
        indices: NVML's indices of the boards CUDA sees, in CUDA's order; None where that cannot be told.
        mig: Names of MIG instances among the visible devices.
        note: What is odd about the setting; None if nothing is.
    """

    indices: tuple[int, ...] | None
    mig: tuple[str, ...] = ()
    note: str | None = None

    def shows(self, index: int) -> bool | None:
        """Whether CUDA sees the board with that index of NVML's; None where that cannot be told."""
        return None if self.indices is None else index in self.indices


def visible_boards(environment: Mapping[str, str], boards: Sequence[Listed]) -> Visibility:
    """Reads ``CUDA_VISIBLE_DEVICES`` and ``CUDA_DEVICE_ORDER``.

    Args:
        environment: Such as ``os.environ``.
        boards: All boards that NVML lists.
    """
    setting = environment.get(_VARIABLE)
    if setting is None:
        return Visibility(tuple(board.index for board in boards))
    shown = f"{_VARIABLE}='{setting}'"
    if setting.startswith("MIG-"):
        return _mig(setting, shown)
    by_uuid = setting.startswith("GPU-")
    entries = setting.split(",") if setting else []
    found: list[int] = []
    note = None
    for entry in entries:
        index = _by_uuid(entry, boards) if by_uuid else _by_index(entry, boards)
        if index is None:
            if entry.strip() != "-1":  # the usual way to end or to empty the list on purpose
                note = f"{shown} is cut at its invalid entry '{entry}', as CUDA does"
            break
        if index in found:
            return Visibility((), note=f"{shown} names a device twice, so CUDA sees none")
        found.append(index)
    if by_uuid or _is_order_known(environment, boards) or not found:
        return Visibility(tuple(found), note=note)
    note = f"{shown} counts in CUDA's order, which is NVML's only with {_ORDER}=PCI_BUS_ID, and the boards differ"
    # the order does not matter where all of them are listed
    return Visibility(tuple(found) if len(found) == len(boards) else None, note=note)


def _mig(setting: str, shown: str) -> Visibility:
    """Only the first instance counts; a context has one (NVIDIA MIG user guide, "CUDA Device Enumeration")."""
    return Visibility((), (setting.split(",")[0],), f"{shown} names a MIG instance")


def _by_index(entry: str, boards: Sequence[Listed]) -> int | None:
    """As strtoul: the number at the beginning counts (``1gpu`` is 1)."""
    number = re.match(r"\s*\+?(\d+)", entry)
    index = None if number is None else int(number[1])
    return index if any(board.index == index for board in boards) else None


def _by_uuid(entry: str, boards: Sequence[Listed]) -> int | None:
    chosen = [board.index for board in boards if entry.startswith("GPU-") and board.uuid.startswith(entry)]
    return chosen[0] if len(chosen) == 1 else None


def _is_order_known(environment: Mapping[str, str], boards: Sequence[Listed]) -> bool:
    """CUDA's default is the fastest first; boards of one model are all equally fast."""
    return environment.get(_ORDER) == "PCI_BUS_ID" or len({board.name for board in boards}) <= 1
