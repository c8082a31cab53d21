"""What the flags of a measurement mean."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "contended": "other processes or the hypervisor kept the processors busy meanwhile",
        "drift": "the machine became faster or slower: rounds, or a reference network, differ by more than 5 %",
        "noisy": "the blocks differ by more than 10 % of the median",
        "very_noisy": "the blocks differ by more than 25 % of the median",
        "unstable": "nearly every block was disturbed by other processes, so all of them count",
        "warmup_unstable": "the network had not become steady when the warm-up ended",
        "power_capped": "the board ran at its power limit",
        "training_alongside": "another osanas process went on training on the device meanwhile",
        "launch_bound": "the GPU waits for launches, so the figure ranks kernel counts and Python, not arithmetic",
        "energy_unstable": "windows in which the board throttled or others used it count, for want of better ones",
        "energy_off_pace": "while energy was counted, the GPU worked at another pace than while it was timed",
        "energy_not_converged": "the energy is less certain than the protocol asks",
    }
)
"""What the flags of a measurement mean."""


def meaning(flag: str) -> str:
    """A flag with what it means, as ``noisy (the blocks differ by more than 10 % of the median)``."""
    word = flag.replace("_", " ")
    return f"{word} ({FLAGS[flag]})" if flag in FLAGS else word
