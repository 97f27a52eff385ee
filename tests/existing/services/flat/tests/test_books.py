"""The service's own tests: a client and rows, and no word of a database."""

import logging

import pytest
from httpx import AsyncClient

# It exists before env.py calls `fileConfig`, which disables the loggers that exist.
logger = logging.getLogger("library")


@pytest.mark.anyio
async def test_a_book_is_added(client: AsyncClient) -> None:
    assert (await client.post("/books", json={"title": "Emma"})).status_code == 201
    assert (await client.get("/books")).json() == ["Emma"]


@pytest.mark.anyio
async def test_no_book_is_there_at_first(client: AsyncClient) -> None:
    assert (await client.get("/books")).json() == []


@pytest.mark.anyio
async def test_a_title_is_unique(client: AsyncClient) -> None:
    statuses = [(await client.post("/books", json={"title": "Emma"})).status_code for _ in range(2)]
    assert statuses == [201, 409]


def test_logging_is_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    logger.warning("lent")
    assert caplog.messages == ["lent"]
