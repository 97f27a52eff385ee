"""What a test's client does as a client of a server would; all of it has to pass."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from httpx import AsyncClient
from sample.models import User
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint

from tests.harness import NewClient

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")
SEEN: list[str] = []
GO_ON = asyncio.Event()


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()
    GO_ON.clear()


def stream(lines: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(lines, media_type="text/event-stream")


@pytest.fixture(scope="module", autouse=True)
def routes(app: FastAPI) -> None:
    @app.get("/sets")
    async def sets() -> str:
        before = TENANT.get()
        TENANT.set("acme")
        return before

    @app.get("/sets-and-raises")
    async def sets_and_raises() -> None:
        TENANT.set("acme")
        raise LookupError("of the application")

    @app.get("/waits")
    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            SEEN.append("cancelled")
            raise

    @app.get("/fails")
    async def fails() -> None:
        pytest.fail("an assertion of a stub")

    @app.get("/task")
    async def task() -> str:
        return str(id(asyncio.current_task()))

    @app.post("/background", status_code=202)
    async def background(tasks: BackgroundTasks) -> None:
        async def work() -> None:
            await asyncio.sleep(0)
            SEEN.append("worked")

        tasks.add_task(work)

    @app.get("/two-chunks")
    async def two_chunks() -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            yield "one\n"
            await GO_ON.wait()
            SEEN.append("went on")
            yield "two\n"

        return stream(lines())

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            try:
                while True:
                    yield "tick\n"
                    await asyncio.sleep(0)
            finally:
                SEEN.append("ended")

        return stream(lines())

    @app.get("/without-a-pause")
    async def without_a_pause() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            while True:
                SEEN.append("chunk")
                yield bytes(10_000)

        return StreamingResponse(chunks())

    @app.get("/breaks")
    async def breaks() -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            yield "one\n"
            await asyncio.sleep(0)
            raise LookupError("in the middle")

        return stream(lines())

    @app.get("/large")
    async def large() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(100):
                yield bytes([number]) * 10_000

        return StreamingResponse(chunks())

    async def deaf(scope: object, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await asyncio.Event().wait()
        finally:
            SEEN.append("ended")

    app.mount("/deaf", deaf)

    async def listening(scope: object, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass
        SEEN.append("noticed")

    app.mount("/listening", listening)

    async def silent(scope: object, receive: Any, send: Any) -> None:
        pass

    app.mount("/silent", silent)


async def test_a_context_variable_is_gone_with_its_request(client: AsyncClient) -> None:
    assert (await client.get("/sets")).json() == "nobody"
    with pytest.raises(LookupError):
        await client.get("/sets-and-raises")
    assert (await client.get("/sets")).json() == "nobody"


async def test_a_context_variable_is_gone_with_its_test(client: AsyncClient) -> None:
    assert (await client.get("/sets")).json() == "nobody"


async def test_a_request_has_the_context_of_its_test(client: AsyncClient) -> None:
    before = TENANT.set("of the test")
    assert (await client.get("/sets")).json() == "of the test"
    TENANT.reset(before)


async def test_a_client_made_by_hand_has_it_too(with_state: Any) -> None:
    transport = httpx.ASGITransport(with_state)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/sets")).json() == "nobody"
        assert (await client.get("/sets")).json() == "nobody"


async def test_each_request_is_a_task(client: AsyncClient) -> None:
    assert (await client.get("/task")).json() != str(id(asyncio.current_task()))


async def test_a_request_that_is_cancelled(client: AsyncClient) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.get("/waits")
    assert SEEN == ["cancelled"]


async def test_a_request_in_a_cancel_scope_of_anyio(client: AsyncClient) -> None:
    with anyio.move_on_after(0.05) as scope:
        await client.get("/waits")
    assert scope.cancelled_caught
    assert SEEN == ["cancelled"]


async def test_a_request_in_a_task_that_is_cancelled(client: AsyncClient) -> None:
    task = asyncio.create_task(client.get("/waits"))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert SEEN == ["cancelled"]


async def test_a_failure_inside_of_the_application(client: AsyncClient) -> None:
    with pytest.raises(pytest.fail.Exception, match="of a stub"):
        await client.get("/fails")


async def test_an_application_that_does_not_answer(client: AsyncClient, new_client: NewClient) -> None:
    with pytest.raises(RuntimeError, match="before its response was complete"):
        await client.get("/silent/")
    assert (await (await new_client(raise_app_exceptions=False)).get("/silent/")).status_code == 500


async def test_background_tasks_are_done(client: AsyncClient) -> None:
    assert (await client.post("/background")).status_code == 202
    assert SEEN == ["worked"]


async def test_background_tasks_of_an_answer_that_is_streamed_are_done(client: AsyncClient) -> None:
    async with client.stream("POST", "/background"):
        assert SEEN == ["worked"]


async def test_chunks_arrive_as_they_are_sent(client: AsyncClient) -> None:
    async with client.stream("GET", "/two-chunks") as response:
        lines = response.aiter_lines()
        assert await anext(lines) == "one"
        assert SEEN == []
        GO_ON.set()
        assert [line async for line in lines] == ["two"]


async def test_a_request_beside_a_stream(client: AsyncClient, db_session: AsyncSession) -> None:
    async with client.stream("GET", "/two-chunks") as response:
        lines = response.aiter_lines()
        assert await anext(lines) == "one"
        assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
        GO_ON.set()
        assert await anext(lines) == "two"
    assert await db_session.scalar(select(func.count()).select_from(User)) == 1


async def test_an_endless_answer_ends_with_its_block(client: AsyncClient) -> None:
    async with client.stream("GET", "/endless") as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            assert line == "tick"
            break
    assert SEEN == ["ended"]


async def test_an_endless_answer_that_is_not_read(client: AsyncClient) -> None:
    async with client.stream("GET", "/endless") as response:
        assert response.status_code == 200
    assert SEEN == ["ended"]


async def test_an_answer_of_which_the_test_fails(client: AsyncClient) -> None:
    with pytest.raises(ZeroDivisionError):
        async with client.stream("GET", "/endless"):
            raise ZeroDivisionError
    assert SEEN == ["ended"]


async def test_an_endless_answer_that_is_fetched_with_a_timeout(client: AsyncClient) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.get("/endless")
    assert SEEN == ["ended"]


async def test_an_application_does_not_run_ahead_of_its_client(client: AsyncClient) -> None:
    async with client.stream("GET", "/without-a-pause") as response:
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(SEEN) == 7
        chunks = response.aiter_bytes()
        for _ in range(10):
            await anext(chunks)
        assert len(SEEN) > 7


async def test_an_application_that_listens_for_the_end_of_its_client(client: AsyncClient) -> None:
    async with client.stream("GET", "/listening/"):
        assert SEEN == []
    assert SEEN == ["noticed"]


async def test_an_application_that_does_not_notice_is_cancelled(client: AsyncClient) -> None:
    async with client.stream("GET", "/deaf/") as response:
        assert response.status_code == 200
    assert SEEN == ["ended"]


async def test_an_error_in_the_middle_of_an_answer(client: AsyncClient) -> None:
    with pytest.raises(LookupError, match="in the middle"):
        await client.get("/breaks")
    with pytest.raises(LookupError, match="in the middle"):
        async with client.stream("GET", "/breaks") as response:
            await response.aread()


async def test_an_error_in_the_middle_of_an_answer_that_is_not_raised(new_client: NewClient) -> None:
    client = await new_client(raise_app_exceptions=False)
    response = await client.get("/breaks")
    assert (response.status_code, response.text) == (200, "one\n")
    assert (await client.get("/sets-and-raises")).status_code == 500


async def test_a_large_answer(client: AsyncClient) -> None:
    assert len((await client.get("/large")).content) == 1_000_000
    assert (await client.head("/openapi.json")).content == b""


@pytest.fixture
def in_middleware(app: FastAPI) -> Iterator[None]:
    async def passes_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)

    own = app.middleware_stack
    assert own is not None
    app.middleware_stack = BaseHTTPMiddleware(own, passes_on)
    yield
    app.middleware_stack = own


async def test_an_endless_answer_behind_a_middleware(in_middleware: None, client: AsyncClient) -> None:
    async with client.stream("GET", "/endless") as response:
        assert await anext(response.aiter_lines()) == "tick"
    with pytest.raises(LookupError, match="of the application"):
        await client.get("/sets-and-raises")
