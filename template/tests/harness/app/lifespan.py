"""The application's lifespan, run once per worker through the ASGI protocol, as on a server.

The lifespan runs in a separate task. Entered in a fixture, an exception in a task group of the lifespan would cancel
AnyIO's runner, and every later test would fail.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from ..core.source_lines import places
from ..transaction.logical_connection import IN_LIFESPAN


class LifespanError(Exception):
    """The lifespan failed, or ended before its shutdown."""


@dataclass
class RunningApp:
    """The application, and the state that its lifespan yielded: `running_app.state["session_factory"]`."""

    app: FastAPI
    root: Path = field(repr=False)
    state: dict[str, Any] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = field(default=None, repr=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    async def start(self) -> None:
        """Run the lifespan up to its yield; raises `LifespanError` if it fails."""
        started = asyncio.Event()
        self._task = asyncio.create_task(self._run(started), name="lifespan")
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self.raise_if_dead()

    def raise_if_dead(self) -> None:
        """Raise `LifespanError`, with the place in the application, if the lifespan has ended early."""
        if self._task is None or not self._task.done() or self._stopping.is_set():
            return
        error = None if self._task.cancelled() else self._task.exception()
        raise LifespanError(f"The lifespan of the application '{self.app.title}' {_outcome(error, self.root)}")

    async def stop(self) -> None:
        """Run the lifespan from its yield to its end; raises `LifespanError` if it fails. An earlier end was reported
        already."""
        if self._task is None or self._task.done():
            return
        self._stopping.set()
        await asyncio.wait({self._task})
        if error := self._task.exception():
            raise LifespanError(f"On shutdown, the lifespan of '{self.app.title}' {_outcome(error, self.root)}")

    async def _run(self, started: asyncio.Event) -> None:
        is_startup = True
        IN_LIFESPAN.set(True)

        async def receive() -> dict[str, str]:
            nonlocal is_startup
            if is_startup:
                is_startup = False
                return {"type": "lifespan.startup"}
            await self._stopping.wait()
            return {"type": "lifespan.shutdown"}

        async def send(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                started.set()

        await self.app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}, receive, send)


def _outcome(error: BaseException | None, root: Path) -> str:
    if error is None:
        return "ended before its shutdown."
    return "\n".join(_prefixed("failed with", _describe(error, root)))


def _describe(error: BaseException, root: Path) -> list[str]:
    """The error and its places; an error that it hides, e.g. by an exception in `finally`, comes first."""
    if isinstance(error, BaseExceptionGroup):
        # The members of a group name the errors; its own message does not.
        first, *others = (_describe(part, root) for part in error.exceptions)
        lines = [*first, *(line for other in others for line in _prefixed("and with", other))]
    else:
        lines = [f"{type(error).__name__}: {error}", *places(error, root)]
    cause, hidden = error.__cause__, None if error.__suppress_context__ else error.__context__
    if cause is not None and _is_of(cause, root):
        return [*lines, *_prefixed("Caused by", _describe(cause, root))]
    if hidden is not None and _is_of(hidden, root):
        return [*_describe(hidden, root), *_prefixed("During handling or cleanup:", lines)]
    return lines


def _prefixed(words: str, lines: list[str]) -> list[str]:
    first, *others = lines
    return [f"{words} {first}", *others]


def _is_of(error: BaseException, root: Path) -> bool:
    """Whether the traceback of the error, or of a member of its group, has a frame in the project."""
    return any(_is_of(part, root) for part in getattr(error, "exceptions", ())) or bool(places(error, root))
