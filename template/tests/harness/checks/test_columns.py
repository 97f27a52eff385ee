"""Columns of the models: a time without a zone is a time that nobody can tell."""

import pytest
from sqlalchemy import DateTime, MetaData

from tests.harness.core.settings import settings_of


def test_every_time_has_a_zone(metadata: MetaData, pytestconfig: pytest.Config) -> None:
    allowed = settings_of(pytestconfig).naive_datetime_columns
    naive = [
        f"{table.fullname}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, DateTime) and not column.type.timezone
    ]
    if missing := [name for name in naive if name not in allowed]:
        pytest.fail(
            f"times without a zone: {', '.join(missing)}. What they mean depends on who reads them, and comparing one "
            "with a time that has a zone raises.\n"
            "DateTime(timezone=True), and a migration. For one that is meant so, such as a time of day on a ticket: "
            f'naive_datetime_columns = ["{missing[0]}"] under [tool.savepoint] of pyproject.toml.',
            pytrace=False,
        )
