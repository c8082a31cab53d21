"""Ours keep the contracts, and the contracts notice who does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from osanas.costs import count_costs
from osanas.evaluation.evaluator import CandidateCosts, Measurer, Trainer
from osanas.evaluation.network import network_evaluators
from osanas.genotype.architecture import Architecture
from osanas.measure.energy.estimate import EstimateMeter
from osanas.measure.energy.meter import EnergyMeter, EnergyReading, Load
from osanas.measure.energy.rapl import open_rapl
from osanas.measure.protocol import MeasurementProtocol
from osanas.models.build import build
from osanas.study.config import StudyConfig
from osanas.study.recipe import Recipe
from osanas.study.records import Trained
from osanas.tasks.classification.data import load
from osanas.tasks.classification.task import Classification
from osanas.tasks.task import Batch, Task
from osanas.testing.contracts import EnergyMeterContract, MeasurerContract, TaskContract, TrainerContract
from tests.fakes import TableEvaluator
from tests.measure.simulation import FakeRapl, SimulatedClock
from tests.tasks.toy import Darkness, Part

CONFIG = StudyConfig.model_validate({"device": "cpu", "train_samples": 64})


class TestNetworkMeasurer(MeasurerContract):
    def make(self) -> Measurer:
        return network_evaluators(CONFIG)[0]


class TestTableMeasurer(MeasurerContract):
    def make(self) -> Measurer:
        return TableEvaluator(search_key="s", final_key="f", final_ms=0.5)


class TestNetworkTrainer(TrainerContract):
    def make(self) -> Trainer:
        return network_evaluators(CONFIG)[1]


class TestTrainerOfAnotherTask(TrainerContract):
    def make(self) -> Trainer:
        return network_evaluators(CONFIG, Darkness(64))[1]


class TestTableTrainer(TrainerContract):
    def make(self) -> Trainer:
        return TableEvaluator()


class TestClassification(TaskContract):
    def make(self) -> Task:
        return Classification(load("digits", train_samples=96))


class TestAnotherTask(TaskContract):
    def make(self) -> Task:
        return Darkness(64)


class TestEstimate(EnergyMeterContract):
    def make(self) -> EnergyMeter:
        return EstimateMeter("cpu", 1, ("no meter here",))

    def load(self) -> Load:
        return Load(lambda _: int, 0.001, count_costs(build("vovnet27_slim"), (3, 64, 64)))


class TestRapl(EnergyMeterContract):
    @pytest.fixture(autouse=True)
    def _powercap(self, tmp_path: Path) -> None:
        self.root, self.clock = tmp_path, SimulatedClock()
        FakeRapl(tmp_path, self.clock)

    def make(self) -> EnergyMeter:
        meter = open_rapl(self.clock, self.root)
        assert isinstance(meter, EnergyMeter)
        return meter

    def load(self) -> Load:
        return self.clock.load(0.005)


# who does not keep them -----------------------------------------------------------------------------------------------


class Forgetful(TableEvaluator):
    """Takes nothing from before."""

    def measure(
        self, architecture: Architecture, *, in_full: bool = False, stored: Mapping[str, Any] | None = None
    ) -> CandidateCosts:
        costs = super().measure(architecture, in_full=in_full)
        return replace(costs, latency_ms=1.0 if stored is None else 2.0)

    def train(self, architecture: Architecture, **options: Any) -> Trained:
        return super().train(architecture, **(options | {"checkpoint": None}))


class Free(TableEvaluator):
    """Costs nothing."""

    def measure_search(self, architecture: Architecture) -> CandidateCosts:
        return replace(super().measure_search(architecture), energy_mj=0.0)


class Unsteady(Darkness):
    """Batches that depend on who asked before."""

    def training_batches(self, recipe: Recipe, *, seed: int, device: torch.device) -> Part:
        part = super().training_batches(recipe, seed=seed, device=device)

        class Drawn(Part):
            def epoch(self, index: int) -> Iterator[Batch]:
                return super().epoch(int(torch.randint(1000, (1,))))

        return Drawn(part.images, part.numbers, part.batch_size, part.seed)


class Stopped(EstimateMeter):
    """A counter that stands still."""

    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        return replace(super().measure(load, protocol), joules_per_iteration=0.0)


def test_a_stored_result_that_is_not_taken_is_noticed() -> None:
    class Case(MeasurerContract):
        def make(self) -> Measurer:
            return Forgetful()

    with pytest.raises(AssertionError):
        Case().test_what_is_stored_is_not_measured_again()


def test_a_cost_of_nothing_is_noticed() -> None:
    class Case(MeasurerContract):
        def make(self) -> Measurer:
            return Free()

    with pytest.raises(AssertionError):
        Case().test_costs_are_figures()


def test_a_checkpoint_that_is_not_used_is_noticed(tmp_path: Path) -> None:
    class Case(TrainerContract):
        def make(self) -> Trainer:
            return Forgetful()

    Case().test_every_epoch_is_told()
    with pytest.raises(AssertionError):
        Case().test_a_training_goes_on_from_its_checkpoint(tmp_path)
    with pytest.raises(AssertionError):
        Case().test_it_stops_when_told_to(tmp_path)


def test_an_epoch_of_chance_is_noticed() -> None:
    class Case(TaskContract):
        def make(self) -> Task:
            return Unsteady(64)

    with pytest.raises(AssertionError):
        Case().test_an_epoch_is_a_function_of_its_index()


def test_energy_of_nothing_is_noticed() -> None:
    class Case(EnergyMeterContract):
        def make(self) -> EnergyMeter:
            return Stopped("cpu", 1)

        def load(self) -> Load:
            return TestEstimate().load()

    with pytest.raises(AssertionError):
        Case().test_a_reading_is_a_figure_or_has_a_reason()
