"""What every energy meter is, takes and gives. A meter is chosen apart from the device that computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from osanas.measure.protocol import MeasurementProtocol

if TYPE_CHECKING:  # meters run without torch
    from osanas.costs import Costs

EnergySource = Literal["nvml", "rapl", "estimated"]
Exclusivity = Literal["yes", "no", "unknown"]
"""Whether nobody else used a device meanwhile; ``unknown`` where the machine does not tell."""


def worst(found: Collection[Exclusivity]) -> Exclusivity:
    """What is known of several stretches of time together."""
    return "no" if "no" in found else "unknown" if "unknown" in found else "yes"


@dataclass(frozen=True)
class Load:
    """The work whose energy is asked for.

    Attributes:
        launch: Starts that many iterations and gives what waits until they have finished. A GPU works on them
            meanwhile; a processor does them while it is waited for.
        iteration_seconds: Median time of an iteration.
        costs: Static costs for one image; only an estimate needs them.
    """

    launch: Callable[[int], Callable[[], object]]
    iteration_seconds: float
    costs: Costs | None = None


@dataclass(frozen=True)
class EnergyWindow:
    """One reading of a meter over a stretch of work without gaps.

    Attributes:
        joules: What the device drew, gross.
        seconds: How long it was.
        iterations: Iterations finished within it.
        voided_by: Why it does not count, such as ``throttled``; None if it does.
        flags: ``power_capped`` where the board's power limit held its clocks down.
        power_joules: The same energy by another sensor, integrated from power readings; None where there is none.
    """

    joules: float
    seconds: float
    iterations: int
    voided_by: str | None = None
    flags: tuple[str, ...] = ()
    power_joules: float | None = None

    @property
    def joules_per_iteration(self) -> float:
        """Gross energy of one iteration."""
        return self.joules / self.iterations

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "flags": list(self.flags)}


@dataclass(frozen=True)
class EnergyReading:
    """Energy of one iteration, gross: what the device drew, its idle power included.

    Attributes:
        source: The kind of meter.
        method: See ``EnergyMeter.method``.
        joules_per_iteration: None if there is no reading; ``notes`` then say why.
        power_w: Mean power under this load.
        idle_power_w: Power without load; None where it was not measured.
        net_joules_per_iteration: Gross energy less idle power times time; None where idle power was not measured.
        exclusive: Whether the metered device was ours alone.
        windows: All of them, void ones too; none from an estimate.
        converged: Whether the windows agree as well as the protocol asks.
        flags: Those of the windows, ``energy_unstable`` (void windows had to be taken too) and
            ``energy_not_converged``.
        notes: What a reader of the figures should know.
        details: What else describes the reading, as JSON (coefficients, update period, scope).
    """

    source: EnergySource
    method: str
    joules_per_iteration: float | None
    power_w: float | None
    idle_power_w: float | None
    net_joules_per_iteration: float | None = None
    exclusive: Exclusivity = "unknown"
    windows: tuple[EnergyWindow, ...] = ()
    converged: bool = True
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class EnergyMeter(ABC):
    """Measures, or estimates, the energy of a load."""

    source: ClassVar[EnergySource]
    needs_costs: ClassVar[bool] = False
    """Whether ``Load.costs`` decides its figure."""
    notes: tuple[str, ...] = ()
    """What a reader of its figures should know, such as why a better meter was not used."""

    @property
    @abstractmethod
    def method(self) -> str:
        """How it gets its figure: ``counter``, ``instant_power``, ``average_power``, ``analytic``."""

    @property
    def lock_name(self) -> str | None:
        """Device that nobody else may load meanwhile (see ``osanas.machine.exclusive``); None if any may."""
        return None

    def look(self) -> None:  # noqa: B027 - an estimate has nothing to read
        """Reads its sensor once, where there is one.

        Raises:
            EnvironmentFailure: It cannot be read any more.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What tells its figures from another meter's, as JSON: part of the measurement key."""

    @abstractmethod
    def measure(self, load: Load, protocol: MeasurementProtocol) -> EnergyReading:
        """Energy of one iteration of the load.

        Raises:
            EnvironmentFailure: The meter was lost, or gives figures that cannot be.
        """
