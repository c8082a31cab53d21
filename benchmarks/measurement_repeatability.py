"""How well a second measurement in the same run agrees with the first, beside a naive loop.

Random members of a space are measured twice, in a random order in which the naive loop (3 warm-ups, mean of 10) takes
its turns as well. Differences are those of the two, relative to their mean; Spearman's correlation compares the two
orders of the members.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/measurement_repeatability.py --space vovnet --resolution 64 --threads 1
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from osanas.errors import Unavailable
from osanas.genotype.architecture import Architecture
from osanas.genotype.geometry import stem_reduction_for
from osanas.genotype.space import SearchSpace
from osanas.machine.device import resolve_device
from osanas.measure.energy.choose import open_meter
from osanas.measure.energy.meter import EnergyMeter
from osanas.measure.measurement import Measurement
from osanas.measure.network import measure
from osanas.measure.protocol import MeasurementProtocol
from osanas.measure.rounds import per_round, pooled
from osanas.measure.runtimes import resolve_runtime
from osanas.models.build import build

REPETITIONS = 2
NAIVE_WARMUPS = 3
NAIVE_ITERATIONS = 10
CLASSES = 1000


@dataclass(frozen=True)
class Agreement:
    """Of two measurements of each of several networks.

    Attributes:
        median: Median of the relative differences.
        quantile: Their 90 % quantile.
        correlation: Spearman's rank correlation.
    """

    median: float
    quantile: float
    correlation: float

    def __str__(self) -> str:
        return (
            f"relative difference: median {self.median:6.2%}, 90 % quantile {self.quantile:6.2%}; "
            f"rank correlation {self.correlation:.4f}"
        )


def agreement(first: Sequence[float], second: Sequence[float]) -> Agreement:
    """Compares two series of figures of the same networks."""
    differences = [abs(a - b) / ((a + b) / 2) for a, b in zip(first, second, strict=True)]
    return Agreement(
        statistics.median(differences),
        statistics.quantiles(differences, n=10, method="inclusive")[-1],
        statistics.correlation(_ranks(first), _ranks(second)),
    )


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 0; equal values share the mean of theirs."""
    return [sum(v < value for v in values) + (sum(v == value for v in values) - 1) / 2 for value in values]


def naive_ms(model: nn.Module, batch: torch.Tensor) -> float:
    """What a loop of a few lines gives: the mean of ten passes after three."""

    def wait() -> None:
        if batch.is_cuda:
            torch.cuda.synchronize(batch.device)

    model = model.to(batch.device).eval()
    with torch.no_grad():
        for _ in range(NAIVE_WARMUPS):
            model(batch)
        wait()
        start = time.perf_counter()
        for _ in range(NAIVE_ITERATIONS):
            model(batch)
        wait()
        return (time.perf_counter() - start) / NAIVE_ITERATIONS * 1e3


@dataclass(frozen=True)
class Bench:
    """Measures members by the protocol and by the naive loop."""

    device: torch.device
    protocol: MeasurementProtocol
    meter: EnergyMeter | Unavailable
    resolution: int

    def model(self, architecture: Architecture) -> nn.Module:
        """A member with the same weights each time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return build(architecture, num_classes=CLASSES, stem_reduction=stem_reduction_for(self.resolution))

    def measure(self, architecture: Architecture) -> Measurement:
        """A round by the protocol."""
        shape = (3, self.resolution, self.resolution)
        return measure(self.model(architecture), shape, self.device, per_round(self.protocol), self.meter)

    def naive(self, architecture: Architecture) -> float:
        """Milliseconds of a batch by the naive loop."""
        batch = torch.randn(self.protocol.batch_size, 3, self.resolution, self.resolution, device=self.device)
        return naive_ms(self.model(architecture), batch)

    def run(
        self, members: Sequence[Architecture], generator: random.Random
    ) -> tuple[list[list[Measurement]], list[list[float]]]:
        """Measurements and naive milliseconds of each member, by repetition."""
        parts: list[list[list[Measurement]]] = [[[] for _ in members] for _ in range(REPETITIONS)]
        naive = [[0.0] * len(members) for _ in range(REPETITIONS)]

        def by_protocol(repetition: int, index: int) -> None:
            parts[repetition][index].append(self.measure(members[index]))

        def by_loop(repetition: int, index: int) -> None:
            naive[repetition][index] = self.naive(members[index])

        turns: list[tuple[Callable[[int, int], None], int, int]] = [
            (by, repetition, index)
            for repetition in range(REPETITIONS)
            for index in range(len(members))
            for by in (*[by_protocol] * self.protocol.rounds, by_loop)
        ]
        generator.shuffle(turns)
        for number, (by, repetition, index) in enumerate(turns, start=1):
            by(repetition, index)
            print(f"\r{number} of {len(turns)} turns", end="", flush=True)
        print()
        return [[pooled(rounds, self.protocol) for rounds in repetition] for repetition in parts], naive


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="vovnet")
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--protocol", choices=["search", "full"], default="search")
    parser.add_argument("--rounds", type=int, default=1, help="rounds that a measurement is spread over")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--energy", default="none", help="also repeat energy by this meter, as osanas --energy")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    return parser.parse_args()


def main() -> None:
    """Prints each member and how well the two measurements agree."""
    chosen = options()
    if chosen.threads is not None:
        torch.set_num_threads(chosen.threads)
    device = resolve_device(chosen.device)
    make = MeasurementProtocol.for_search if chosen.protocol == "search" else MeasurementProtocol
    runtime = resolve_runtime(chosen.runtime, device)
    protocol = make(batch_size=chosen.batch_size, runtime=runtime, threads=chosen.threads)
    protocol = protocol.model_copy(update={"rounds": chosen.rounds})
    bench = Bench(device, protocol, open_meter(chosen.energy, device), chosen.resolution)
    space, generator = SearchSpace.load(chosen.space), random.Random(chosen.seed)
    members = list(dict.fromkeys(space.sample(generator) for _ in range(4 * chosen.networks)))[: chosen.networks]
    measured, naive = bench.run(members, generator)
    latencies = [[result.latency_ms for result in repetition] for repetition in measured]
    for member, *figures in zip(members, *latencies, *naive, strict=True):
        print("  ".join(f"{value:9.3f}" for value in figures), "ms ", member)
    by_protocol, by_loop = agreement(*latencies), agreement(*naive)
    print(f"{len(members)} networks on {device}, {protocol.runtime}, {chosen.resolution} pixels, {chosen.protocol}")
    print(f"latency, osanas  {by_protocol}")
    print(f"latency, naive   {by_loop}")
    print(f"the naive loop's median difference is {by_loop.median / max(by_protocol.median, 1e-9):.1f} times as large")
    energies = [[result.energy_mj for result in repetition] for repetition in measured]
    known = [[value for value in repetition if value is not None] for repetition in energies]
    if all(len(repetition) == len(members) for repetition in known):
        print(f"energy, {measured[0][0].energy_source:<8} {agreement(*known)}")
    flags = [flag for repetition in measured for result in repetition for flag in result.flags]
    print("flags:", ", ".join(f"{flag} {flags.count(flag)}" for flag in sorted(set(flags))) or "none")
    if chosen.json is not None:
        document = {
            "protocol": protocol.to_dict(),
            "members": [member.to_dict() for member in members],
            "latency_ms": latencies,
            "naive_ms": naive,
            "energy_mj": energies,
        }
        chosen.json.write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    main()
