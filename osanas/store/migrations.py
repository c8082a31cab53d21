"""From one version of our tables to the next. New tables need no step: they are made wherever they are missing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

_COLUMNS: dict[int, tuple[tuple[str, str, str], ...]] = {
    2: (
        ("osanas_studies", "search_key", "VARCHAR(80)"),
        ("osanas_studies", "final_key", "VARCHAR(80)"),
        ("osanas_evaluations", "measurement_key", "VARCHAR(80)"),
    ),
    4: (("osanas_studies", "reference", "JSON"),),
}
"""Table, name and type of the columns that a version adds. All may be NULL, so that the rows there stay as they are."""


def migrate(connection: sa.Connection, stored: int, wanted: int) -> None:
    """Brings the tables from one version to a later one. The creation lock should be held.

    It happens as a whole or not at all. An osanas before version 4 had SQLite make each column on its own, so that some
    of them may be there already.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # its driver begins no transaction for changes of tables
    for version in range(stored + 1, wanted + 1):
        for table, column, kind in _COLUMNS.get(version, ()):
            found = sa.inspect(connection)
            if found.has_table(table) and column not in {known["name"] for known in found.get_columns(table)}:
                connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        if version == 3:
            _epochs_to_rungs(connection)
        if version == 4:
            _allow_repeats(connection)


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


def _allow_repeats(connection: sa.Connection) -> None:
    """A candidate may be trained to the same epochs again: what was trained before are the first trainings."""
    table = "osanas_evaluations"
    found = sa.inspect(connection)
    if not found.has_table(table) or "repeat" in {known["name"] for known in found.get_columns(table)}:
        return
    name = f"{table}_candidate_id_epochs_{{}}key"  # as PostgreSQL names what was made without a name
    convention = {"uq": "%(table_name)s_%(column_0_N_name)s_key"}
    operations = Operations(MigrationContext.configure(connection))
    with operations.batch_alter_table(table, naming_convention=convention) as batch:  # SQLite has to copy the table
        batch.add_column(sa.Column("repeat", sa.Integer(), nullable=False, server_default="0"))
        batch.drop_constraint(name.format(""), type_="unique")
        batch.create_unique_constraint(name.format("repeat_"), ["candidate_id", "epochs", "repeat"])
