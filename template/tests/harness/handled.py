"""Which request the application is handling: what it does for one can be told from what the test does itself.

Code that handles a request finds it in a context variable, and so do the tasks that this code starts. The test has the
same event loop and the same task, and is outside of any.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(eq=False)
class Request:
    """One request of a test's client.

    Attributes:
        scope: as ASGI says it.
        status: what it was answered with, from the moment on when the answer begins.
        sent: how often each statement was sent for it, by its SQL.
        lost: what sessions of it had written, and were closed without a commit.
        body: what was sent with it, as far as the application has read it.
        answer: the body of the answer.
        caller: the task that waits for the answer.
    """

    scope: Any
    caller: asyncio.Task[Any] | None = None
    status: int | None = None
    sent: dict[str, int] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    body: bytearray = field(default_factory=bytearray)
    answer: bytearray = field(default_factory=bytearray)

    def __str__(self) -> str:
        # The route, not the path: a path may hold a secret.
        return f"{self.scope['method']} {getattr(self.scope.get('route'), 'path', '')}".strip()


REQUEST: ContextVar[Request | None] = ContextVar("savepoint_request", default=None)

# What is called when an answer begins, and when a request is over. The module that needs it adds itself.
AT_ANSWER: list[Callable[[Request], None]] = []
AT_END: list[Callable[[Request], None]] = []


async def handle(app: App, scope: Any, receive: Any, send: Any) -> None:
    """Let the application handle a request."""
    request = Request(scope, asyncio.current_task())

    async def receive_on() -> Any:
        message = await receive()
        request.body += message.get("body", b"")
        return message

    async def send_on(message: Any) -> None:
        request.answer += message.get("body", b"")
        if message["type"] == "http.response.start":
            request.status = message["status"]
            for look in AT_ANSWER:
                look(request)
        await send(message)

    before = REQUEST.set(request)
    try:
        await app(scope, receive_on, send_on)
    finally:
        REQUEST.reset(before)
        for look in AT_END:
            look(request)
