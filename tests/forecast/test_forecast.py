from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osanas.errors import CandidateError, UsageError
from osanas.evaluation.evaluator import CandidateCosts
from osanas.evaluation.network import network_evaluators
from osanas.forecast.forecast import expected_epochs, expected_trainings, plan
from osanas.forecast.sample import FEWEST_MEASURED, Population, Within, nothing_left, within_limits
from osanas.genotype.architecture import Architecture
from osanas.genotype.closed_form import GenotypeCosts, NetworkShape
from osanas.genotype.members import SpaceAt
from osanas.genotype.space import SearchSpace
from osanas.measure.energy.meter import EnergyMeter, EnergyReading, EnergySource, Load
from osanas.measure.protocol import MeasurementProtocol
from osanas.study.config import StudyConfig
from osanas.study.events import Event, Note
from osanas.study.objectives import Limits
from tests.fakes import FEW, SMALL, TableEvaluator

SPACE = SearchSpace.from_dict(SMALL)
SHAPE = NetworkShape(8, 1, 10, 1)
VOVNET = SearchSpace.load("vovnet")


def counted(architecture: Architecture) -> GenotypeCosts:
    return SHAPE.costs(architecture)


def latency_of(architecture: Architecture) -> float:
    costs = counted(architecture)
    return 0.02 + costs.multiply_adds / 1e7 + costs.memory_access_elements / 1e6


@dataclass
class Priced(TableEvaluator):
    """A table whose costs are those of real networks, with a latency that they explain."""

    def shape(self) -> NetworkShape:
        return NetworkShape(8, 1, 10, 1)

    def measure(
        self, architecture: Architecture, *, in_full: bool = False, stored: Mapping[str, Any] | None = None
    ) -> CandidateCosts:
        self.measured.append(architecture.digest)
        costs, latency_ms = counted(architecture), latency_of(architecture)
        energy_mj = None if self.energy_source is None else 3 * latency_ms
        return CandidateCosts(
            costs.parameters,
            costs.multiply_adds,
            costs.memory_access_elements,
            latency_ms,
            energy_mj,
            self.energy_source,
        )


