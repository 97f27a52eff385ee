"""A run that is aborted prints one error of at most fifteen lines, never one per test."""

from pathlib import Path

import pytest

from tests.harness.sample import Sample

TESTS = """
import pytest
from httpx import AsyncClient
@pytest.mark.parametrize("number", range(20))
async def test_health(client: AsyncClient, number: int) -> None:
    assert (await client.get("/health")).status_code == 200
"""


FAILING_INITDB = """#!/bin/sh
[ "$1" = --version ] && echo 'postgres (PostgreSQL) 18.6' && exit
echo 'initdb: error: no luck'
exit 1
"""


@pytest.fixture
def tested(sample: Sample) -> Sample:
    """The sample with twenty tests that need a database."""
    sample.write("tests/test_a.py", TESTS)
    return sample


@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_source_has_the_major_version(tested: Sample, workers: str) -> None:
    # No machine has binaries or an image of major version 42.
    outcome = tested.pytest(
        "-n", workers, "-o", "savepoint_postgres_version=42", DOCKER_HOST="unix:///nowhere/docker.sock"
    )

    assert outcome.code != 0
    assert outcome.output.count("no PostgreSQL 42 server found") == 1
    assert "TEST_DATABASE_URL is not set" in outcome.error
    assert "local binaries: found" in outcome.error
    assert "Docker: no daemon at unix:///nowhere/docker.sock" in outcome.error
    assert "Do one of the following:" in outcome.error
    assert len(outcome.error.splitlines()) <= 15
    assert "Traceback" not in outcome.output


def test_a_chosen_source_is_the_only_one_tried(tested: Sample) -> None:
    outcome = tested.pytest("--postgres", "docker", DOCKER_HOST="unix:///nowhere/docker.sock")

    assert outcome.code != 0
    assert "Docker: no daemon at unix:///nowhere/docker.sock" in outcome.error
    assert "local binaries:" not in outcome.error


def test_postgres_bin_without_binaries(tested: Sample, tmp_path: Path) -> None:
    outcome = tested.pytest(POSTGRES_BIN=str(tmp_path))

    assert outcome.code != 0
    assert (
        outcome.error == f"postgres: POSTGRES_BIN={tmp_path} does not contain working `postgres` and `initdb` binaries."
    )


def test_postgres_bin_of_another_major_version(tested: Sample, tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n")
        (tmp_path / name).chmod(0o755)

    outcome = tested.pytest(POSTGRES_BIN=str(tmp_path))

    assert outcome.code != 0
    assert "is PostgreSQL 9.6.24, but postgres_version in pyproject.toml is 18." in outcome.error
    assert len(outcome.error.splitlines()) == 1


def test_binaries_whose_initdb_fails(tested: Sample, readable: Path) -> None:
    for name in ("postgres", "initdb"):
        (readable / name).write_text(FAILING_INITDB)
        (readable / name).chmod(0o755)

    outcome = tested.pytest(POSTGRES_BIN=str(readable), DOCKER_HOST="unix:///nowhere/docker.sock")

    assert outcome.code != 0
    assert f"{readable} (PostgreSQL 18.6): initdb failed: initdb: error: no luck" in outcome.error


def test_an_invalid_major_version(tested: Sample) -> None:
    outcome = tested.pytest("-o", "savepoint_postgres_version=new")

    assert outcome.code != 0
    assert "ERROR: -o: postgres_version must be an integer, not 'new'" in outcome.output


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_broken_migration(tested: Sample, workers: str) -> None:
    revision = min((tested.folder / "migrations" / "versions").glob("*.py"))
    revision.write_text(revision.read_text().replace("op.create_table(", "op.create_tabel("))

    outcome = tested.pytest("-n", workers)

    assert outcome.code != 0
    assert outcome.output.count("create_tabel") == 1, outcome.output
    assert f"migrations: migrations/versions/{revision.name}:" in outcome.error
    assert len(outcome.error.splitlines()) <= 15
    assert "Traceback" not in outcome.output


REVISION = '"""New"""\nrevision = "{id}"\ndown_revision = {down!r}\n{more}\ndef upgrade(): ...\ndef downgrade(): ...\n'

UNREADABLE = {
    "a syntax error": (
        {"id": "0002", "down": "0001", "more": "def broken(:"},
        "migrations/versions/new.py:4: SyntaxError: ",
    ),
    "a failing import": (
        {"id": "0002", "down": "0001", "more": "import nonesuch"},
        "migrations/versions/new.py:4, in <module>: ModuleNotFoundError: No module named 'nonesuch'",
    ),
    "an unknown down_revision": (
        {"id": "0002", "down": "nonesuch", "more": ""},
        "Revision nonesuch referenced from nonesuch -> 0002 (head), New is not present",
    ),
    "a duplicate ID": ({"id": "0001", "down": None, "more": ""}, "Revision 0001 is present more than once"),
}


@pytest.mark.parametrize(("revision", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_revision_that_alembic_cannot_read(tested: Sample, revision: dict[str, str | None], words: str) -> None:
    tested.write("migrations/versions/new.py", REVISION.format(**revision))

    outcome = tested.pytest()

    assert outcome.code != 0
    assert f"migrations: {words}" in outcome.error
    assert len(outcome.error.splitlines()) <= 3
    assert "Traceback" not in outcome.output


def test_a_broken_module_that_a_revision_imports(tested: Sample) -> None:
    tested.write("src/sample/broken.py", "def broken(:\n")
    more = "from sample import broken\n"
    tested.write("migrations/versions/new.py", REVISION.format(id="0002", down="0001", more=more))

    outcome = tested.pytest()

    assert "migrations: src/sample/broken.py:1: SyntaxError: " in outcome.error


LIFESPAN = """
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import pytest
from fastapi import FastAPI
from sample.main import create_app
from sample.settings import Settings

@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    app = create_app(settings)
    own = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        STARTING
        async with own(app) as state, asyncio.TaskGroup() as group:
            RUNNING
            yield state

    app.router.lifespan_context = lifespan
    return app

async def lose_the_broker() -> None:
    await asyncio.sleep(0)
    raise OSError("no broker")
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_lifespan_that_does_not_start(tested: Sample, workers: str) -> None:
    lifespan = LIFESPAN.replace("STARTING", "raise OSError('no broker')").replace("RUNNING", "pass")
    tested.write("tests/test_b.py", lifespan + TESTS)

    outcome = tested.pytest("-n", workers, "tests/test_b.py")

    assert outcome.code != 0
    assert "The lifespan of the application 'Sample' failed with OSError: no broker" in outcome.error
    assert outcome.output.count("no broker") == 1
    assert "Traceback" not in outcome.output


def test_a_lifespan_that_dies_between_tests(tested: Sample) -> None:
    lifespan = LIFESPAN.replace("STARTING", "pass").replace("RUNNING", "group.create_task(lose_the_broker())")
    tested.write("tests/test_b.py", lifespan + TESTS)

    outcome = tested.pytest("tests/test_b.py")

    assert outcome.code != 0
    assert "The lifespan of the application 'Sample' failed with OSError: no broker" in outcome.error
    assert "tests/test_b.py:27, in lose_the_broker" in outcome.error
    assert "Traceback" not in outcome.output
