"""The point of a study that is just worth nothing: what hypervolumes are measured from. It is set once."""

from __future__ import annotations

from dataclasses import replace

from osanas.engine.evaluating import own_fault
from osanas.engine.measuring import Measuring
from osanas.genotype.architecture import Architecture
from osanas.genotype.members import SpaceAt
from osanas.study.events import Announcer
from osanas.study.objectives import Score, is_cost
from osanas.study.records import StudyRecord


def with_reference(
    record: StudyRecord, at: SpaceAt, score: Score, measuring: Measuring, announcer: Announcer
) -> StudyRecord:
    """The study with its reference point, which is set unless it has one; without one if that cannot be had.

    Args:
        record: The study.
        at: Its space.
        score: Of its task.
        measuring: Measures the yardstick, unless that is known.
        announcer: Knows what a listener raised meanwhile.

    Raises:
        EnvironmentFailure: Device, meter or database failed.
    """
    if record.reference is not None:
        return record
    point = reference_point(record, at, score, measuring, announcer)
    return record if point is None else replace(record, reference=measuring.store.set_reference(record.id, point))


def reference_point(
    record: StudyRecord, at: SpaceAt, score: Score, measuring: Measuring, announcer: Announcer
) -> tuple[float, ...] | None:
    """A value for each objective: of the score, chance; of a cost, its limit or what ``yardstick`` costs.

    The arguments are those of ``with_reference``. None if the yardstick cannot be measured.
    """
    point = {
        name: getattr(record.limits, f"max_{name}") if is_cost(name) else score.chance for name in record.objectives
    }
    if any(value is None for value in point.values()):
        try:
            costs = measuring.costs(yardstick(at))
        except Exception as error:  # noqa: BLE001 - what is not the yardstick's own is raised again
            own_fault(error, announcer)
            return None
        point = {name: getattr(costs, name) if value is None else value for name, value in point.items()}
    values = tuple(value for value in point.values() if value is not None)
    return values if len(values) == len(point) else None


def yardstick(at: SpaceAt) -> Architecture:
    """The cheapest starting point of a space by multiply-adds; of a space without any, its largest member."""
    starts = [at.canonical(member) for _, member in at.space.start_from]
    if starts:
        return min(starts, key=lambda member: at.costs(member).multiply_adds)
    return at.canonical(at.space.largest())
