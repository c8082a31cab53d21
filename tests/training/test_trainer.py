from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassHammingDistance

from osanas.errors import CandidateError, DataError, EnvironmentFailure, TrainingStopped, UsageError
from osanas.models.build import build
from osanas.study.recipe import Recipe
from osanas.study.records import CurvePoint, Trained
from osanas.tasks.classification.batches import TrainingBatches
from osanas.tasks.classification.data import load
from osanas.tasks.classification.task import Classification
from osanas.tasks.images import Images
from osanas.training.module import build_optimizer
from osanas.training.trainer import train
from tests.training.helpers import SmallNet, small_data, small_task

CPU = torch.device("cpu")
RECIPE = Recipe(batch_size=30, learning_rate=0.1)


def run(
    epochs: int, checkpoint: Path | None = None, *, seed: int = 0, model: nn.Module | None = None
) -> tuple[Trained, dict[str, torch.Tensor]]:
    net = model or SmallNet()
    result = train(net, small_task(), RECIPE, epochs=epochs, seed=seed, device=CPU, checkpoint=checkpoint)
    return result, net.state_dict()


def without_seconds(result: Trained) -> list[CurvePoint]:
    return [replace(point, seconds=0.0) for point in result.curve]


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def assert_same_checkpoint(first: Path, second: Path) -> None:
    one, other = (torch.load(path, weights_only=True) for path in (first, second))
    assert_same(one["model"], other["model"])
    assert_same(one["average"], other["average"])
    for key, values in one["optimizer"]["state"].items():
        assert torch.equal(values["momentum_buffer"], other["optimizer"]["state"][key]["momentum_buffer"])


def test_it_learns() -> None:
    recipe = RECIPE.model_copy(update={"augment": False})  # a mirrored quadrant is another
    result = train(SmallNet(), small_task(), recipe, epochs=8, seed=0, device=CPU)
    assert result.score > 0.9
    assert result.score == result.curve[-1].score
    assert [point.epoch for point in result.curve] == list(range(1, 9))
    assert result.curve[-1].train_loss < result.curve[0].train_loss
    assert result.seconds == pytest.approx(sum(point.seconds for point in result.curve))
    assert all(point.seconds > 0 for point in result.curve)
    assert result.notes == ()


