"""A request and its response, between the client and the application.

The client gets the response when it starts, and each chunk when it is sent. The stream ends when the application has
finished the request, including background tasks.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol

from ..core.http_clients import httpx

# As in uvicorn, the application waits when this many bytes are buffered for the client.
HIGH_WATER = 65_536
# Seconds that the application has to react to the disconnect of its client; then it is cancelled. A server cancels it
# only at its own shutdown.
GRACE = 1.0


class Application(Protocol):
    """An ASGI application that handles each request in a new task."""

    def start(self, scope: Any, receive: Any, send: Any) -> asyncio.Task[None]: ...

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Exchange(httpx.AsyncByteStream):
    """A request and its response; iteration yields the chunks of the response.

    Args:
        request: the request of the client.
        raises: whether unhandled exceptions of the application are raised in the client.
    """

    def __init__(self, request: httpx.Request, raises: bool) -> None:
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.extensions: dict[str, Any] = {}
        self._request = request
        self._raises = raises
        self._body = aiter(request.stream)  # type: ignore[arg-type]  # an AsyncClient's stream is asynchronous
        self._is_sent, self._is_reported = False, False
        self._chunks: deque[bytes] = deque()
        self._unread = 0
        # The client waits for progress of the application; the application for room in the buffer and for the end.
        self._progress, self._room, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @property
    def is_complete(self) -> bool:
        """Whether the application may return."""
        return self._over.is_set()

    async def begin(self, app: Application, scope: dict[str, Any]) -> httpx.Response:
        """Let the application handle the request; returns when the response has started or is complete."""
        self._task = app.start(scope, self.receive, self.send)
        self._task.add_done_callback(lambda _: self._progress.set())
        # A response that is complete already is returned after the application has finished.
        while not self._task.done() and (self.status is None or self._over.is_set()):
            await self._passing_on_cancellation(self.progress())
        if self._task.done():
            self._end()
        # The application failed without a response, and the error must not be raised.
        status = 500 if self.status is None else self.status
        return httpx.Response(status, headers=self.headers, stream=self, extensions=self.extensions)

    async def receive(self) -> dict[str, Any]:
        """ASGI's `receive`."""
        if self._is_sent:
            await self._over.wait()
            return {"type": "http.disconnect"}
        try:
            return {"type": "http.request", "body": await anext(self._body), "more_body": True}
        except StopAsyncIteration:
            self._is_sent = True
            return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        """ASGI's `send`; as on a server, messages to a disconnected client are dropped without an error."""
        # A WebSocket may be refused with an HTTP response.
        kind = message["type"].removeprefix("websocket.")
        if kind == "http.response.start":
            self.status, self.headers = message["status"], message.get("headers", [])
        elif kind == "http.response.body":
            if self._request.method != "HEAD":
                self.put(message.get("body", b""))
            if not message.get("more_body", False):
                self._over.set()
        await self.flush()

    async def flush(self) -> None:
        """Notify the client, and wait while the buffer is full."""
        self._progress.set()
        while self._unread >= HIGH_WATER and not self._over.is_set():
            self._room.clear()
            await self._room.wait()
        if self._unread >= HIGH_WATER:
            # The client has disconnected. An application that sends in a loop must yield, so that it can be cancelled.
            self._unread = 0
            await asyncio.sleep(0)

    def put(self, chunk: bytes) -> None:
        """Buffer bytes for the client; they are dropped if it has disconnected."""
        self._unread += len(chunk)
        if not self._over.is_set():
            self._chunks.append(chunk)

    def take(self) -> bytes | None:
        """The next bytes for the client; None if the buffer is empty."""
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        self._unread -= len(chunk)
        self._room.set()
        return chunk

    async def progress(self) -> None:
        """Wait until the application sends a message or ends."""
        self._progress.clear()
        await self._progress.wait()

    def __aiter__(self) -> "Exchange":
        return self

    async def __anext__(self) -> bytes:
        while (chunk := self.take()) is None:
            if self._task.done():
                self._end()
                raise StopAsyncIteration
            await self._passing_on_cancellation(self.progress())
        return chunk

    async def aclose(self) -> None:
        """The client has read the response, or disconnects."""
        self._over.set()
        self._room.set()
        if not self._task.done():
            await self._passing_on_cancellation(asyncio.wait({self._task}, timeout=GRACE))
        if self._task.done():
            self._end()
        else:
            await self._cancel()

    def _end(self) -> None:
        """Raise the error of the application, once."""
        if self._is_reported:
            return
        self._is_reported = True
        try:
            self._task.result()
            if not self.is_complete:
                raise RuntimeError("the application returned before its response was complete")
        except Exception:
            if self._raises:
                raise

    async def _passing_on_cancellation(self, waiting: Coroutine[Any, Any, object]) -> None:
        try:
            await waiting
        except asyncio.CancelledError:
            await self._cancel()
            raise

    async def _cancel(self) -> None:
        self._task.cancel()
        while not self._task.done():
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                self._task.cancel()
        if self._task.cancelled():
            self._is_reported = True
        self._end()
