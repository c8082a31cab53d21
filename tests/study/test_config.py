from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from osanas.errors import ConfigError, UsageError
from osanas.study.config import StudyConfig, difference, ladder, read_study_file, study_config
from osanas.study.objectives import Limits, Score


def problems(**options: Any) -> dict[str, str]:
    """What is wrong with options on the command line, by option."""
    with pytest.raises(ConfigError) as caught:
        study_config(None, options)
    assert caught.value.source == "The command line"
    return {problem.key: problem.message for problem in caught.value.problems}


# options ------------------------------------------------------------------------------------------------------------


def test_defaults() -> None:
    config = study_config(None, {})
    assert (config.name, config.trials, config.sampler, config.rungs, config.data) == (
        "vovnet-cluttered_digits",
        200,
        "known-cost",
        (2, 4, 8),
        "cluttered_digits",
    )
    assert config.chosen_objectives() == ("accuracy", "latency_ms", "energy_mj")
    assert config.limits == Limits()


@pytest.mark.parametrize(
    ("options", "rungs"),
    [
        ({"epochs": 9}, (2, 4, 9)),
        ({"epochs": 9, "reduction": 3}, (3, 9)),
        ({"reduction": 4}, (2, 8)),
        ({"epochs": 30}, (7, 15, 30)),
        ({"epochs": 3}, (1, 3)),
        ({"epochs": 2}, (1, 2)),
        ({"epochs": 1}, (1,)),
        ({"rungs": [2, 5, 6]}, (2, 5, 6)),
        ({"rungs": ["1", "4"]}, (1, 4)),
        ({"rungs": 9}, (9,)),
    ],
)
def test_the_ladder(options: dict[str, Any], rungs: tuple[int, ...]) -> None:
    config = study_config(None, options)
    assert config.rungs == rungs
    assert StudyConfig.model_validate(config.to_dict()).rungs == rungs


@pytest.mark.parametrize(
    ("options", "key", "message"),
    [
        ({"rungs": [1, 3, 3]}, "--rungs", "epochs that rise from rung to rung were expected, got [1, 3, 3]"),
        ({"rungs": [3, 1]}, "--rungs", "epochs that rise from rung to rung were expected, got [3, 1]"),
        ({"rungs": []}, "--rungs", "epochs that rise from rung to rung were expected, got []"),
        ({"rungs": [0, 3]}, "--rungs[0]", "input should be greater than 0, got 0"),
        ({"reduction": 1}, "--reduction", "input should be greater than or equal to 2, got 1"),
        ({"reduction": 5}, "--reduction", "input should be less than or equal to 4, got 5"),
        ({"rungs": [1, 3], "epochs": 3}, "--rungs", "either the rungs, or epochs and reduction, not both"),
        ({"rungs": [1, 3], "reduction": 3}, "--rungs", "either the rungs, or epochs and reduction, not both"),
    ],
)
def test_ladders_that_are_none(options: dict[str, Any], key: str, message: str) -> None:
    assert problems(**options) == {key: message}


