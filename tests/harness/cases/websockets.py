"""WebSockets by httpx-ws on the clients of a test; all of it has to pass."""

import asyncio
from typing import Any

import pytest
from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect, WebSocketException
from fastapi.responses import PlainTextResponse
from httpx import AsyncClient
from httpx_ws import WebSocketDisconnect as Closed
from httpx_ws import WebSocketUpgradeError, aconnect_ws
from httpx_ws.transport import ASGIWebSocketTransport
from sample.deps import Db
from sample.models import User
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.harness import NewClient

SEEN: list[str] = []
OWN = pytest.mark.own_database
BOTH = pytest.mark.parametrize("mode", ["savepoint", pytest.param("own", marks=OWN)])


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


@pytest.fixture(scope="module", autouse=True)
def routes(app: FastAPI) -> None:
    @app.websocket("/users-there-are")
    async def users_there_are(socket: WebSocket, db: Db) -> None:
        await socket.accept()
        await socket.send_json({"users": await db.scalar(select(func.count()).select_from(User))})
        await socket.close()

    @app.websocket("/adds")
    async def adds(socket: WebSocket) -> None:
        await socket.accept()
        async for email in socket.iter_text():
            async with socket.state.session_factory() as session:
                session.add(User(email=email))
                await session.commit()
            await socket.send_text(email)
        SEEN.append("done")

    # As FastAPI's documentation has it: the end of the client is an exception that is not caught.
    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept(subprotocol=(socket.scope["subprotocols"] or [None])[0], headers=[(b"x-shop", b"ours")])
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                SEEN.append(f"left with {message['code']}")
                raise WebSocketDisconnect(message["code"])
            if message.get("text") is not None:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])

    @app.websocket("/closes")
    async def closes(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(4000, "enough")

    @app.websocket("/returns")
    async def returns(socket: WebSocket) -> None:
        await socket.accept()

    @app.websocket("/breaks")
    async def breaks(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        raise LookupError("of the application")

    async def nobody_may() -> None:
        raise WebSocketException(1008)

    @app.websocket("/refuses")
    async def refuses(socket: WebSocket, nobody: None = Depends(nobody_may)) -> None:
        pass

    @app.websocket("/answers-instead")
    async def answers_instead(socket: WebSocket) -> None:
        await socket.send_denial_response(PlainTextResponse("not now", 429))

    # It neither listens nor sends while nothing happens, as those that pass on what others publish.
    @app.websocket("/publishes")
    async def publishes(socket: WebSocket) -> None:
        await socket.accept()
        try:
            await asyncio.Event().wait()
        finally:
            SEEN.append("ended")


@BOTH
async def test_a_route_with_db(client: AsyncClient, db_session: AsyncSession, mode: str) -> None:
    db_session.add(User(email="ada@example.com"))
    await db_session.commit()

    async with aconnect_ws("/users-there-are", client) as socket:
        assert await socket.receive_json() == {"users": 1}


@BOTH
async def test_what_it_writes_is_there(new_client: NewClient, db_session: AsyncSession, mode: str) -> None:
    client = await new_client(headers={"X-Who": "ada"})

    async with aconnect_ws("/adds", client) as socket:
        for email in ("ada@example.com", "grace@example.com"):
            await socket.send_text(email)
            assert await socket.receive_text() == email

    assert SEEN == ["done"]
    assert await db_session.scalar(select(func.count()).select_from(User)) == 2


async def test_what_it_wrote_is_gone(client: AsyncClient) -> None:
    async with aconnect_ws("/users-there-are", client) as socket:
        assert await socket.receive_json() == {"users": 0}


async def test_messages_of_both_kinds_and_a_subprotocol(client: AsyncClient) -> None:
    async with aconnect_ws("/echo", client, subprotocols=["chat", "other"]) as socket:
        assert socket.subprotocol == "chat"
        assert socket.response is not None
        assert socket.response.headers["x-shop"] == "ours"
        await socket.send_text("é" * 100_000)
        assert await socket.receive_text() == "é" * 100_000
        await socket.send_bytes(b"\0\1")
        assert await socket.receive_bytes() == b"\0\1"
        pong = await socket.ping()
        await pong.wait()
    assert SEEN == ["left with 1000"]


async def test_two_at_once_that_nest(client: AsyncClient) -> None:
    async with aconnect_ws("/echo", client) as one, aconnect_ws("/echo", client) as two:
        await one.send_text("one")
        await two.send_text("two")
        assert (await two.receive_text(), await one.receive_text()) == ("two", "one")
        assert (await client.get("/health")).status_code == 200


async def test_one_that_the_application_closes(client: AsyncClient) -> None:
    async with aconnect_ws("/closes", client) as socket:
        with pytest.raises(Closed) as closed:
            await socket.receive_text()
    assert (closed.value.code, closed.value.reason) == (4000, "enough")


async def test_one_that_the_application_leaves(client: AsyncClient) -> None:
    async with aconnect_ws("/returns", client) as socket:
        with pytest.raises(Closed) as closed:
            await socket.receive_text()
    assert closed.value.code == 1000


async def test_an_error_of_the_application_reaches_the_test(client: AsyncClient) -> None:
    with pytest.raises(LookupError, match="of the application"):
        async with aconnect_ws("/breaks", client) as socket:
            await socket.send_text("hello")
            await socket.receive_text()


async def test_an_error_of_the_application_as_a_client_sees_it(new_client: NewClient) -> None:
    client = await new_client(raise_app_exceptions=False)
    async with aconnect_ws("/breaks", client) as socket:
        await socket.send_text("hello")
        with pytest.raises(Closed) as closed:
            await socket.receive_text()
    assert closed.value.code == 1011


@pytest.mark.parametrize(("path", "status"), [("/refuses", 403), ("/answers-instead", 429), ("/nowhere", 403)])
async def test_one_that_is_refused(client: AsyncClient, path: str, status: int) -> None:
    with pytest.raises(WebSocketUpgradeError) as refused:
        async with aconnect_ws(path, client):
            pass
    assert refused.value.response.status_code == status


async def test_one_that_does_not_notice_its_end_is_cancelled(client: AsyncClient) -> None:
    async with aconnect_ws("/publishes", client):
        pass
    assert SEEN == ["ended"]


async def test_one_in_a_test_that_fails(client: AsyncClient) -> None:
    with pytest.RaisesGroup(ZeroDivisionError):
        async with aconnect_ws("/echo", client):
            raise ZeroDivisionError
    assert SEEN == ["left with 1000"]


async def test_httpx_ws_by_its_own_transport(with_state: Any) -> None:
    transport = ASGIWebSocketTransport(with_state)
    async with (
        AsyncClient(transport=transport, base_url="http://test") as client,
        aconnect_ws("/users-there-are", client) as socket,
    ):
        assert await socket.receive_json() == {"users": 0}
