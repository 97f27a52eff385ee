"""The clients of a test behave as clients of a server: contexts, streams, disconnects."""

import shutil
from pathlib import Path

from tests.environment import UV
from tests.harness.sample import Sample

CASES = Path(__file__).with_name("cases")

IN_TESTCLIENT = """
import asyncio
import threading

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import AsyncClient

from tests.harness.connections.starlette_testclient import refusal

@pytest.fixture(scope="module")
def routes(app: FastAPI) -> None:
    @app.get("/async")
    async def by_the_loop() -> str | None:
        return refusal()

    @app.get("/task")
    async def by_a_task() -> str | None:
        return await asyncio.create_task(by_the_loop())

    @app.get("/sync")
    def by_a_thread() -> str | None:
        return refusal()

PATHS = pytest.mark.parametrize("path", ["/async", "/task", "/sync"])

@PATHS
def test_in_testclient(routes: None, app: FastAPI, path: str) -> None:
    assert "`client`" in TestClient(app).get(path).json()

@PATHS
async def test_in_testclient_in_an_async_test(routes: None, app: FastAPI, path: str) -> None:
    assert "`client`" in TestClient(app).get(path).json()

@PATHS
async def test_by_the_client(routes: None, client: AsyncClient, path: str) -> None:
    assert (await client.get(path)).json() is None

async def test_in_a_thread() -> None:
    assert await asyncio.to_thread(refusal) is None
"""

AUDITED = """
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI
from httpx import AsyncClient
from sample.deps import Db
from sample.models import User
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

async def audit(db: Db) -> AsyncIterator[list[str]]:
    lines: list[str] = []
    yield lines
    db.add_all(User(email=line) for line in lines)

async def test_what_a_dependency_adds_at_its_end(client: AsyncClient, app: FastAPI, db_session: AsyncSession) -> None:
    @app.post("/audited")
    async def audited(lines: Annotated[list[str], Depends(audit, scope="function")]) -> None:
        lines.append("ada@example.com")

    assert (await client.post("/audited")).status_code == 200
    assert await db_session.scalar(select(User.email)) == "ada@example.com"
"""

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


def test_clients_behave_as_on_a_server(sample: Sample) -> None:
    shutil.copy(CASES / "clients.py", sample.folder / "tests" / "test_cases.py")

    outcome = sample.pytest("-p", "no:randomly")

    assert "25 passed in" in outcome.output, outcome.output


def test_an_unclosed_stream_is_reported(sample: Sample) -> None:
    sample.write("tests/test_a.py", UNCLOSED)

    outcome = sample.pytest("-p", "no:randomly")

    assert "1 failed, 1 passed" in outcome.output, outcome.output
    assert "guard leaked_task: task request (" in outcome.output


def test_websockets_with_httpx_ws(sample: Sample, tmp_path: Path) -> None:
    shutil.copy(CASES / "websockets.py", sample.folder / "tests" / "test_cases.py")
    with_httpx_ws = Sample(sample.folder, {**sample.env, "UV_PROJECT_ENVIRONMENT": str(tmp_path / "environment")})
    # The command of tests/README.md and of the message about TestClient.
    with_httpx_ws.check(UV, "add", "--group", "dev", "httpx-ws")

    outcome = with_httpx_ws.pytest("-p", "no:randomly")

    assert "17 passed in" in outcome.output, outcome.output


def test_testclient_is_detected(sample: Sample) -> None:
    sample.write("tests/test_a.py", IN_TESTCLIENT)

    outcome = sample.pytest()

    assert "10 passed" in outcome.output, outcome.output


def test_a_dependency_with_a_yield_that_uses_db(sample: Sample) -> None:
    sample.write("tests/test_a.py", AUDITED)

    outcome = sample.pytest()

    assert "1 passed" in outcome.output, outcome.output
