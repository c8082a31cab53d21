"""Neural architecture search over one-shot-aggregation networks on measured latency and energy.

Importing this package loads none of torch, Optuna, Lightning or SQLAlchemy: each name below is fetched when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from osanas.engine.api import search
    from osanas.genotype.architecture import Architecture
    from osanas.genotype.space import SearchSpace
    from osanas.models.build import build, build_backbone
    from osanas.results.places import open_study
    from osanas.study.records import Candidate

__all__ = ["Architecture", "Candidate", "SearchSpace", "build", "build_backbone", "open_study", "search"]

_HOMES = {
    "Architecture": "osanas.genotype.architecture",
    "Candidate": "osanas.study.records",
    "SearchSpace": "osanas.genotype.space",
    "build": "osanas.models.build",
    "build_backbone": "osanas.models.build",
    "open_study": "osanas.results.places",
    "search": "osanas.engine.api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("osanas")
    if name not in _HOMES:
        raise AttributeError(f"module 'osanas' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
