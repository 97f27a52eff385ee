"""Columns of the models: timestamps must have a time zone."""

import pytest
from sqlalchemy import DateTime, MetaData

from ..core.findings import Finding, Findings, finds
from ..core.settings import report_unused, settings_of


@finds(
    "production",
    "Timestamps without a time zone are ambiguous, and comparing them with aware ones raises.",
    "DateTime(timezone=True), and a migration.",
)
def test_datetimes_are_timezone_aware(
    _models_metadata: MetaData, _findings: Findings, pytestconfig: pytest.Config
) -> None:
    allowed = settings_of(pytestconfig).naive_datetime_columns
    naive = [
        f"{table.fullname}.{column.name}"
        for table in _models_metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, DateTime) and not column.type.timezone
    ]
    _findings.add(
        [Finding(name) for name in naive if name not in allowed],
        "Columns of timestamps without a time zone: {found}.",
        "Their values are ambiguous, and comparing them with timezone-aware values raises. Use "
        "DateTime(timezone=True), and write a migration. If a column must be naive, add under [tool.savepoint] of "
        'pyproject.toml: naive_datetime_columns = ["{first}"]',
    )
    _findings.fail_for_new()
    report_unused(pytestconfig, "naive_datetime_columns", naive)
