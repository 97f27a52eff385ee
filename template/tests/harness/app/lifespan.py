"""The application's lifespan, run once per worker through the ASGI protocol, as a server runs it.

It has a task of its own: entered in a fixture, one exception in a task group of the lifespan would cancel AnyIO's
runner, and every later test would fail with it.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from ..core.source_lines import places
from ..transaction.members import OF_LIFESPAN


class LifespanError(Exception):
    """The lifespan ended before it was asked to."""


@dataclass
class RunningApp:
    """The application, and the state that its lifespan yielded: `running_app.state["session_factory"]`."""

    app: FastAPI
    root: Path = field(repr=False)
    state: dict[str, Any] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = field(default=None, repr=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    async def start(self) -> None:
        """Run the lifespan up to its yield; raises `LifespanError` if it does not get there."""
        started = asyncio.Event()
        self._task = asyncio.create_task(self._run(started), name="lifespan")
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self.raise_if_dead()

    def raise_if_dead(self) -> None:
        """Raise `LifespanError`, with the place in the application where it did, if it has."""
        if self._task is None or not self._task.done() or self._stopping.is_set():
            return
        error = None if self._task.cancelled() else self._task.exception()
        raise LifespanError(f"the lifespan of the application '{self.app.title}' {_end_of(error, self.root)}")

    async def stop(self) -> None:
        """Run the lifespan from its yield to its end; raises `LifespanError` if it fails on the way. One that has died
        already has been reported."""
        if self._task is None or self._task.done():
            return
        self._stopping.set()
        await asyncio.wait({self._task})
        if error := self._task.exception():
            raise LifespanError(f"at its end, the lifespan of '{self.app.title}' {_end_of(error, self.root)}")

    async def _run(self, started: asyncio.Event) -> None:
        is_startup = True
        OF_LIFESPAN.set(True)

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


def _end_of(error: BaseException | None, root: Path) -> str:
    if error is None:
        return "ended, though nobody had asked it to."
    return "\n".join(_after("died of", _told(error, root)))


def _told(error: BaseException, root: Path) -> list[str]:
    """The error and its places, after the one that it hides: what a `finally` raises, say, while another goes up."""
    if isinstance(error, BaseExceptionGroup):
        # Of a task group: its children say what went wrong.
        first, *others = (_told(part, root) for part in error.exceptions)
        told = [*first, *(line for other in others for line in _after("and of", other))]
    else:
        told = [f"{type(error).__name__}: {error}", *places(error, root)]
    cause, hidden = error.__cause__, None if error.__suppress_context__ else error.__context__
    if cause is not None and _is_of(cause, root):
        return [*told, *_after("It came from", _told(cause, root))]
    if hidden is not None and _is_of(hidden, root):
        return [*_told(hidden, root), *_after("While that was cleaned up or handled:", told)]
    return told


def _after(words: str, told: list[str]) -> list[str]:
    first, *others = told
    return [f"{words} {first}", *others]


def _is_of(error: BaseException, root: Path) -> bool:
    """Whether it, or a part of it, went through the project, and is not a library's own affair."""
    return any(_is_of(part, root) for part in getattr(error, "exceptions", ())) or bool(places(error, root))
