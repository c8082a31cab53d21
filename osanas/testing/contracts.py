"""What every measurer, trainer, task and energy meter must do, as test cases for pytest.

Ours pass them, and yours should. Derive a class whose name begins with ``Test``, and give what is to be tested:

    class TestMine(MeasurerContract):
        def make(self) -> Measurer:
            return MyMeasurer()
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch

from osanas.errors import TrainingStopped
from osanas.evaluation.evaluator import Measurer, Trainer
from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.measure.energy.meter import EnergyMeter, Load
from osanas.measure.protocol import MeasurementProtocol
from osanas.models.build import build_backbone
from osanas.study.recipe import Recipe
from osanas.study.records import CurvePoint, Trained
from osanas.tasks.task import Batches, Task


def _as_json(document: Any) -> Any:
    """What a database gives back."""
    return json.loads(json.dumps(document, allow_nan=False))


def _is_figure(value: float | None) -> bool:
    return value is None or (math.isfinite(value) and value > 0)


class MeasurerContract(ABC):
    """A measurer."""

    architecture: ClassVar[Architecture] = SearchSpace.load("tiny").smallest()
    """Measured by the tests."""

    @abstractmethod
    def make(self) -> Measurer:
        """A new one; all that are made are alike."""

    def test_what_it_is_can_be_stored_and_compared(self) -> None:
        """Identity, device and keys are JSON, and equal in the next process."""
        first, second = self.make(), self.make()
        assert _as_json(first.identity()) == _as_json(second.identity())
        assert "energy_source" in first.identity()
        assert _as_json(first.device()) == _as_json(second.device())
        for key in (first.keys().search, first.keys().final):
            assert 0 < len(key.digest) <= 80
            _as_json(dict(key.document))
        assert [first.keys().search.digest, first.keys().final.digest] == [
            second.keys().search.digest,
            second.keys().final.digest,
        ]
        assert first.shape() == second.shape()
        assert all(isinstance(note, str) for note in first.notes())

    def test_costs_are_figures(self) -> None:
        """Each is a positive number or not known; energy has a source."""
        measurer = self.make()
        for in_full in (False, True):
            costs = measurer.measure(self.architecture, in_full=in_full)
            for value in (costs.parameters, costs.multiply_adds, costs.memory_access_elements):
                assert _is_figure(value)
            assert _is_figure(costs.latency_ms)
            assert _is_figure(costs.energy_mj)
            assert costs.energy_mj is None or costs.energy_source == measurer.identity()["energy_source"]

    def test_what_is_stored_is_not_measured_again(self) -> None:
        """A stored result gives the figures that it was made from."""
        for in_full in (False, True):
            costs = self.make().measure(self.architecture, in_full=in_full)
            stored = _as_json(costs.stored_form())
            again = self.make().measure(self.architecture, in_full=in_full, stored=stored)
            assert (again.latency_ms, again.energy_mj) == (costs.latency_ms, costs.energy_mj)
            assert (again.parameters, again.multiply_adds) == (costs.parameters, costs.multiply_adds)

    def test_equal_networks_count_alike(self) -> None:
        """Choices without effect change nothing."""
        measurer = self.make()
        form = self.architecture.model_copy(update={"identity": not self.architecture.identity})
        space = SpaceAt(SearchSpace.load("tiny"), measurer.shape())
        assert space.canonical(form) == space.canonical(self.architecture)
        counted = [measurer.measure(one).parameters for one in (form, self.architecture)]
        assert counted[0] == counted[1]

    def test_the_reference_takes_time(self) -> None:
        """Where there is a reference network, it has a latency."""
        reference_ms = self.make().reference_ms
        assert reference_ms is None or reference_ms() > 0


class TrainerContract(ABC):
    """A trainer."""

    architecture: ClassVar[Architecture] = SearchSpace.load("tiny").smallest()
    """Trained by the tests."""
    tolerance: ClassVar[float] = 0.0
    """By how much scores of a continued and a straight training may differ."""

    @abstractmethod
    def make(self) -> Trainer:
        """A new one; all that are made are alike."""

    def _train(self, epochs: int, checkpoint: Path | None, repeat: int = 0) -> tuple[Trained, list[CurvePoint]]:
        points: list[CurvePoint] = []
        trained = self.make().train(
            self.architecture,
            epochs=epochs,
            checkpoint=checkpoint,
            on_epoch=points.append,
            should_stop=lambda: False,
            repeat=repeat,
        )
        return trained, points

    def test_what_it_is_can_be_stored_and_compared(self) -> None:
        """The identity is JSON, and equal in the next process; the score has a name and a unit."""
        first, second = self.make(), self.make()
        assert _as_json(first.identity()) == _as_json(second.identity())
        assert first.score == second.score
        assert first.score.name.isidentifier()
        assert first.score.unit

    def test_every_epoch_is_told(self) -> None:
        """In order, and the last one's score is the training's."""
        trained, points = self._train(2, None)
        assert [point.epoch for point in points] == [1, 2]
        assert all(math.isfinite(point.score) for point in points)
        assert trained.score == points[-1].score
        assert trained.seconds >= 0

    def test_a_training_goes_on_from_its_checkpoint(self, tmp_path: Path) -> None:
        """Only what is missing is trained, and it is what a straight training gives."""
        checkpoint = tmp_path / "folder" / "of.ckpt"
        straight, _ = self._train(2, None)
        _, first = self._train(1, checkpoint)
        continued, second = self._train(2, checkpoint)
        again, nothing = self._train(2, checkpoint)
        assert [point.epoch for point in (*first, *second)] == [1, 2]
        assert nothing == []
        assert abs(continued.score - straight.score) <= self.tolerance
        assert again.score == continued.score

    def test_a_repeat_is_a_training_of_its_own(self, tmp_path: Path) -> None:
        """From its first epoch on, and always the same one, interrupted or not."""
        trained, points = self._train(2, None, repeat=1)
        _, first = self._train(1, tmp_path / "of.ckpt", repeat=1)
        again, second = self._train(2, tmp_path / "of.ckpt", repeat=1)
        assert [point.epoch for point in points] == [point.epoch for point in (*first, *second)] == [1, 2]
        assert abs(again.score - trained.score) <= self.tolerance

    def test_it_stops_when_told_to(self, tmp_path: Path) -> None:
        """And goes on after the epochs that were finished."""
        checkpoint, points = tmp_path / "of.ckpt", list[CurvePoint]()
        try:
            self.make().train(
                self.architecture,
                epochs=3,
                checkpoint=checkpoint,
                on_epoch=points.append,
                should_stop=lambda: len(points) == 1,
            )
        except TrainingStopped:
            pass
        else:
            raise AssertionError("it did not stop")
        assert [point.epoch for point in points] == [1]
        assert [point.epoch for point in self._train(3, checkpoint)[1]] == [2, 3]


class TaskContract(ABC):
    """A task."""

    recipe: ClassVar[Recipe] = Recipe()
    """Trained by."""

    @abstractmethod
    def make(self) -> Task:
        """A new one; all that are made are alike."""

    def _network(self, task: Task) -> torch.nn.Module:
        torch.manual_seed(0)
        shape, architecture = task.shape, SearchSpace.load("tiny").smallest()
        return task.head(
            build_backbone(architecture, in_channels=shape.in_channels, stem_reduction=shape.stem_reduction)
        )

    def test_what_it_is_can_be_stored_and_compared(self) -> None:
        """The description is JSON, tells of the data, and is equal in the next process."""
        first, second = self.make(), self.make()
        assert _as_json(first.describe(self.recipe)) == _as_json(second.describe(self.recipe))
        assert first.describe(self.recipe)["data"]["train_size"] > 0
        assert first.name
        assert first.guessing_loss > 0

    def test_an_epoch_is_a_function_of_its_index(self) -> None:
        """So that a training can go on in another process; and training epochs differ."""
        training, again = (
            self.make().training_batches(self.recipe, seed=1, device=torch.device("cpu")) for _ in range(2)
        )
        validation = self.make().validation_batches(16, device=torch.device("cpu"))
        assert _same(training, again, 3, 3)
        assert _same(validation, validation, 0, 1)
        assert not _same(training, training, 0, 1)
        for part in (training, validation):
            assert len(list(part.epoch(0))) == len(part) > 0

    def test_its_loss_trains_the_whole_network(self) -> None:
        """Every parameter gets a gradient."""
        task = self.make()
        model = self._network(task).train()
        batch = next(iter(task.training_batches(self.recipe, seed=0, device=torch.device("cpu")).epoch(0)))
        loss = task.loss(model, batch, self.recipe)
        assert loss.ndim == 0
        loss.backward()  # type: ignore[no-untyped-call]
        assert all(parameter.grad is not None for parameter in model.parameters())

    def test_it_judges_by_its_score(self) -> None:
        """The score is among those computed; the loss of a batch is a number."""
        task = self.make()
        model, scores = self._network(task).eval(), task.scores()
        with torch.no_grad():
            for batch in task.validation_batches(16, device=torch.device("cpu")).epoch(0):
                assert math.isfinite(float(task.judge(model, batch, scores)))
        found = {name: float(value) for name, value in scores.compute().items()}
        assert math.isfinite(found[task.score.name])


def _same(first: Batches, second: Batches, index: int, other: int) -> bool:
    pairs = zip(first.epoch(index), second.epoch(other), strict=True)
    return all(torch.equal(a, b) for left, right in pairs for a, b in zip(left, right, strict=True))


class EnergyMeterContract(ABC):
    """An energy meter."""

    protocol: ClassVar[MeasurementProtocol] = MeasurementProtocol.for_search()
    """Measured by."""

    @abstractmethod
    def make(self) -> EnergyMeter:
        """A new one; all that are made are alike."""

    @abstractmethod
    def load(self) -> Load:
        """Work that it can see."""

    def test_what_it_is_can_be_stored_and_compared(self) -> None:
        """The description is JSON, tells the source, and is equal in the next process."""
        first, second = self.make(), self.make()
        assert _as_json(first.describe()) == _as_json(second.describe())
        assert first.describe()["source"] == first.source
        assert first.method == second.method
        assert all(isinstance(note, str) for note in first.notes)

    def test_a_reading_is_a_figure_or_has_a_reason(self) -> None:
        """Never 0, and net energy is not above gross energy."""
        meter = self.make()
        reading = meter.measure(self.load(), self.protocol)
        assert reading.source == meter.source
        gross, net = reading.joules_per_iteration, reading.net_joules_per_iteration
        assert _is_figure(gross)
        assert gross is not None or reading.notes
        assert net is None or gross is None or net <= gross
        assert _is_figure(reading.power_w)
        _as_json(dict(reading.details))
        _as_json([window.to_dict() for window in reading.windows])
