"""From one version of our tables to the next. New tables need no step: they are made wherever they are missing."""

from __future__ import annotations

import sqlalchemy as sa

_COLUMNS: dict[int, tuple[tuple[str, str, str], ...]] = {
    2: (
        ("osanas_studies", "search_key", "VARCHAR(80)"),
        ("osanas_studies", "final_key", "VARCHAR(80)"),
        ("osanas_evaluations", "measurement_key", "VARCHAR(80)"),
    ),
}
"""Table, name and type of the columns that a version adds. All may be NULL, so that the rows there stay as they are."""


def migrate(connection: sa.Connection, stored: int, wanted: int) -> None:
    """Brings the tables from one version to a later one. The creation lock should be held.

    SQLite makes each column on its own, so a migration that was cut off goes on with the columns that are missing.
    """
    for version in range(stored + 1, wanted + 1):
        for table, column, kind in _COLUMNS.get(version, ()):
            found = sa.inspect(connection)
            if found.has_table(table) and column not in {known["name"] for known in found.get_columns(table)}:
                connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        if version == 3:
            _epochs_to_rungs(connection)


def _epochs_to_rungs(connection: sa.Connection) -> None:
    """A study without a ladder has one rung."""
    if not sa.inspect(connection).has_table("osanas_studies"):
        return
    studies = sa.table("osanas_studies", sa.column("id"), sa.column("identity", sa.JSON), sa.column("config", sa.JSON))
    for row in connection.execute(sa.select(studies)).all():
        identity, config = dict(row.identity), dict(row.config)
        if "epochs" in identity:
            rungs = [identity.pop("epochs")]
            config.pop("epochs", None)
            changed = {"identity": {**identity, "rungs": rungs}, "config": {**config, "rungs": rungs}}
            connection.execute(sa.update(studies).where(studies.c.id == row.id).values(**changed))