def test_an_osa_network_learns_the_digits() -> None:
    task = Classification(load("digits", train_samples=300))
    architecture = {
        "stem": {"channels": [8, 8, 8], "downsample": "pool"},
        "stages": [
            {"conv_channels": 8, "out_channels": 16 * width, "layers": 2, "modules": 1} for width in (1, 1, 2, 2)
        ],
        "conv": "dense",
        "attention": "ese",
        "identity": False,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build(architecture, num_classes=10, in_channels=1, stem_reduction=1)
    result = train(model, task, Recipe(batch_size=16), epochs=3, seed=0, device=CPU)
    assert result.score > 0.3
    assert not model.training


def test_the_model_ends_with_the_averaged_weights(tmp_path: Path) -> None:
    _, weights = run(2, tmp_path / "a")
    stored = torch.load(tmp_path / "a", weights_only=True)
    for name, tensor in stored["average"].items():
        assert torch.equal(weights[name], tensor)
    assert not torch.equal(weights["fc.weight"], stored["model"]["fc.weight"])
    assert not torch.equal(weights["features.1.running_mean"], stored["model"]["features.1.running_mean"])


def test_the_score_is_that_of_the_model_left() -> None:
    model = SmallNet()
    data = small_data()
    result = train(model, Classification(data), RECIPE, epochs=2, seed=0, device=CPU)
    with torch.no_grad():
        logits = model(data.normalise(data.val.images))  # type: ignore[attr-defined]
    correct = (logits.argmax(1) == data.val.labels).float().mean()
    assert result.score == pytest.approx(float(correct))
    expected = nn.functional.cross_entropy(logits, data.val.labels)
    assert result.curve[-1].val_loss == pytest.approx(float(expected), rel=1e-4)


def test_a_seed_is_a_result() -> None:
    (first, weights), (second, other_weights) = run(2), run(2)
    assert without_seconds(first) == without_seconds(second)
    assert_same(weights, other_weights)
    assert without_seconds(run(2, seed=1)[0]) != without_seconds(first)


def test_randomness_around_it_neither_matters_nor_changes() -> None:
    _, weights = run(1)
    torch.manual_seed(77)
    before = torch.get_rng_state()
    _, other_weights = run(1)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(weights, other_weights)


@pytest.mark.parametrize("interrupted_at", [1, 2, 3])
def test_resuming_after_any_epoch_is_exact(tmp_path: Path, interrupted_at: int) -> None:
    straight, weights = run(4, tmp_path / "straight")
    run(interrupted_at, tmp_path / "resumed")
    resumed, resumed_weights = run(4, tmp_path / "resumed", model=SmallNet(seed=9))
    assert without_seconds(resumed) == without_seconds(straight)
    assert resumed.notes == ()
    assert_same(resumed_weights, weights)
    assert_same_checkpoint(tmp_path / "resumed", tmp_path / "straight")


def test_three_rungs_are_one_training(tmp_path: Path) -> None:
    straight, weights = run(9)
    for epochs in (1, 3):
        assert len(run(epochs, tmp_path / "a")[0].curve) == epochs
    climbed, climbed_weights = run(9, tmp_path / "a")
    assert without_seconds(climbed) == without_seconds(straight)
    assert_same(climbed_weights, weights)


@pytest.mark.parametrize(
    ("stop_at_step", "interval_s"), [(0, 0.0), (4, 0.0), (5, 0.0), (12, 0.0), (19, 0.0), (19, 60.0)]
)
def test_stopped_within_an_epoch_and_resumed(tmp_path: Path, stop_at_step: int, interval_s: float) -> None:
    straight, weights = run(4)
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > stop_at_step

    with pytest.raises(TrainingStopped, match="Training was stopped"):
        train(
            SmallNet(),
            small_task(),
            RECIPE,
            epochs=4,
            seed=0,
            device=CPU,
            checkpoint=tmp_path / "a",
            checkpoint_interval_s=interval_s,
            should_stop=should_stop,
        )
    assert (tmp_path / "a").exists() == (stop_at_step >= 5 and interval_s == 0)
    resumed, resumed_weights = run(4, tmp_path / "a")
    assert without_seconds(resumed) == without_seconds(straight)
    assert_same(resumed_weights, weights)


def test_on_the_way_a_checkpoint_is_written_once_an_interval(tmp_path: Path) -> None:
    kept: list[int] = []

    def on_epoch(point: CurvePoint) -> None:
        stored = tmp_path / "a"
        kept.append(len(torch.load(stored, weights_only=True)["curve"]) if stored.exists() else 0)
        if point.epoch == 3:
            time.sleep(interval_s)

    interval_s = 3.0  # longer than all these epochs on a busy machine
    train(
        SmallNet(),
        small_task(),
        RECIPE,
        epochs=6,
        seed=0,
        device=CPU,
        checkpoint=tmp_path / "a",
        checkpoint_interval_s=interval_s,
        on_epoch=on_epoch,
    )
    assert kept == [0, 0, 0, 3, 3, 3]
    assert len(torch.load(tmp_path / "a", weights_only=True)["curve"]) == 6


def test_stopped_after_an_epoch_nothing_is_lost(tmp_path: Path) -> None:
    seen: list[CurvePoint] = []
    with pytest.raises(TrainingStopped, match="after epoch 2"):
        train(
            SmallNet(),
            small_task(),
            RECIPE,
            epochs=4,
            seed=0,
            device=CPU,
            checkpoint=tmp_path / "a",
            on_epoch=seen.append,
            should_stop=lambda: len(seen) == 2,
        )
    assert len(torch.load(tmp_path / "a", weights_only=True)["curve"]) == 2


def test_a_finished_checkpoint_is_not_trained_again(tmp_path: Path) -> None:
    first, weights = run(2, tmp_path / "a")
    seen: list[CurvePoint] = []
    model = SmallNet(seed=5)
    again = train(
        model, small_task(), RECIPE, epochs=2, seed=0, device=CPU, checkpoint=tmp_path / "a", on_epoch=seen.append
    )
    assert again == first
    assert seen == []
    assert_same(model.state_dict(), weights)


def test_a_checkpoint_of_more_epochs_starts_over(tmp_path: Path) -> None:
    straight, weights = run(1)
    run(2, tmp_path / "a")
    result, other_weights = run(1, tmp_path / "a")
    assert result.notes == (f"The checkpoint {tmp_path / 'a'} was of 2 epochs, so training started over.",)
    assert without_seconds(result) == without_seconds(straight)
    assert_same(other_weights, weights)


def test_a_corrupt_checkpoint_starts_over_and_says_so(tmp_path: Path) -> None:
    straight, weights = run(2)
    (tmp_path / "a").write_bytes(b"garbage")
    result, other_weights = run(2, tmp_path / "a")
    assert result.notes == (f"The checkpoint {tmp_path / 'a'} was corrupt, so training started over.",)
    assert without_seconds(result) == without_seconds(straight)
    assert_same(other_weights, weights)


def test_a_checkpoint_of_another_seed_starts_over(tmp_path: Path) -> None:
    run(1, tmp_path / "a", seed=1)
    result, _ = run(1, tmp_path / "a")
    assert "was of another training" in result.notes[0]
    assert without_seconds(result) == without_seconds(run(1)[0])


@dataclass(frozen=True)
class Noting(Classification):
    """Notes the epochs whose training batches it is asked for, and tells the share of mistakes beside accuracy."""

    asked: list[int] = field(default_factory=list)

    def training_batches(self, recipe: Recipe, *, seed: int, device: torch.device) -> TrainingBatches:
        asked = self.asked

        class Batches(TrainingBatches):
            def epoch(self, index: int) -> Iterator[Images]:
                asked.append(index)
                return super().epoch(index)

        return Batches(self.data, recipe, seed=seed, device=device)

    def scores(self) -> MetricCollection:
        mistakes = MulticlassHammingDistance(self.data.num_classes, average="micro")
        return MetricCollection({"accuracy": super().scores()["accuracy"], "mistakes": mistakes})


def test_every_epoch_has_its_own_batches_over_all_processes(tmp_path: Path) -> None:
    task = Noting(small_data())
    for epochs in (2, 4):
        train(SmallNet(), task, RECIPE, epochs=epochs, seed=0, device=CPU, checkpoint=tmp_path / "a")
    assert task.asked == [0, 0, 1, 1, 2, 2, 3, 3]  # to train, and for the statistics of batch norm


def test_a_task_s_other_scores_stand_beside_the_one_that_decides(tmp_path: Path) -> None:
    for epochs in (1, 3):
        result = train(
            SmallNet(), Noting(small_data()), RECIPE, epochs=epochs, seed=0, device=CPU, checkpoint=tmp_path / "a"
        )
    assert [point.other_scores for point in result.curve] == [
        {"mistakes": pytest.approx(1 - point.score)} for point in result.curve
    ]
    assert [point.score for point in result.curve] == [point.score for point in run(3)[0].curve]


def test_epochs_are_reported_before_they_are_stored(tmp_path: Path) -> None:
    seen: list[CurvePoint] = []

    def lost(point: CurvePoint) -> None:
        seen.append(point)
        if point.epoch == 2:
            raise DataError("the database is away")

    with pytest.raises(DataError, match="the database is away"):
        train(
            SmallNet(),
            small_task(),
            RECIPE,
            epochs=3,
            seed=0,
            device=CPU,
            checkpoint=tmp_path / "a",
            checkpoint_interval_s=0.0,
            on_epoch=lost,
        )
    assert [point.epoch for point in seen] == [1, 2]
    assert len(torch.load(tmp_path / "a", weights_only=True)["curve"]) == 1
    result = train(
        SmallNet(),
        small_task(),
        RECIPE,
        epochs=3,
        seed=0,
        device=CPU,
        checkpoint=tmp_path / "a",
        on_epoch=seen.append,
    )
    assert [point.epoch for point in seen] == [1, 2, 2, 3]
    assert [point.epoch for point in result.curve] == [1, 2, 3]


class Exploding(SmallNet):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * (float("inf") if self.training else 1.0)


class ExplodingInValidation(SmallNet):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * (1.0 if self.training else float("nan"))


class Growing(SmallNet):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * (1e4 if self.training else 1.0)


def test_a_loss_far_above_guessing_is_divergence_though_finite(tmp_path: Path) -> None:
    with pytest.raises(CandidateError, match=r"The training loss became \d+.* in epoch 1\.") as caught:
        run(2, tmp_path / "a", model=Growing())
    assert caught.value.kind == "diverged"


@pytest.mark.parametrize(("model", "which"), [(Exploding, "training"), (ExplodingInValidation, "validation")])
def test_a_loss_that_is_no_number(model: type[SmallNet], which: str, tmp_path: Path) -> None:
    with pytest.raises(CandidateError, match=rf"The {which} loss became nan in epoch 1\.") as caught:
        run(2, tmp_path / "a", model=model())
    assert caught.value.kind == "diverged"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
)
def test_out_of_memory_is_the_candidates(error: Exception) -> None:
    class Large(SmallNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise error

    with pytest.raises(CandidateError, match="Memory ran out on cpu during training: ") as caught:
        run(1, model=Large())
    assert caught.value.kind == "out_of_memory"


def test_a_lost_device_is_not_the_candidates() -> None:
    class Lost(SmallNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be")

    with pytest.raises(EnvironmentFailure) as caught:
        run(1, model=Lost())
    assert caught.value.problem == "The device cpu failed during training: CUDA error: device-side assert triggered."
    assert "run the same command again" in caught.value.fix


def test_a_mistake_stays_visible() -> None:
    class Wrong(SmallNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(1, model=Wrong())


def test_at_least_one_epoch() -> None:
    with pytest.raises(UsageError, match="Training for 0 epochs"):
        run(0)


def test_a_checkpoint_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(EnvironmentFailure, match="cannot be written"):
        run(1, tmp_path / "file" / "a")


def test_weight_decay_spares_norms_and_biases() -> None:
    model = SmallNet()
    decayed, spared = build_optimizer(model, Recipe(optimizer="sgd", weight_decay=0.25)).param_groups
    assert {id(p) for p in decayed["params"]} == {id(model.features[0].weight), id(model.fc.weight)}
    assert len(spared["params"]) == 3
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.25, 0.0)
    assert decayed["nesterov"]


def test_muon_takes_the_kernels_of_ungrouped_convolutions() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 4)
    )
    kernels, others, spared = build_optimizer(model, Recipe(weight_decay=0.25)).param_groups
    assert [id(p) for p in kernels["params"]] == [id(model[0].weight)]
    assert {id(p) for p in others["params"]} == {id(model[1].weight), id(model[4].weight)}
    assert len(spared["params"]) == 5
    assert [group["weight_decay"] for group in (kernels, others, spared)] == [0.25, 0.25, 0.0]
    assert sum(len(group["params"]) for group in (kernels, others, spared)) == len(list(model.parameters()))


