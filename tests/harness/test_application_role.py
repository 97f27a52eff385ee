"""`application_role`: tests connect as production's role, so that a missing GRANT or policy fails a test."""

from collections.abc import Callable

import pytest
from harness.postgres.server import Server

from tests.harness.sample import Sample

REVISION = '''\
"""Row security"""

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE ROLE shop NOLOGIN")
    op.execute("GRANT SELECT ON users TO shop")
    op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY own ON users USING (email = current_setting('app.email', true))")


def downgrade() -> None:
    op.execute("DROP POLICY own ON users")
    op.execute("ALTER TABLE users DISABLE ROW LEVEL SECURITY")
    op.execute("REVOKE SELECT ON users FROM shop")
    op.execute("DROP ROLE shop")
'''
GRANT = '    op.execute("GRANT INSERT ON users TO shop")\n'
TESTS = """
import asyncio

import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

MODES = ["savepoint", pytest.param("own", marks=pytest.mark.own_database)]
BOTH = "SELECT count(*) FROM users"

async def sign_up(db_session: AsyncSession, email: str) -> None:
    await db_session.execute(text("SELECT set_config('app.email', :email, true)"), {"email": email})
    await db_session.execute(text("INSERT INTO users (email) VALUES (:email)"), {"email": email})

@pytest.mark.parametrize("mode", MODES)
async def test_policy(db_session: AsyncSession, mode: str) -> None:
    for email in ("ada@example.com", "grace@example.com"):
        await sign_up(db_session, email)
    assert await db_session.scalar(text(BOTH)) == 1

@pytest.mark.parametrize("mode", MODES)
async def test_reset_role(db_session: AsyncSession, mode: str) -> None:
    await db_session.execute(text("SET LOCAL ROLE postgres"))
    assert await db_session.scalar(text("SELECT current_user")) == "postgres"
    await db_session.execute(text("RESET ROLE"))
    assert await db_session.scalar(text("SELECT current_user")) == "shop"

@pytest.mark.parametrize("mode", MODES)
async def test_after_a_commit(db_session: AsyncSession, mode: str) -> None:
    await db_session.execute(text("SET LOCAL ROLE postgres"))
    await db_session.commit()
    assert await db_session.scalar(text("SELECT current_user")) == "shop"

@pytest.mark.own_database
async def test_a_wait(engine, db_session: AsyncSession, wait_for_lock_waiters) -> None:
    async def waiting() -> None:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(1)"))
    await db_session.execute(text("SELECT pg_advisory_xact_lock(1)"))
    async with asyncio.TaskGroup() as group:
        group.create_task(waiting())
        await wait_for_lock_waiters(1)
        await db_session.commit()
"""
IGNORED = """\
ignore_drift = ["policy public.users.own", "row security public.users", "grant on relation public.users *"]
"""
Set = Callable[[str], None]


@pytest.fixture
def secured(sample: Sample) -> Sample:
    """The sample with a role, a policy, and tests of both modes; the role is not set yet."""
    sample.write("migrations/versions/0002_row_security.py", REVISION)
    sample.write("tests/test_a.py", TESTS)
    return sample


def with_settings(sample: Sample, lines: str) -> None:
    project = (sample.folder / "pyproject.toml").read_text()
    sample.write("pyproject.toml", project.replace("[tool.savepoint]\n", f"[tool.savepoint]\n{lines}"))


def granted(sample: Sample) -> None:
    sample.write(
        "migrations/versions/0002_row_security.py",
        REVISION.replace('    op.execute("ALTER', GRANT + '    op.execute("ALTER', 1).replace(
            "REVOKE SELECT", "REVOKE SELECT, INSERT"
        ),
    )


def test_without_the_setting_no_policy_applies(secured: Sample) -> None:
    assert "2 failed, 4 passed" not in (outcome := secured.pytest("-k", "test_policy")).output, outcome.output
    assert "2 failed" in outcome.output


def test_a_missing_grant_fails_tests(secured: Sample) -> None:
    with_settings(secured, 'application_role = "shop"\n')

    outcome = secured.pytest("-k", "test_policy")

    assert "permission denied for table users" in outcome.output
    assert "2 failed" in outcome.output


@pytest.mark.parametrize("workers", ["0", "2"])
def test_policies_apply_in_both_modes(secured: Sample, workers: str) -> None:
    with_settings(secured, 'application_role = "shop"\n')
    granted(secured)

    for _ in range(2):
        assert "7 passed" in (outcome := secured.pytest("-n", workers)).output, outcome.output


def test_migrations_that_create_a_role_pass_the_checks(secured: Sample) -> None:
    """They run several times on one server, where a role exists once."""
    with_settings(secured, 'application_role = "shop"\n' + IGNORED)
    granted(secured)

    assert " failed" not in (outcome := secured.checks()).output, outcome.output
    assert "matches nothing" not in outcome.output


def test_on_a_server_of_ones_own(secured: Sample, server: Server, url: str) -> None:
    with_settings(secured, 'application_role = "shop"\n')
    granted(secured)
    try:
        assert "7 passed" in (outcome := secured.pytest(TEST_DATABASE_URL=url)).output, outcome.output
    finally:
        # Its privileges in databases that the run has left keep a role.
        with server.connect() as connection:
            connection.execute("ALTER ROLE shop RENAME TO shop_of_an_earlier_test")


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("postgres", 'role "postgres" is a superuser, so that policies do not apply to it. Name the role of the'),
        ("nobody", 'role "nobody" does not exist on the server of TEST_DATABASE_URL. Create it there, or in a migr'),
    ],
)
def test_a_role_that_cannot_be_used(secured: Sample, url: str, role: str, message: str) -> None:
    (secured.folder / "migrations/versions/0002_row_security.py").unlink()
    with_settings(secured, f'application_role = "{role}"\n')

    outcome = secured.pytest(TEST_DATABASE_URL=url)

    assert outcome.error.startswith(f"pyproject.toml: [tool.savepoint]: application_role: {message}")
