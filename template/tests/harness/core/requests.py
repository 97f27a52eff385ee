"""The request that the application is handling; None in code of the test itself.

Each request is handled in a separate task and context, as on a server: a context variable that a route or a middleware
sets is reset when the request ends. Code that handles a request, and the tasks that it starts, find the request in a
context variable.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass
class Select:
    """How often one SELECT was sent in a request.

    Attributes:
        count: without those that had been sent with the same parameters in an earlier transaction.
        transactions: by the hash of the parameters, the number of the transaction that first sent them.
    """

    count: int = 0
    transactions: dict[int, int] = field(default_factory=dict)


@dataclass(eq=False)
class Request:
    """A request of a test's client: HTTP, or a WebSocket from connect to close.

    Attributes:
        scope: the ASGI scope.
        sender: the task or thread that sent the request and waits for the response.
        task: the task that handles the request; None after its end.
        status: the status of the response; None before the response starts.
        selects: the SELECTs that were sent, by SQL.
        transactions: how many transactions have ended.
        uncommitted: the models that were written in sessions that were closed without a commit.
        request_body: the part of the body that the application has read.
        response_body: the body of the response.
    """

    scope: Any
    sender: asyncio.Task[Any] | threading.Thread | None = None
    task: asyncio.Task[None] | None = None
    status: int | None = None
    selects: dict[str, Select] = field(default_factory=dict)
    transactions: int = 0
    uncommitted: set[str] = field(default_factory=set)
    request_body: bytearray = field(default_factory=bytearray)
    response_body: bytearray = field(default_factory=bytearray)

    def __str__(self) -> str:
        # The route, not the path: a path may contain a secret.
        return f"{self.scope.get('method', 'WebSocket')} {getattr(self.scope.get('route'), 'path', '')}".strip()


REQUEST: ContextVar[Request | None] = ContextVar("savepoint_request", default=None)

# The sender of a request of TestClient, in whose context the application handles the request.
SENDER: ContextVar[asyncio.Task[Any] | threading.Thread | None] = ContextVar("savepoint_sender", default=None)

# Requests that have not ended, in the order of their start.
ACTIVE_REQUESTS: dict[Request, None] = {}

# Callbacks for the start of a response and for the end of a request. Modules add their own.
ON_RESPONSE_START: list[Callable[[Request], None]] = []
ON_REQUEST_END: list[Callable[[Request], None]] = []


def acting_task() -> asyncio.Task[Any] | threading.Thread | None:
    """The current task; in the task of a request, the task that sent the request."""
    request, task = REQUEST.get(), asyncio.current_task()
    return request.sender if request is not None and request.task is task else task


def start(app: App, scope: Any, receive: Any, send: Any) -> asyncio.Task[None]:
    """Let the application handle a request in a new task; its result is that of the application."""
    request = Request(scope, acting_task())
    context = copy_context()
    context.run(REQUEST.set, request)
    request.task = asyncio.create_task(_handle(app, request, receive, send), context=context, name="request")
    ACTIVE_REQUESTS[request] = None
    request.task.add_done_callback(partial(_end, request))
    return request.task


def _end(request: Request, task: asyncio.Task[None]) -> None:
    del ACTIVE_REQUESTS[request]
    # Break a reference cycle: the task's context refers to the request.
    request.task = None


async def handle(app: App, scope: Any, receive: Any, send: Any) -> None:
    """Handle a request in the current task, which handles no other."""
    request = Request(scope, SENDER.get(), asyncio.current_task())
    if request.task is not None:
        request.task.set_name("request")
    REQUEST.set(request)
    ACTIVE_REQUESTS[request] = None
    try:
        await _handle(app, request, receive, send)
    finally:
        del ACTIVE_REQUESTS[request]
        request.task = None


async def _handle(app: App, request: Request, receive: Any, send: Any) -> None:
    async def receive_and_record() -> Any:
        message = await receive()
        request.request_body += _content(message)
        return message

    async def send_and_record(message: Any) -> None:
        request.response_body += _content(message)
        if message["type"] == "http.response.start":
            request.status = message["status"]
            for callback in ON_RESPONSE_START:
                callback(request)
        await send(message)

    try:
        await app(request.scope, receive_and_record, send_and_record)
    finally:
        for callback in ON_REQUEST_END:
            callback(request)


def _content(message: Any) -> bytes:
    content: bytes = message.get("body") or message.get("bytes") or (message.get("text") or "").encode()
    return content