def test_batch_norm_statistics_are_those_of_the_averaged_weights() -> None:
    """The share of training images that a channel sees is normalised as in training: mean 0, variance 1."""
    model, recipe = SmallNet(), Recipe(batch_size=30, augment=False, batch_norm_images=150)
    train(model, small_task(), recipe, epochs=2, seed=0, device=CPU)
    batches = small_task().training_batches(recipe, seed=0, device=CPU)
    with torch.no_grad():
        maps = model.features[0](torch.cat([images for images, _ in batches.epoch(0)]))
    norm = model.features[1]
    assert isinstance(norm, nn.BatchNorm2d)
    torch.testing.assert_close(norm.running_mean, maps.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(norm.running_var, maps.var((0, 2, 3)), rtol=2e-2, atol=1e-4)
    assert norm.momentum == 0.1


def test_statistics_may_be_averaged_instead() -> None:
    model, recipe = SmallNet(), Recipe(batch_size=30, batch_norm_images=0)
    task = Noting(small_data())
    train(model, task, recipe, epochs=2, seed=0, device=CPU)
    assert task.asked == [0, 1]


def test_nothing_is_printed_or_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero")]
    levels = [logger.level for logger in loggers]
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        filters = list(warnings.filters)
        run(2, tmp_path / "a")
        assert warnings.filters == filters
    assert [str(warning.message) for warning in caught] == []
    assert tuple(capfd.readouterr()) == ("", "")
    assert [logger.level for logger in loggers] == levels
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == handlers
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_signals_are_the_callers_during_training() -> None:
    received = []

    def handler(number: int, frame: object) -> None:
        received.append(number)

    class Signalling(SmallNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            os.kill(os.getpid(), signal.SIGTERM)
            return super().forward(x)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        result, _ = run(1, model=Signalling())
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(received) >= 5
    assert len(result.curve) == 1


@pytest.mark.parametrize("at", ["training", "validation", "epoch"])
def test_ctrl_c_is_a_keyboard_interrupt(at: str, tmp_path: Path) -> None:
    class Interrupted(SmallNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if at == ("training" if self.training else "validation"):
                os.kill(os.getpid(), signal.SIGINT)
            return super().forward(x)

    def on_epoch(point: CurvePoint) -> None:
        if at == "epoch":
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(
            Interrupted(),
            small_task(),
            RECIPE,
            epochs=2,
            seed=0,
            device=CPU,
            checkpoint=tmp_path / "a",
            on_epoch=on_epoch,
        )
    assert signal.getsignal(signal.SIGINT) is handler
    resumed, weights = run(2, tmp_path / "a")
    straight, straight_weights = run(2)
    assert without_seconds(resumed) == without_seconds(straight)
    assert_same(weights, straight_weights)


def test_a_real_exit_is_not_mistaken_for_one() -> None:
    def leave(point: CurvePoint) -> None:
        raise SystemExit(4)

    with pytest.raises(SystemExit) as caught:
        train(SmallNet(), small_task(), RECIPE, epochs=1, seed=0, device=CPU, on_epoch=leave)
    assert caught.value.code == 4


def test_in_another_thread() -> None:
    results: list[Trained] = []
    thread = threading.Thread(target=lambda: results.append(run(1)[0]))
    thread.start()
    thread.join()
    assert without_seconds(results[0]) == without_seconds(run(1)[0])


def test_a_clusters_variables_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SLURM_NTASKS": "4",
        "SLURM_JOB_NAME": "search",
        "SLURM_JOB_ID": "7",
        "SLURM_NNODES": "2",
    }.items():
        monkeypatch.setenv(name, value)
    assert len(run(1)[0].curve) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(tmp_path: Path) -> None:
    device = torch.device("cuda")
    model = SmallNet()
    recipe = RECIPE.model_copy(update={"augment": False})
    train(model, small_task(), recipe, epochs=2, seed=0, device=device, checkpoint=tmp_path / "a")
    result = train(model, small_task(), recipe, epochs=8, seed=0, device=device, checkpoint=tmp_path / "a")
    assert result.score > 0.9
    assert next(model.parameters()).device.type == "cuda"


def test_it_pauses_while_another_process_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is that of an undisturbed training, and the pause no part of its seconds."""
    straight, weights = run(3)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    script = """
import sys, time
from osanas.machine.exclusive import exclusive
with exclusive(["cpu"]) as flags:
    print("measuring", flags, flush=True)
    time.sleep(1.0)
    print("done", flush=True)
"""
    other: list[subprocess.Popen[str]] = []
    asked: list[float] = []

    def should_stop() -> bool:
        asked.append(time.monotonic())
        if len(asked) == 2:
            environment = {**os.environ, "TMPDIR": str(tmp_path)}
            command = [sys.executable, "-c", script]
            other.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
            while not (tmp_path / "osanas-locks" / "cpu.measuring").exists():
                time.sleep(0.01)
        return False

    began = time.monotonic()
    model = SmallNet()
    result = train(model, small_task(), RECIPE, epochs=3, seed=0, device=CPU, should_stop=should_stop)
    took = time.monotonic() - began
    assert other[0].communicate()[0].splitlines() == ["measuring ()", "done"]
    assert result.seconds < took - 0.8
    assert without_seconds(result) == without_seconds(straight)
    assert_same(model.state_dict(), weights)


class Failing(SmallNet):
    """Gives up in the middle of a pass, as memory that runs out does."""

    def forward(self, x: Tensor) -> Tensor:
        features = super().forward(x)
        raise torch.OutOfMemoryError(f"CUDA out of memory after {tuple(features.shape)}")


def test_trainings_leave_no_tensors_behind() -> None:
    """Proves that neither a training that ends nor one that fails keeps weights or activations alive."""

    def tensors() -> int:
        return sum(isinstance(thing, Tensor) for thing in gc.get_objects())

    task, kept, counts = small_task(), [], []
    for number in range(20):
        if number % 2:
            train(SmallNet(), task, RECIPE, epochs=1, seed=0, device=CPU)
        else:
            with pytest.raises(CandidateError) as failure:
                train(Failing(), task, RECIPE, epochs=1, seed=0, device=CPU)
            kept.append(failure.value)
        counts.append(tensors())
    # an error's traceback holds the frame of ``train`` and so the network, but no activations, averages or gradients
    own = len(SmallNet().state_dict()) * (len(kept) - 1)
    assert counts[-1] - counts[1] <= own + 5, counts