@given(st.integers(1, 500), st.integers(2, 4))
def test_a_ladder_rises_to_its_epochs_by_at_least_the_reduction(epochs: int, reduction: int) -> None:
    rungs = ladder(epochs, reduction)
    assert rungs[-1] == epochs
    assert max(1, epochs // 4) <= rungs[0]
    assert rungs[0] // reduction < max(1, epochs // 4)
    assert all(low * reduction <= high for low, high in pairwise(rungs))


def test_the_default_sampler_needs_an_accuracy() -> None:
    with pytest.raises(
        UsageError, match="known-cost needs accuracy among the objectives, which are latency_ms"
    ) as found:
        StudyConfig(objectives=("latency_ms",)).chosen_objectives()
    assert found.value.fix == "Add accuracy to --objectives, or use --sampler tpe."
    assert StudyConfig(objectives=("latency_ms",), sampler="tpe").chosen_objectives() == ("latency_ms",)


def test_every_problem_is_reported_as_an_option() -> None:
    found = problems(
        trials=0,
        timeout=math.inf,
        seed=-1,
        sampler="tpa",
        objectives=["latency", "accuracy"],
        precision="fp8",
        runtime="onnx",
        train_batch_size=1,
        resolution=0,
        trails=5,
    )
    assert set(found) == {
        "--trials",
        "--timeout",
        "--seed",
        "--sampler",
        "--objectives[0]",
        "--precision",
        "--runtime",
        "--train-batch-size",
        "--resolution",
        "--trails",
    }
    assert found["--trials"] == "input should be greater than 0, got 0"
    assert found["--timeout"] == "a finite number of seconds, got inf"
    assert found["--sampler"] == (
        "one of known-cost, tpe, nsga2, gp, random was expected, got 'tpa'. Did you mean 'tpe'?"
    )
    assert found["--objectives[0]"].endswith("got 'latency'. Did you mean 'latency_ms'?")
    assert found["--trails"] == "unknown key. Did you mean 'trials'?"


@pytest.mark.parametrize("timeout", [0, -5.0, math.nan])
def test_time_limits(timeout: float) -> None:
    assert list(problems(timeout=timeout)) == ["--timeout"]


def test_objectives_are_distinct_and_at_least_one() -> None:
    assert problems(objectives=["accuracy", "accuracy"]) == {
        "--objectives": "each objective once, got accuracy, accuracy"
    }
    assert list(problems(objectives=[])) == ["--objectives"]


def test_objectives_by_default_are_those_to_be_had() -> None:
    assert study_config(None, {"energy": "none"}).chosen_objectives() == ("accuracy", "latency_ms")
    chosen = study_config(None, {"objectives": ["latency_ms", "accuracy"], "energy": "none"})
    assert chosen.chosen_objectives() == ("latency_ms", "accuracy")
    refused = study_config(None, {"objectives": ["energy_mj"], "energy": "none"})
    with pytest.raises(UsageError, match="energy_mj cannot be searched with --energy none") as caught:
        refused.chosen_objectives()
    assert "--objectives" in caught.value.fix


def test_the_score_of_another_task_is_the_objective_then() -> None:
    dice = Score("dice", "mean Dice")
    assert StudyConfig().chosen_objectives(dice) == ("dice", "latency_ms", "energy_mj")
    with pytest.raises(UsageError, match="known-cost needs dice among the objectives, which are accuracy"):
        StudyConfig(objectives=("accuracy",)).chosen_objectives(dice)


def test_the_limits_alone_can_be_had() -> None:
    found = StudyConfig(max_latency_ms=1.0, trials=3).limits
    assert (type(found), found) == (Limits, Limits(max_latency_ms=1.0))


@pytest.mark.parametrize("value", [0, -1.5, math.inf, -math.inf, math.nan, "much"])
@pytest.mark.parametrize("name", Limits.model_fields)
def test_limits_are_told_as_options(name: str, value: Any) -> None:
    assert list(problems(**{name: value})) == [f"--{name.replace('_', '-')}"]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "vovnet-cluttered_digits"),
        ({"space": "tiny", "data": "cifar10"}, "tiny-cifar10"),
        ({"space": "my/own space.yaml"}, "own-space-cluttered_digits"),
        ({"data": "imagefolder:/data/birds of prey/"}, "vovnet-imagefolder-birds-of-prey"),
        ({"space": "/a/.yaml", "data": "imagefolder:/"}, "yaml-imagefolder-"),
        ({"space": "é", "data": "é"}, "study"),
        ({"study": "mine", "space": "tiny"}, "mine"),
    ],
)
def test_names(options: dict[str, Any], name: str) -> None:
    assert study_config(None, options).name == name


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_name_is_always_one_that_may_be_given(space: str, data: str) -> None:
    name = StudyConfig(space=space, data=data).name
    assert StudyConfig(study=name).name == name


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "-option", "a b", "x" * 121, "a\n", "ü"])
def test_names_that_cannot_be_folders(name: str) -> None:
    (message,) = problems(study=name).values()
    assert message == f"letters, digits, '.', '_' and '-' only, at most 120 of them, got {name!r}"


def test_a_configuration_survives_json() -> None:
    config = study_config(
        None,
        {"data_dir": Path("/data"), "objectives": ("accuracy",), "max_parameters": 5, "recipe": {"momentum": 0.8}},
    )
    document = json.loads(json.dumps(config.to_dict()))
    assert StudyConfig.model_validate(document) == config
    assert document["data_dir"] == "/data"


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError):
        StudyConfig().trials = 3  # type: ignore[misc]


# study files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my-study.yaml"


def test_options_override_a_file(file: Path) -> None:
    file.write_text("space: tiny\ntrials: 7\nrecipe: {learning_rate: 0.2}\nobjectives: [accuracy]\n")
    config = study_config(file, {"trials": 9, "seed": None})
    assert (config.name, config.space, config.trials, config.seed) == ("my-study", "tiny", 9, 0)
    assert config.recipe.learning_rate == 0.2
    assert config.objectives == ("accuracy",)


def test_a_file_may_name_its_study(file: Path) -> None:
    file.write_text("study: other\n")
    assert study_config(file, {}).name == "other"
    assert study_config(file, {"study": "third"}).name == "third"
    file.write_text("study: null\nspace: tiny\n")
    assert study_config(file, {}).name == "tiny-cluttered_digits"


