"""The network guard allows connections to the test database, by TCP and by name."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from harness.postgres.server import Server

from tests.harness.sample import Sample

TESTS = """
import pytest
from httpx import AsyncClient

ADA = {"email": "ada@example.com"}

async def test_in_a_savepoint(client: AsyncClient) -> None:
    assert (await client.post("/users", json=ADA)).status_code == 201

@pytest.mark.own_database
async def test_in_a_database_of_its_own(client: AsyncClient) -> None:
    assert (await client.post("/users", json=ADA)).status_code == 201
"""


@pytest.fixture
def port(server: Server) -> Iterator[int]:
    """A port of the loopback interface that leads to the server, which listens on a Unix socket alone."""
    ports: list[int] = []
    is_ready, stops = threading.Event(), threading.Event()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(f"{server.host}/.s.PGSQL.{server.port}")
        try:
            both = {asyncio.create_task(pump(reader, to_server)), asyncio.create_task(pump(from_server, writer))}
            _, other = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in other:
                task.cancel()
        finally:
            writer.close()
            to_server.close()

    async def serve() -> None:
        async with await asyncio.start_server(connect, "127.0.0.1", 0) as listening:
            ports.append(listening.sockets[0].getsockname()[1])
            is_ready.set()
            await asyncio.to_thread(stops.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert is_ready.wait(60)
    yield ports[0]
    stops.set()
    thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_database_by_tcp(sample: Sample, port: int, host: str) -> None:
    sample.write("tests/test_a.py", TESTS)

    outcome = sample.pytest(TEST_DATABASE_URL=f"postgresql://postgres@{host}:{port}/postgres")

    assert "2 passed" in outcome.output, outcome.output


def test_the_fixture_that_mocks_the_host_is_named(sample: Sample) -> None:
    sample.write(
        "tests/test_a.py",
        """
import socket
from contextlib import suppress

from tests.harness.guards import network

network.MOCKED_BY["api.example.com"] = "mock_example"

def test_that_asks() -> None:
    for host in ("api.example.com", "example.org"):
        with suppress(OSError):
            socket.create_connection((host, 443))
""",
    )

    output = sample.pytest("-k", "test_that_asks").output

    assert "access to api.example.com:443 was blocked:\n  tests/test_a.py:" in output
    assert "\nThe fixture `mock_example` mocks it.\n" in output
    assert output.count("The fixture `mock_example`") == 1
