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
        for table, column, kind in _COLUMNS[version]:
            found = sa.inspect(connection)
            if found.has_table(table) and column not in {known["name"] for known in found.get_columns(table)}:
                connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
