"""`postgres_options`: settings of a server that the harness starts, such as libraries to be loaded."""

import pytest

from tests.harness.sample import Sample

TESTS = """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

async def test_settings(db_session: AsyncSession) -> None:
    await db_session.execute(text("CREATE EXTENSION pg_stat_statements"))
    assert await db_session.scalar(text("SELECT count(*) FROM pg_stat_statements")) >= 0
    assert await db_session.scalar(text("SHOW wal_level")) == "logical"
"""


@pytest.fixture
def counted(sample: Sample) -> Sample:
    sample.write("tests/test_a.py", TESTS)
    return sample


def options(sample: Sample, *values: str) -> None:
    project = (sample.folder / "pyproject.toml").read_text()
    lines = f"[tool.savepoint]\npostgres_options = [{', '.join(map(repr, values))}]\n"
    sample.write("pyproject.toml", project.replace("[tool.savepoint]\n", lines))


def test_they_are_those_of_the_server(counted: Sample) -> None:
    assert "1 failed" in counted.pytest().output
    options(counted, "shared_preload_libraries=pg_stat_statements", "wal_level = logical")

    for workers in ("0", "2"):
        assert "1 passed" in (outcome := counted.pytest("-n", workers)).output, outcome.output


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("wal_level", "postgres_options: 'wal_level' must be a setting of the server, as \"work_mem=64MB\""),
        ("no_such=1", 'unrecognized configuration parameter "no_such"'),
        ("work_mem=much", 'invalid value for parameter "work_mem": "much"'),
    ],
)
def test_one_that_is_wrong_ends_the_run_with_the_servers_words(counted: Sample, option: str, message: str) -> None:
    options(counted, option)

    assert message in counted.pytest("--postgres=local").error
