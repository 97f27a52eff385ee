"""Compares the worker's database with the models, and finds the operations that a migration lacks."""

from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
from sqlalchemy import MetaData

from ..core.settings import settings_of
from ..database.autogenerate import autogenerate, target_metadata
from ..database.databases import WorkerDatabases
from ..database.migration_errors import MigrationError
from ..database.migrations import Migrations
from ..postgres.server import Server
from ..schema.attempts import Remedy
from ..schema.catalog import Difference, rows_of
from ..schema.created_models import create_models
from ..schema.drift import Comparison, matching
from ..schema.operations import Operation, alembic_operations, judged_by_catalog
from ..schema.remedies import remedies
from .unknown_tables import unknown_tables


@dataclass
class Drift:
    """What differs.

    Attributes:
        remedies: operations that mend differences.
        left: the other differences.
        matched: the patterns of `ignore_drift` that match a difference.
        left_out: objects of the models that could not be created, with the reason.
        note: why Alembic found no operations; "" if it did.
    """

    remedies: list[Remedy] = field(default_factory=list)
    left: list[Difference] = field(default_factory=list)
    matched: set[str] = field(default_factory=set)
    left_out: dict[str, str] = field(default_factory=dict)
    note: str = ""


def find_drift(
    config: pytest.Config,
    migrations: Migrations,
    databases: WorkerDatabases,
    server: Server,
    migrated_name: str,
    empty_name: str,
    metadata: MetaData,
) -> Drift:
    """Compare the database `migrated_name` with the models, which are created in `empty_name`."""
    ignored = settings_of(config).ignore_drift
    target = target_metadata(migrations, migrated_name)
    known = [metadata, *(each for each in target if each is not metadata)]
    unknown = unknown_tables(config, target)
    with server.connect(empty_name) as empty, server.connect(migrated_name) as migrated:
        models = create_models(lambda each: migrations.create_all(empty_name, each), known, empty, migrated)
        comparison = Comparison(models, ignored)
        found = comparison.differences(rows_of(migrated))
        comparison.matched |= {entry for table in unknown for entry in matching(table.name, ignored)}
        drift = Drift(left=found, matched=comparison.matched, left_out=models.left_out)
        if not found:
            return drift

        operations: list[Operation] = []
        try:
            with judged_by_catalog(found) as options:
                autogenerate(
                    migrations,
                    migrated_name,
                    options,
                    lambda context, missing: operations.extend(alembic_operations(context, missing)),
                )
        except MigrationError as error:
            drift.note = f"\nAlembic's autogenerate fails, so its operations are not shown: {error}"

        def try_them(connection: sa.Connection) -> None:
            drift.remedies, drift.left = remedies(connection, comparison, operations, [*target, metadata][0])

        copy = databases.clone(databases.source)
        try:
            migrations.connected(copy, try_them)
        finally:
            databases.drop(copy)
    return drift
