"""One request and its answer, between the client that waits for the answer and the application that sends it.

The answer is handed over when it begins, and its chunks as they are sent. Its last chunk is followed by the end of the
application's work on the request, background tasks included; so who reads to the end has waited for them.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol

import httpx

# As uvicorn does, let the application go on until so many bytes wait for the client, and no further.
HIGH_WATER = 65_536
# Seconds that the application has for noticing that its client has gone. A server leaves it running then, until it is
# itself stopped and cancels it.
GRACE = 1.0


class Application(Protocol):
    """What handles requests in tasks of their own."""

    def start(self, scope: Any, receive: Any, send: Any) -> asyncio.Task[None]: ...

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Exchange(httpx.AsyncByteStream):
    """One request and its answer, as the client and the application see it; the chunks of the answer are iterated.

    Args:
        request: what the client sends.
        raises: whether the client gets the exceptions that the application does not handle.
    """

    def __init__(self, request: httpx.Request, raises: bool) -> None:
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.extensions: dict[str, Any] = {}
        self._request = request
        self._raises = raises
        self._body = aiter(request.stream)  # type: ignore[arg-type]  # an AsyncClient's is one
        self._is_sent, self._is_told = False, False
        self._chunks: deque[bytes] = deque()
        self._unread = 0
        # The client waits for what the application does, and the application for room and for the end.
        self._progress, self._room, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @property
    def is_complete(self) -> bool:
        """Whether the application may return."""
        return self._over.is_set()

    async def begin(self, app: Application, scope: dict[str, Any]) -> httpx.Response:
        """Let the application handle the request; returns when the answer has begun, or is complete."""
        self._task = app.start(scope, self.receive, self.send)
        self._task.add_done_callback(lambda _: self._progress.set())
        # An answer that is sent at once is complete here, and then it is as good as a call.
        while not self._task.done() and (self.status is None or self._over.is_set()):
            await self._passing_on_cancellation(self.progress())
        if self._task.done():
            self._end()
        # Without an answer: of an error that is not to be raised.
        status = 500 if self.status is None else self.status
        return httpx.Response(status, headers=self.headers, stream=self, extensions=self.extensions)

    async def receive(self) -> dict[str, Any]:
        """What the application receives."""
        if self._is_sent:
            await self._over.wait()
            return {"type": "http.disconnect"}
        try:
            return {"type": "http.request", "body": await anext(self._body), "more_body": True}
        except StopAsyncIteration:
            self._is_sent = True
            return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        """What the application sends. To a client that has gone, nothing: as on a server, that is no error."""
        # A WebSocket that is refused with an answer of HTTP.
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
        """Let the client know, and wait for it if it is slow."""
        self._progress.set()
        while self._unread >= HIGH_WATER and not self._over.is_set():
            self._room.clear()
            await self._room.wait()
        if self._unread >= HIGH_WATER:
            # To nobody any more. What sends for ever, and never waits by itself, would keep the loop from ending it.
            self._unread = 0
            await asyncio.sleep(0)

    def put(self, chunk: bytes) -> None:
        """Send bytes to the client; they are lost if it has gone."""
        self._unread += len(chunk)
        if not self._over.is_set():
            self._chunks.append(chunk)

    def take(self) -> bytes | None:
        """The next bytes for the client, if there are any yet."""
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        self._unread -= len(chunk)
        self._room.set()
        return chunk

    async def progress(self) -> None:
        """Wait for the application to send something, or to end."""
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
        """The client has read everything, or goes."""
        self._over.set()
        self._room.set()
        if not self._task.done():
            await self._passing_on_cancellation(asyncio.wait({self._task}, timeout=GRACE))
        if self._task.done():
            self._end()
        else:
            await self._cancel()

    def _end(self) -> None:
        """Say how the application has ended, once."""
        if self._is_told:
            return
        self._is_told = True
        try:
            self._task.result()
            if not self.is_complete:
                raise RuntimeError("the application has returned before its answer was complete")
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
            self._is_told = True
        self._end()
