"""Columns of the models: timestamps must have a time zone."""

import pytest
from sqlalchemy import DateTime, MetaData

from ..core.settings import report_unused, settings_of


def test_datetimes_are_timezone_aware(_models_metadata: MetaData, pytestconfig: pytest.Config) -> None:
    allowed = settings_of(pytestconfig).naive_datetime_columns
    naive = [
        f"{table.fullname}.{column.name}"
        for table in _models_metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, DateTime) and not column.type.timezone
    ]
    if missing := [name for name in naive if name not in allowed]:
        pytest.fail(
            f"Columns of timestamps without a time zone: {', '.join(missing)}.\n"
            "Their values are ambiguous, and comparing them with timezone-aware values raises. Use "
            "DateTime(timezone=True), and write a migration. If a column must be naive, add under [tool.savepoint] of "
            f'pyproject.toml: naive_datetime_columns = ["{missing[0]}"]',
            pytrace=False,
        )
    report_unused(pytestconfig, "naive_datetime_columns", naive)
