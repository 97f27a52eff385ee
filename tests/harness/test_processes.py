"""A process that a test starts connects to the URL of its environment or of `.env`: the harness is not in it.

The page says so, and what to pass on; this is that.
"""

from harness.postgres.server import Server

from tests.harness.sample import Sample
from tests.preloaded import run_module

PASSED_ON = """
import asyncio
import os
import sys

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

async def alembic(**env: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "alembic", "downgrade", "base", env={**os.environ, **env}, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()

@pytest.mark.own_database
async def test_passed_on(engine: AsyncEngine) -> None:
    await alembic(DATABASE_URL=engine.url.render_as_string(hide_password=False))
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT to_regclass('users')")) is None
"""

INHERITED = """
@pytest.mark.own_database
async def test_inherited(engine: AsyncEngine) -> None:
    await alembic()
"""


def developers(sample: Sample, server: Server) -> None:
    """Create the database of `.env`, with the schema."""
    with server.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS developers WITH (FORCE)")
        connection.execute("CREATE DATABASE developers")
    url = f"postgresql://postgres@/developers?host={server.host}"
    sample.write(".env", f"DATABASE_URL={url}\n")
    done = run_module(sample, "alembic", "upgrade", "head")
    assert done.returncode == 0, done.stdout


def has_users(server: Server) -> bool:
    with server.connect("developers") as connection:
        return connection.execute("SELECT to_regclass('users')").fetchone() != (None,)


def test_a_command_with_the_url_of_the_tests_database(sample: Sample, server: Server) -> None:
    developers(sample, server)
    sample.write("tests/test_a.py", PASSED_ON)

    outcome = sample.pytest()

    assert "1 passed" in outcome.output, outcome.output
    assert has_users(server)


def test_a_command_without_a_url_uses_the_env_file(sample: Sample, server: Server) -> None:
    developers(sample, server)
    sample.write("tests/test_a.py", PASSED_ON + INHERITED)

    outcome = sample.pytest("-k", "inherited")

    assert "1 passed" in outcome.output, outcome.output
    assert not has_users(server)