def test_an_empty_file_is_all_defaults(file: Path) -> None:
    file.write_text("# nothing yet\n")
    assert study_config(file, {}) == StudyConfig(study="my-study")


def test_a_space_beside_the_file_is_found(file: Path) -> None:
    file.write_text("space: spaces/own.yaml\n")
    assert study_config(file, {}).space == "spaces/own.yaml"
    file.with_name("spaces").mkdir()
    (file.parent / "spaces" / "own.yaml").touch()
    assert study_config(file, {}).space == str(file.parent / "spaces" / "own.yaml")
    assert study_config(file, {"space": "tiny"}).space == "tiny"


def test_problems_name_where_they_come_from(file: Path) -> None:
    file.write_text("trials: many\nepochs: 0\nrecipe: {learning_rat: 1}\nmax_latency_ms: .nan\n1: 2\n")
    with pytest.raises(ConfigError) as caught:
        study_config(file, {})
    assert caught.value.source == f"The study file {file}"
    found = {problem.key: problem.message for problem in caught.value.problems}
    assert set(found) == {"trials", "epochs", "recipe.learning_rat", "max_latency_ms", "1"}
    assert "Did you mean 'learning_rate'?" in found["recipe.learning_rat"]
    assert caught.value.exit_code == 2

    with pytest.raises(ConfigError) as caught:
        study_config(file, {"trials": 0, "epochs": 3})
    assert caught.value.source == f"The study file {file} with the command line"
    assert {problem.key for problem in caught.value.problems} == {
        "--trials",
        "recipe.learning_rat",
        "max_latency_ms",
        "1",
    }

    file.write_text("epochs: 3\n")
    with pytest.raises(ConfigError) as caught:
        study_config(file, {"train_batch_size": 0})
    assert caught.value.source == "The command line"
    assert [problem.key for problem in caught.value.problems] == ["--train-batch-size"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "a mapping of options was expected, got list"),
        ("trials: 3\ntrials: 4\n", "trials: given twice, on lines 1 and 2"),
        ("trials: [3\n", "not valid YAML: line 2"),
    ],
)
def test_files_that_are_no_mapping(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        study_config(file, {"trials": 1})
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "options", "rungs"),
    [
        ("rungs: [2, 6]", {}, (2, 6)),
        ("rungs: [2, 6]", {"epochs": 9}, (2, 4, 9)),
        ("rungs: [2, 6]", {"epochs": 8, "reduction": 4}, (2, 8)),
        ("epochs: 30\nreduction: 4", {"rungs": [1, 2]}, (1, 2)),
        ("epochs: 30\nreduction: 3", {"epochs": 10}, (3, 10)),
    ],
)
def test_a_ladder_given_later_replaces_that_of_the_file(
    file: Path, text: str, options: dict[str, Any], rungs: tuple[int, ...]
) -> None:
    file.write_text(text)
    assert study_config(file, options).rungs == rungs


def test_files_that_cannot_be_read(file: Path) -> None:
    with pytest.raises(UsageError, match=r"The study file file .* does not exist") as caught:
        read_study_file(file)
    assert "--study" in caught.value.fix
    file.mkdir()
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_study_file(file)


@given(st.dictionaries(st.sampled_from(["trials", "epochs", "seed"]), st.integers(1, 99)))
def test_a_file_and_options_say_the_same(options: dict[str, int]) -> None:
    document = yaml.safe_load(yaml.safe_dump(options)) or {}
    assert StudyConfig.model_validate(document) == study_config(None, options)


# differences --------------------------------------------------------------------------------------------------------

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), documents, max_size=3))
def test_nothing_differs_from_itself(document: dict[str, Any]) -> None:
    assert difference(document, json.loads(json.dumps(document))) == []


@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), documents, max_size=3), st.integers())
def test_an_added_leaf_is_the_difference(document: dict[str, Any], leaf: int) -> None:
    assert difference(document, {**document, "new": leaf}) == [f"new: stored None, now {leaf!r}"]
    assert difference({**document, "new": leaf}, document) == [f"new: stored {leaf!r}, now None"]


def test_differences_name_the_path_of_each_leaf() -> None:
    stored = {"space": {"stages": [{"layers": [1, 2]}, {"layers": 3}]}, "epochs": 5, "same": {"a": []}}
    current = {"space": {"stages": [{"layers": [1, 4]}]}, "epochs": 6, "same": {"a": []}}
    assert difference(stored, current) == [
        "epochs: stored 5, now 6",
        "space.stages[0].layers[1]: stored 2, now 4",
        "space.stages[1].layers: stored 3, now None",
    ]
