"""One server, with databases for each module."""

from collections.abc import Iterator

import pytest
from harness.postgres.server import Server

from tests.schemas.databases import Databases


@pytest.fixture(scope="module")
def databases(server: Server) -> Iterator[Databases]:
    databases = Databases(server)
    yield databases
    databases.drop()
