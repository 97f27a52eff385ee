"""WebSockets of the application, for `aconnect_ws("/ws", client)` of httpx-ws, which uses a stream of bytes.

This is the server's end of the stream. As in uvicorn, a refused connection gets a 403 response; when the application
returns, the connection is closed with code 1000, or with 1011 after an exception. The exception is raised in the test
at the end of the block.
"""

import asyncio
from importlib import import_module
from typing import Any

from starlette.websockets import WebSocketDisconnect

from ..core.http_clients import httpx
from .exchange import Exchange


def scope_of(scope: dict[str, Any], request: httpx.Request) -> dict[str, Any]:
    """The scope of a WebSocket, from the scope of its HTTP request."""
    offered = request.headers.get("sec-websocket-protocol", "")
    scope = {name: value for name, value in scope.items() if name != "method"}
    return scope | {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "scheme": {"http": "ws", "https": "wss"}.get(request.url.scheme, request.url.scheme),
        "subprotocols": [name.strip() for name in offered.split(",") if name.strip()],
        "extensions": {"websocket.http.response": {}},
    }


class Socket(Exchange):
    """A WebSocket, from its HTTP request to the end of the block."""

    def __init__(self, request: httpx.Request, raises: bool) -> None:
        super().__init__(request, raises)
        # A dependency of httpx-ws. Not an import statement, which mypy would reject where it is not installed.
        self._events = import_module("wsproto.events")
        connection = import_module("wsproto.connection")
        self._connection = connection.Connection(connection.ConnectionType.SERVER)
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})
        self._parts: list[Any] = []
        self._is_closed, self._has_gone = False, False
        self.extensions = {"network_stream": Stream(self)}

    @property
    def is_complete(self) -> bool:
        return self.status is not None

    async def receive(self) -> dict[str, Any]:
        return await self._inbox.get()

    async def send(self, message: Any) -> None:
        kind = message["type"]
        if self._has_gone or (self._is_closed and kind != "websocket.close"):
            # As in uvicorn: Starlette turns it into a disconnect.
            raise OSError("the WebSocket is closed")
        if kind == "websocket.accept":
            self.status, self.headers = 101, list(message.get("headers") or [])
            if subprotocol := message.get("subprotocol"):
                self.headers.append((b"sec-websocket-protocol", subprotocol.encode()))
            await self.flush()
        elif kind == "websocket.send":
            data = message.get("text") if message.get("bytes") is None else message["bytes"]
            self.put(self._connection.send(self._events.Message(data=data)))
            await self.flush()
        elif kind == "websocket.close" and self.status is None:
            self.status = 403
            self._over.set()
            self.leave(1006)
            await self.flush()
        elif kind == "websocket.close":
            self.close(message.get("code") or 1000, message.get("reason"))
            await self.flush()
        else:
            await super().send(message)

    def close(self, code: int, reason: str | None = None) -> None:
        """Close the connection from the application's side, unless it is closed."""
        if not self._is_closed and not self._has_gone:
            self._is_closed = True
            self.put(self._connection.send(self._events.CloseConnection(code, reason)))
            self._inbox.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason or ""})

    def leave(self, code: int, reason: str | None = None) -> None:
        """Close the connection from the client's side."""
        if not self._has_gone:
            self._has_gone = True
            self._inbox.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason or ""})

    async def read(self) -> bytes:
        """The next frame for the client; the last frame closes the connection."""
        while (frame := self.take()) is None:
            if self._task.done():
                failed = not self._task.cancelled() and self._task.exception() is not None
                self.close(1011 if failed else 1000)
                return self.take() or b""
            await self.progress()
        return frame

    def write(self, data: bytes) -> None:
        """Handle frames of the client."""
        events = self._events
        self._connection.receive_data(data)
        for event in self._connection.events():
            if isinstance(event, events.Ping):
                self.put(self._connection.send(event.response()))
                self._progress.set()
            elif isinstance(event, events.CloseConnection):
                self.leave(event.code, event.reason)
            elif isinstance(event, events.Message):
                self._parts.append(event.data)
                if event.message_finished:
                    whole = type(event.data)().join(self._parts)
                    self._parts.clear()
                    kind = "text" if isinstance(whole, str) else "bytes"
                    self._inbox.put_nowait({"type": "websocket.receive", kind: whole})

    async def aclose(self) -> None:
        self.leave(1006)
        await super().aclose()

    def _end(self) -> None:
        try:
            super()._end()
        except WebSocketDisconnect:
            # `receive` raises it after the client's disconnect; servers ignore it.
            if not self._has_gone and not self._is_closed:
                raise


class Stream:
    """A network stream of httpx, with the methods that httpx-ws uses."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def read(self, max_bytes: int) -> bytes:
        return await self._socket.read()

    async def write(self, buffer: bytes) -> None:
        self._socket.write(buffer)

    async def aclose(self) -> None:
        self._socket.leave(1006)
