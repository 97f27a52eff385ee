"""Which request the application is handling: what it does for one can be told from what the test does itself.

Each request is handled in a task and a context of its own, as on a server: a context variable that a route or a
middleware sets is gone when the request is over. Code that handles a request finds it in a context variable, and so do
the tasks that this code starts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(eq=False)
class Request:
    """One request of a test's client: HTTP, or a WebSocket from its connection to its end.

    Attributes:
        scope: as ASGI says it.
        sender: the task that has sent it, and that waits for the answer.
        task: the task that handles it, until it is over.
        status: what it was answered with, from the moment on when the answer begins.
        sent: how often each statement was sent for it, by its SQL.
        lost: what sessions of it had written, and were closed without a commit.
        body: what was sent with it, as far as the application has read it.
        answer: the body of the answer.
    """

    scope: Any
    sender: asyncio.Task[Any] | None = None
    task: asyncio.Task[None] | None = None
    status: int | None = None
    sent: dict[str, int] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    body: bytearray = field(default_factory=bytearray)
    answer: bytearray = field(default_factory=bytearray)

    def __str__(self) -> str:
        # The route, not the path: a path may hold a secret.
        return f"{self.scope.get('method', 'WebSocket')} {getattr(self.scope.get('route'), 'path', '')}".strip()


REQUEST: ContextVar[Request | None] = ContextVar("savepoint_request", default=None)

# The requests that are not over yet, in their order.
UNDER_WAY: dict[Request, None] = {}

# What is called when an answer begins, and when a request is over. The module that needs it adds itself.
AT_ANSWER: list[Callable[[Request], None]] = []
AT_END: list[Callable[[Request], None]] = []


def acting_task() -> asyncio.Task[Any] | None:
    """The task for which the current one acts: a request's own task does for its sender what a call would do."""
    request, task = REQUEST.get(), asyncio.current_task()
    return request.sender if request is not None and request.task is task else task


def start(app: App, scope: Any, receive: Any, send: Any) -> asyncio.Task[None]:
    """Let the application handle a request; the task ends as the application does."""
    request = Request(scope, acting_task())
    context = copy_context()
    context.run(REQUEST.set, request)
    request.task = asyncio.create_task(_handle(app, request, receive, send), context=context, name="request")
    UNDER_WAY[request] = None
    request.task.add_done_callback(partial(_end, request))
    return request.task


def _end(request: Request, task: asyncio.Task[None]) -> None:
    del UNDER_WAY[request]
    # A cycle: the task's context knows the request.
    request.task = None


async def _handle(app: App, request: Request, receive: Any, send: Any) -> None:
    async def receive_on() -> Any:
        message = await receive()
        request.body += _content(message)
        return message

    async def send_on(message: Any) -> None:
        request.answer += _content(message)
        if message["type"] == "http.response.start":
            request.status = message["status"]
            for look in AT_ANSWER:
                look(request)
        await send(message)

    try:
        await app(request.scope, receive_on, send_on)
    finally:
        for look in AT_END:
            look(request)


def _content(message: Any) -> bytes:
    content: bytes = message.get("body") or message.get("bytes") or (message.get("text") or "").encode()
    return content
