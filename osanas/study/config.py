"""The study file: what to search, on which data, with which training, measured how. Free of torch.

A study file is YAML whose keys are the long options of ``osanas search`` with underscores, and ``recipe`` for the
training recipe. Options given on the command line override it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)

from osanas.errors import ConfigError, Problem, UsageError
from osanas.shipped import shipped_folder
from osanas.study.objectives import ACCURACY, COST_UNITS, Limits, Objective, Score
from osanas.study.recipe import RecipeOptions
from osanas.validation import parse_yaml, read_text, validate

OptunaSampler = Literal["tpe", "nsga2", "gp", "random"]
SamplerName = Literal["known-cost", OptunaSampler]

EPOCHS = 8
REDUCTION = 2
"""Of the ladder, where nothing else is said."""
LOWEST = 4
"""How many times fewer epochs than the last rung the first one has at most."""


class StudyConfig(Limits):
    """Everything that defines a study. Field names are the options of ``osanas search``."""

    study: str | None = None
    space: str = "vovnet"
    trials: PositiveInt = 200
    timeout: PositiveFloat | None = None
    """Seconds after which no further candidate is started."""
    until_settled: bool = False
    """Whether the search ends as soon as going on is expected to add next to nothing."""
    workers: PositiveInt | None = None
    """Processes that train at once on this machine; None is one for each processor, up to four, but one on a GPU."""
    seed: NonNegativeInt = 0
    sampler: SamplerName = "known-cost"
    confirm: NonNegativeInt = 1
    """Times that each member of the final front is trained again with another seed; 0 repeats no training at all."""
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)] | None = None
    """None means all that can be had: accuracy, latency and, unless ``energy`` is ``none``, energy."""

    data: str = "cluttered_digits"
    data_dir: Path | None = None
    resolution: PositiveInt | None = None
    """Side of the square images, for training and measuring; None is the data set's own."""
    train_samples: PositiveInt | None = None
    """Size of a fixed stratified subset of the training split; None is all of it."""
    split_seed: NonNegativeInt = 0

    epochs: Annotated[PositiveInt | None, Field(exclude=True)] = None
    """With ``reduction``, a short way to give ``rungs``: the highest of them."""
    reduction: Annotated[int | None, Field(ge=2, le=LOWEST, exclude=True)] = None
    """How many times fewer epochs each lower rung has."""
    rungs: Annotated[tuple[PositiveInt, ...], Field(validate_default=True)] = ()
    """Epochs of training at each rung of the ladder, rising; one rung trains every candidate in full."""
    train_batch_size: Annotated[int, Field(ge=2)] = 64
    recipe: RecipeOptions = RecipeOptions()
    """How candidates are trained."""

    device: str = "auto"
    energy: str = "auto"
    batch_size: PositiveInt = 1
    """Images at once in a measurement."""
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    runtime: Literal["auto", "eager", "compile", "cudagraph", "onnxruntime"] = "auto"
    """What runs the network in a measurement; ``auto`` is a CUDA graph where one can be captured, otherwise eager."""
    threads: PositiveInt | None = None
    """CPU threads for measuring, and at most for each training; None is torch's choice, but 1 to measure on a CPU."""

    @field_validator("objectives")
    @classmethod
    def _distinct(cls, value: tuple[Objective, ...] | None) -> tuple[Objective, ...] | None:
        if value is not None and len(set(value)) != len(value):
            raise ValueError(f"each objective once, got {', '.join(value)}")
        return value

    @field_validator("rungs", mode="before")
    @classmethod
    def _or_from_epochs(cls, value: Any, info: ValidationInfo) -> Any:
        epochs, reduction = info.data.get("epochs"), info.data.get("reduction")
        if value == ():
            return ladder(epochs or EPOCHS, reduction or REDUCTION)
        if epochs is not None or reduction is not None:
            raise ValueError("either the rungs, or epochs and reduction, not both")
        return [value] if isinstance(value, int) else value

    @field_validator("rungs")
    @classmethod
    def _rising(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or any(low >= high for low, high in pairwise(value)):
            raise ValueError(f"epochs that rise from rung to rung were expected, got {list(value)}")
        return value

    @field_validator("timeout")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        if value is not None and not math.isfinite(value):
            raise ValueError(f"a finite number of seconds, got {value}")
        return value

    @field_validator("study")
    @classmethod
    def _usable_as_folder(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}", value):
            raise ValueError(f"letters, digits, '.', '_' and '-' only, at most 120 of them, got {value!r}")
        return value

    @property
    def limits(self) -> Limits:
        """The hard limits alone."""
        return Limits(**{name: getattr(self, name) for name in Limits.model_fields})

    @property
    def name(self) -> str:
        """The study's name; ``<space>-<data>`` unless given."""
        if self.study is not None:
            return self.study
        kind, _, folder = self.data.partition(":")
        data = f"{kind}-{Path(folder).name}" if folder else kind
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{Path(self.space).stem}-{data}")
        return name.lstrip("._-")[:120] or "study"

    def chosen_objectives(self, score: Score = ACCURACY) -> tuple[Objective, ...]:
        """The objectives, with the default resolved.

        Args:
            score: Of the task.

        Raises:
            UsageError: Energy is asked for and refused at once, or the sampler needs an objective that is missing.
        """
        chosen = self.objectives
        if chosen is None:
            chosen = (score.name, *(name for name in COST_UNITS if name != "energy_mj" or self.energy != "none"))
        elif self.energy == "none" and "energy_mj" in chosen:
            raise UsageError(
                "The objective energy_mj cannot be searched with --energy none.",
                "Leave energy_mj out of --objectives, or choose another --energy.",
            )
        if self.sampler == "known-cost" and score.name not in chosen:
            raise UsageError(
                f"The sampler known-cost needs {score.name} among the objectives, which are {', '.join(chosen)}.",
                f"Add {score.name} to --objectives, or use --sampler tpe.",
            )
        return chosen

    def to_dict(self) -> dict[str, Any]:
        """JSON form of everything."""
        return self.model_dump(mode="json")


def ladder(epochs: int, reduction: int) -> tuple[int, ...]:
    """Rungs up to ``epochs``, each lower one with ``reduction`` times fewer epochs, rounded down.

    None has less than about a quarter of them: shorter trainings hardly tell which network will be better.
    """
    rungs = [epochs]
    while rungs[-1] // reduction >= max(1, epochs // LOWEST):
        rungs.append(rungs[-1] // reduction)
    return tuple(reversed(rungs))


def overridden(document: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a document with others in their place; a ladder given either way replaces one given the other."""
    replaced = {"epochs", "reduction"} if "rungs" in given else {"rungs"} if "epochs" in given else set()
    return {**{key: value for key, value in document.items() if key not in replaced}, **given}


def read_study_file(path: Path) -> dict[str, Any]:
    """Reads a study file without validating its values.

    Raises:
        UsageError: It cannot be read.
        ConfigError: It is no YAML mapping, or repeats a key.
    """
    text = read_text(path, what="study file", fix="Name a readable YAML file with --study.")
    document, problems = parse_yaml(text, str(path))
    if problems:
        raise ConfigError(f"The study file {path}", problems)
    if document is None:
        return {}
    if not isinstance(document, dict):
        problem = Problem("", f"a mapping of options was expected, got {type(document).__name__}")
        raise ConfigError(f"The study file {path}", [problem])
    return {str(key): value for key, value in document.items()}


def find_study_file(name: str) -> Path:
    """The study file of this path, or the shipped one of this name where there is none."""
    path = Path(name)
    shipped = shipped_folder("studies") / path.name
    return shipped if not path.exists() and path.parent == Path() and shipped.is_file() else path


def study_config(file: Path | None, options: Mapping[str, Any]) -> StudyConfig:
    """The configuration of a study: its file, overridden by options given explicitly.

    Args:
        file: A study file or None. Its stem is the study's name unless it gives one. A relative ``space`` file in it
            is looked up beside it.
        options: Options by field name; those that are None were not given.

    Raises:
        ConfigError: With every problem of file and options.
    """
    given = {key: value for key, value in options.items() if value is not None}
    document: dict[str, Any] = {}
    source = "The command line"
    if file is not None:
        source = f"The study file {file}"
        document = read_study_file(file)
        document.setdefault("study", file.stem)
        space = document.get("space")
        if isinstance(space, str) and space.endswith((".yaml", ".yml")) and (file.parent / space).is_file():
            document["space"] = str(file.parent / space)
    try:
        return validate(StudyConfig, overridden(document, given), source)
    except ConfigError as error:
        from_file = [problem for problem in error.problems if _option(problem) not in given]
        from_options = [_as_option(problem) for problem in error.problems if _option(problem) in given]
        if from_options and file is not None:
            source = f"{source} with the command line" if from_file else "The command line"
        raise ConfigError(source, from_file + from_options) from None


def _option(problem: Problem) -> str:
    return re.split(r"[.\[]", problem.key, maxsplit=1)[0]


def _as_option(problem: Problem) -> Problem:
    return Problem(f"--{problem.key.replace('_', '-')}", problem.message)


def difference(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """What differs between two JSON documents, a line a leaf: ``data.name: stored 'a', now 'b'``."""
    before, after = _flatten(stored), _flatten(current)
    return [
        f"{key}: stored {before.get(key)!r}, now {after.get(key)!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _flatten(document: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(document, Mapping) and document:
        return {
            path: value
            for key, part in document.items()
            for path, value in _flatten(part, f"{prefix}.{key}" if prefix else str(key)).items()
        }
    if isinstance(document, list) and document:
        return {
            path: value
            for index, part in enumerate(document)
            for path, value in _flatten(part, f"{prefix}[{index}]").items()
        }
    return {prefix: document} if prefix else {}
