"""The clients of a test: as those of a server, down to contexts, streams and what happens when one goes."""

import shutil
from pathlib import Path

from tests.harness.sample import Sample

CASES = Path(__file__).with_name("cases") / "clients.py"

UNCLOSED = """
from collections.abc import AsyncIterator
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from httpx import AsyncClient
import asyncio

async def test_a_stream_that_nobody_closes(client: AsyncClient, app: FastAPI) -> None:
    async def lines() -> AsyncIterator[str]:
        while True:
            yield "tick"
            await asyncio.sleep(0)

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        return StreamingResponse(lines())

    await client.send(client.build_request("GET", "/endless"), stream=True)

async def test_the_next(client: AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
"""


def test_what_a_client_of_a_server_does(sample: Sample) -> None:
    shutil.copy(CASES, sample.folder / "tests" / "test_cases.py")

    outcome = sample.pytest("-p", "no:randomly")

    assert "25 passed in" in outcome.output, outcome.output


def test_a_stream_that_nobody_closes_is_reported(sample: Sample) -> None:
    sample.write("tests/test_a.py", UNCLOSED)

    outcome = sample.pytest("-p", "no:randomly")

    assert "1 failed, 1 passed" in outcome.output, outcome.output
    assert "guard tasks: the test has ended, and task request (" in outcome.output
