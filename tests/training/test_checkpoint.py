from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from osanas.errors import EnvironmentFailure
from osanas.study.recipe import Recipe
from osanas.study.records import CurvePoint, Trained
from osanas.training import checkpoint
from osanas.training.checkpoint import TrainingState, read_checkpoint, write_checkpoint
from osanas.training.trainer import train
from tests.training.helpers import SmallNet, small_task

CPU = torch.device("cpu")
IDENTITY = {"recipe": {"learning_rate": 0.1}, "seed": 3, "data": {"name": "digits"}}


def state(seed: int = 0) -> TrainingState:
    generator = torch.Generator().manual_seed(seed)
    return TrainingState(
        identity=IDENTITY,
        model={"weight": torch.randn(300, generator=generator)},
        average={"weight": torch.randn(300, generator=generator)},
        optimizer={"state": {0: {"momentum_buffer": torch.randn(300, generator=generator)}}, "param_groups": []},
        loss_scaling={},
        curve=(CurvePoint(1, 2.0, 1.5, 0.5, 0.25, {"top5": 0.75}),),
    )


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.ckpt"
    write_checkpoint(path, state(1))
    write_checkpoint(path, state())
    restored, note = read_checkpoint(path, IDENTITY, CPU)
    assert note is None
    assert restored is not None
    assert restored.curve == state().curve
    for part in ("model", "average"):
        assert torch.equal(getattr(restored, part)["weight"], getattr(state(), part)["weight"])
    assert restored.optimizer["state"][0].keys() == {"momentum_buffer"}
    assert [entry.name for entry in path.parent.iterdir()] == ["a.ckpt"]


def test_none(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "none", IDENTITY, CPU) == (None, None)


def test_of_another_training(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a", state())
    assert read_checkpoint(tmp_path / "a", {**IDENTITY, "seed": 4}, CPU) == (
        None,
        f"The checkpoint {tmp_path / 'a'} was of another training, so training started over.",
    )


def of_format_1(path: Path) -> None:
    """Rewrites a checkpoint as the first format had it: a learning curve of accuracies."""
    document = torch.load(path, weights_only=True)
    for point in document["curve"]:
        point["val_accuracy"] = point.pop("score")
        del point["other_scores"]
    torch.save({**document, "format": "osanas-training-1"}, path)


def test_the_first_format_is_read(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a", state())
    of_format_1(tmp_path / "a")
    restored, note = read_checkpoint(tmp_path / "a", IDENTITY, CPU)
    assert note is None
    assert restored is not None
    assert restored.curve == (CurvePoint(1, 2.0, 1.5, 0.5, 0.25),)
    assert torch.equal(restored.average["weight"], state().average["weight"])


def test_a_training_of_the_first_format_is_continued(tmp_path: Path) -> None:
    def trained(epochs: int, checkpoint: Path | None) -> tuple[Trained, dict[str, torch.Tensor]]:
        model = SmallNet()
        recipe = Recipe(batch_size=30)
        result = train(model, small_task(), recipe, epochs=epochs, seed=0, device=CPU, checkpoint=checkpoint)
        return result, model.state_dict()

    trained(2, tmp_path / "a")
    of_format_1(tmp_path / "a")
    continued, weights = trained(4, tmp_path / "a")
    straight, straight_weights = trained(4, None)
    assert continued.notes == ()
    assert [point.score for point in continued.curve] == [point.score for point in straight.curve]
    assert all(torch.equal(tensor, straight_weights[name]) for name, tensor in weights.items())
    assert torch.load(tmp_path / "a", weights_only=True)["format"] == checkpoint.FORMAT


def test_an_unknown_format_is_another_training(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a", state())
    document = torch.load(tmp_path / "a", weights_only=True)
    torch.save({**document, "format": "osanas-training-3"}, tmp_path / "a")
    restored, note = read_checkpoint(tmp_path / "a", IDENTITY, CPU)
    assert restored is None
    assert note == f"The checkpoint {tmp_path / 'a'} was of another training, so training started over."


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04" + bytes(100)])
def test_not_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    restored, note = read_checkpoint(tmp_path / "a", IDENTITY, CPU)
    assert restored is None
    assert note == f"The checkpoint {tmp_path / 'a'} was corrupt, so training started over."


def test_damage_anywhere_is_noticed_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_checkpoint(path, state())
    whole = path.read_bytes()
    generator = random.Random(0)
    noticed = 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[generator.randrange(len(whole))] ^= 0xFF
        path.write_bytes(damaged)
        restored, note = read_checkpoint(path, IDENTITY, CPU)
        noticed += note is not None
        if restored is not None:
            assert torch.equal(restored.model["weight"], state().model["weight"])
            assert torch.equal(restored.average["weight"], state().average["weight"])
            assert restored.curve == state().curve
    assert noticed > 75
    for length in range(0, len(whole), len(whole) // 20):
        path.write_bytes(whole[:length])
        assert read_checkpoint(path, IDENTITY, CPU)[1] is not None


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "attacked"),)

    torch.save({"format": checkpoint.FORMAT, "identity": Attack()}, tmp_path / "a")
    restored, note = read_checkpoint(tmp_path / "a", IDENTITY, CPU)
    assert restored is None
    assert note is not None
    assert not (tmp_path / "attacked").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(EnvironmentFailure) as caught:
        write_checkpoint(tmp_path / "file" / "a.ckpt", state())
    assert f"The checkpoint {tmp_path / 'file' / 'a.ckpt'} cannot be written" in caught.value.problem
    assert caught.value.fix == "Free space there or make the folder writable, then run the same command again."


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    write_checkpoint(path, state(1))

    def full(document: object, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(EnvironmentFailure, match="No space left on device"):
        write_checkpoint(path, state())
    monkeypatch.undo()
    restored, _ = read_checkpoint(path, IDENTITY, CPU)
    assert restored is not None
    assert torch.equal(restored.model["weight"], state(1).model["weight"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