def planned(
    options: dict[str, Any] | None = None,
    evaluator: TableEvaluator | None = None,
    space: SearchSpace = SPACE,
    listener: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    config = StudyConfig.model_validate({"space": space.name, "study": "s", **(options or {})})
    chosen = evaluator or Priced()
    return plan(config, space=space, measurer=chosen, trainer=chosen, listener=listener)


def share_below(limit: float, figure: Callable[[Architecture], float]) -> float:
    members = list(SPACE.enumerate())
    return sum(figure(member) <= limit for member in members) / len(members)


def middle(figure: Callable[[Architecture], float]) -> float:
    return sorted(map(figure, SPACE.enumerate()))[SPACE.size // 2]


def test_three_members() -> None:
    evaluator = Priced()
    members = planned(evaluator=evaluator)["members"]
    assert [row["member"] for row in members] == ["smallest", "median", "largest"]
    for row, member in ((members[0], SPACE.smallest()), (members[2], SPACE.largest())):
        assert Architecture.from_dict(row["architecture"]).digest == row["digest"] == SHAPE.canonical(member).digest
    for row in members:
        member = Architecture.from_dict(row["architecture"])
        assert {name: row[name] for name in vars(counted(member))} == vars(counted(member))
        assert row["latency_ms"] == latency_of(member)
        assert (row["epoch_from"], row["over_limit"], row["notes"]) == ("a whole epoch", None, [])
    assert members[1]["multiply_adds"] == middle(lambda member: counted(member).multiply_adds)
    assert evaluator.trained == [row["digest"] for row in members] == evaluator.measured


def test_a_small_space_is_looked_at_whole() -> None:
    limit = middle(lambda member: counted(member).parameters)
    within = planned({"max_parameters": limit})["within_limits"]
    share = share_below(limit, lambda member: counted(member).parameters)
    assert 0.4 < share < 0.6
    assert (within["share"], within["interval"], within["members"]) == (share, [share, share], 144)
    assert within["each"] == {"max_parameters": share}
    assert within["predicted"] == {}


def test_what_has_to_be_measured_is_predicted() -> None:
    evaluator = Priced()
    limits = {"max_latency_ms": middle(latency_of), "max_parameters": 10**9}
    within = planned(limits, evaluator)["within_limits"]
    share = share_below(limits["max_latency_ms"], latency_of)
    assert within["share"] == pytest.approx(share, abs=0.03)
    assert within["each"] == {"max_latency_ms": within["share"], "max_parameters": 1.0}
    model = within["predicted"]["latency_ms"]
    assert model["measured"] == 30
    assert 0 <= model["median_relative_error"] < 0.02
    assert len(set(evaluator.measured[3:])) == 30


def test_a_slow_measurement_ends_the_sample_early() -> None:
    population, limits = Population(SpaceAt(SPACE, SHAPE), 0), Limits(max_latency_ms=middle(latency_of))
    within = within_limits(population, limits, Priced().measure, lambda _: None, measuring_s=0.0)
    assert within.predicted["latency_ms"].measured == FEWEST_MEASURED


def test_a_large_space_is_sampled() -> None:
    document = planned({"max_parameters": 1_000_000}, space=VOVNET)
    rng = random.Random(99)
    others = [counted(VOVNET.sample(rng)).parameters for _ in range(2000)]
    share = sum(parameters <= 1_000_000 for parameters in others) / len(others)
    within = document["within_limits"]
    low, high = within["interval"]
    assert low < within["share"] < high
    assert 0.01 < high - low < 0.05
    assert low - 0.025 < share < high + 0.025
    assert within["members"] == 2000
    assert document["space"] == {
        "name": "vovnet",
        "members": VOVNET.size,
        "networks": SpaceAt(VOVNET, SHAPE).count,
    }


def test_without_limits_nothing_more_is_measured() -> None:
    evaluator = Priced()
    document = planned(evaluator=evaluator)
    assert document["within_limits"] == {
        "share": 1.0, "interval": None, "members": 144, "each": {}, "predicted": {}, "reason": None,
    }  # fmt: skip
    assert document["notes"] == []
    assert len(evaluator.measured) == 3


@pytest.mark.parametrize(
    ("limits", "space", "extent"),
    [
        (
            {"max_parameters": 10},
            SPACE,
            "none of the 144 members is within them. max_parameters alone excludes all. Relax",
        ),
        (
            {"max_latency_ms": 1e-6, "max_parameters": 10},
            VOVNET,
            "none of 2,000 random members is within them, so hardly more than 0.19 % of all are. "
            "max_latency_ms and max_parameters alone each exclude all.",
        ),
    ],
)
def test_limits_that_leave_nothing(limits: dict[str, float], space: SearchSpace, extent: str) -> None:
    document = planned(limits, space=space)
    assert document["within_limits"]["share"] == 0.0
    (note,) = document["notes"]
    assert note.startswith("The limits leave nothing: none of ")
    assert extent in note
    prediction = document["prediction"]
    assert prediction["seconds"] is None
    assert prediction["reason"] == prediction["energy_reason"] == "no member that was looked at is within the limits"
    assert all(row["over_limit"] for row in document["members"])


def test_limits_that_leave_nothing_together() -> None:
    within = Within([], 0.0, (0.0, 0.0019), {"max_parameters": 0.3, "max_latency_ms": 0.2}, {}, 2000)
    assert nothing_left(within, is_whole=False) == (
        "The limits leave nothing: none of 2,000 random members is within them, so hardly more than 0.19 % of all are. "
        "Each limit by itself allows some. Relax a limit, or choose another --space."
    )


def test_a_limit_on_what_cannot_be_measured() -> None:
    options = {"max_energy_mj": 1.0, "energy": "none"}
    document = planned(options, Priced(energy_source=None))
    assert document["within_limits"]["share"] == 0.0
    assert document["notes"] == [
        "The limits leave nothing: energy_mj cannot be had here, and a limit on it stops every candidate. Relax it, or "
        "choose another --energy."
    ]


def test_a_space_too_small_to_predict_in() -> None:
    one = SearchSpace.from_dict({**SMALL, "name": "two", "stages": SearchSpace.from_dict(FEW).to_dict()["stages"]})
    few = SearchSpace.from_dict({**one.to_dict(), "stem": {"channels": [8, 8, 8], "downsample": "pool"}})
    document = planned({"max_latency_ms": 0.05}, space=few)
    assert document["space"]["networks"] == 4
    within = document["within_limits"]
    assert (within["share"], within["interval"]) == (None, None)
    assert within["each"] == {"max_latency_ms": None}
    assert within["reason"] == "a prediction takes 5 measured networks, and there are 4"
    assert document["prediction"]["seconds"] is not None


def test_prediction_adds_up() -> None:
    prediction = planned({"trials": 100}, Priced(epoch_s=0.03))["prediction"]
    rungs = [row["epochs"] for row in prediction["trainings"]]
    assert prediction["candidates"] == prediction["trainings"][0]["candidates"] == 100
    assert prediction["epochs"] == expected_epochs(expected_trainings(100, rungs))
    assert 0.03 <= prediction["epoch_s"] < 0.2
    assert prediction["training_s"] >= prediction["epochs"] * prediction["epoch_s"]
    assert prediction["workers"] == 1
    assert prediction["seconds"] == prediction["training_s"] + prediction["measuring_s"]
    assert prediction["energy_kwh"] is None
    assert prediction["energy_reason"] == "the evaluator trains nothing here"


def test_no_more_candidates_than_networks() -> None:
    document = planned({"trials": 100}, space=SearchSpace.from_dict(FEW))
    assert document["space"] == {"name": "few", "members": 8, "networks": 6}
    assert document["prediction"]["candidates"] == 6


def test_time_follows_the_members_within_the_limits() -> None:
    class Proportional(Priced):
        def train(self, architecture: Architecture, **arguments: Any) -> Any:
            self.epoch_s = counted(architecture).multiply_adds / 2e6
            return super().train(architecture, **arguments)

    def epoch_s(**options: Any) -> float:
        return float(planned(options, Proportional())["prediction"]["epoch_s"])

    sizes = [counted(member).multiply_adds for member in SPACE.enumerate()]
    high = epoch_s(sampler="random")
    assert high == pytest.approx(sum(sizes) / len(sizes) / 2e6, rel=0.3)
    assert epoch_s(sampler="random", max_multiply_adds=160_000) < high
    low, large = min(sizes), max(sizes)
    evenly_in_log_cost = (large - low) / math.log(large / low)
    assert epoch_s() == pytest.approx(evenly_in_log_cost / 2e6, rel=0.3)


def test_a_member_that_cannot_be_trained() -> None:
    largest = SHAPE.canonical(SPACE.largest()).digest

    def failure(architecture: Architecture, _count: int) -> CandidateError | None:
        return CandidateError("out_of_memory", "Memory ran out.") if architecture.digest == largest else None

    document = planned(evaluator=Priced(failure=failure))
    row = document["members"][2]
    assert (row["epoch_s"], row["epoch_from"], row["notes"]) == (None, None, ["Memory ran out."])
    assert row["latency_ms"] is not None
    assert document["prediction"]["seconds"] is not None

    document = planned(evaluator=Priced(failure=lambda *_: CandidateError("diverged", "The loss became nan.")))
    assert document["prediction"]["reason"] == "no member could be trained"
    assert document["prediction"]["seconds"] is None


def test_time_limit() -> None:
    note = "The time limit of 1 s ends the search before it is done."
    assert note in planned({"timeout": 1.0}, Priced(epoch_s=0.05))["notes"]
    assert planned({"timeout": 10**6}, Priced(epoch_s=0.05))["notes"] == []


def test_it_says_what_it_does_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    planned(
        {"max_latency_ms": middle(latency_of)},
        listener=lambda event: said.append(event.text if isinstance(event, Note) else ""),
    )
    assert said[0].startswith("measuring the smallest network of the space: 8-8-8 | ")
    assert said[1] == "training the smallest network for an epoch, 6 s at most"
    assert said[-1] == "measuring random networks to judge the limits: 21 of at most 30"
    assert list(tmp_path.iterdir()) == []


def test_what_the_search_would_refuse_is_refused() -> None:
    with pytest.raises(UsageError, match="no meter"):
        planned({"objectives": ["accuracy", "energy_mj"]}, Priced(energy_source=None))


@dataclass
class Meter(EnergyMeter):
    """Shows 50 W as soon as the load has run."""

    source: ClassVar[EnergySource] = "rapl"
    notes: tuple[str, ...] = ("the whole package is metered",)

    @property
    def method(self) -> str:
        return "counter"

    def describe(self) -> dict[str, Any]:
        return {"source": self.source}

    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        load.launch(5)()
        return EnergyReading(self.source, self.method, 20 * load.iteration_seconds, 50.0, None)


@pytest.mark.slow
def test_energy_of_real_networks_where_a_meter_measures() -> None:
    options = {
        "space": "tiny",
        "data": "digits",
        "train_samples": 300,  # an epoch of a few steps, so that a step's time is known
        "device": "cpu",
        "threads": 1,
        "energy": "estimated",
        "trials": 10,
    }
    config = StudyConfig.model_validate(options)
    measurer, trainer = network_evaluators(config)
    metered = replace(measurer, setup=replace(measurer.setup, meter=Meter()))
    document = plan(config, measurer=metered, trainer=trainer)
    prediction, median = document["prediction"], document["members"][1]
    assert median["energy_mj"] == pytest.approx(20 * median["latency_ms"])
    joules = prediction["training_s"] * 50 + prediction["measuring_s"] * 20
    assert prediction["energy_kwh"] == pytest.approx(joules / 3.6e6)
    assert prediction["energy_reason"] is None
    assert document["notes"] == ["the whole package is metered"]
    assert all(row["epoch_s"] > 0 for row in document["members"])


@pytest.mark.parametrize(
    ("rungs", "trainings", "epochs"),
    [
        ((1, 3, 9), [(1, 200), (3, 89), (9, 40)], 200 + 89 * 2 + 40 * 6),
        ((5,), [(5, 200)], 1000),
        ((4, 5), [(4, 200), (5, 40)], 800 + 40),
    ],
)
def test_expected(rungs: tuple[int, ...], trainings: list[tuple[int, int]], epochs: int) -> None:
    assert expected_trainings(200, rungs) == trainings
    assert expected_epochs(trainings) == epochs


@given(st.integers(1, 500), st.sets(st.integers(1, 100), min_size=1, max_size=5).map(sorted))
def test_a_ladder_trains_less_than_everything_in_full(candidates: int, rungs: list[int]) -> None:
    trainings = expected_trainings(candidates, rungs)
    assert [rung for rung, _ in trainings] == rungs
    counts = [count for _, count in trainings]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == candidates
    assert candidates * rungs[0] <= expected_epochs(trainings) <= candidates * rungs[-1]
