"""The catalog of each major version of PostgreSQL."""

from collections.abc import Iterator

import pytest
from harness.postgres import local
from harness.postgres.run_folder import RunFolder

from tests import postgres_majors
from tests.conftest import REQUIRED
from tests.schemas.databases import Databases, drift
from tests.schemas.models import shop
from tests.schemas.test_drift import BATCHES

# PostgreSQL 17 is the first that changes the expression of a column; those below drop the column.
LARGEST = max(BATCHES, key=len)


@pytest.fixture(params=postgres_majors.RELEASES)
def old(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Databases]:
    """A server of an older major."""
    installed = postgres_majors.installed(request.param)
    if installed is None and "postgres" not in REQUIRED:
        pytest.skip(f"PostgreSQL {request.param} is not installed: python3 tests/postgres_majors.py")
    assert installed is not None
    monkeypatch.setenv("POSTGRES_BIN", str(installed))
    folder = RunFolder.make()
    try:
        yield Databases(local.start(folder, request.param))
    finally:
        folder.close()


def test_drifts_are_mended(old: Databases) -> None:
    with old.server.connect() as connection:
        connection.execute("CREATE ROLE schemas_reader")
    models, metadata = old.create(), shop()
    old.create_all(models, metadata)
    migrated = old.create(models)
    assert drift(old, metadata, migrated, models=models).keys == set()
    for statements in LARGEST.values():
        old.execute(migrated, statements)

    found = drift(old, metadata, migrated, models=models)

    assert LARGEST.keys() - found.keys == set()
    assert found.left == []
    old.paste(migrated, found.operations, metadata)
    assert drift(old, metadata, migrated, models=models).keys == set()
