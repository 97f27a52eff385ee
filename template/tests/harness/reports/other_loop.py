"""The explanation of an engine that was used on two event loops: its name, the line, and what to write instead.

A connection, a lock or a client belongs to the loop on which it was created. `asyncio.run` creates a new loop; the
tests and the lifespan have another.
"""

import asyncio
import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from ..core.exception_chain import chain, frames
from ..core.source_lines import is_of_project, places

# Messages of asyncio; the second is of a lock or a queue.
OTHER_LOOP = re.compile(r"attached to a different loop|bound to a different event loop|^Event loop is closed$")
RUNS = {run.__code__: f"{run.__module__.partition('.')[0]}.run()" for run in (asyncio.run, anyio.run)}


def explanation_of_other_loop(error: BaseException, root: Path) -> str | None:
    """The explanation; None if the loop is not the cause of the error."""
    for found in chain(error):
        if isinstance(found, RuntimeError) and OTHER_LOOP.search(str(found)):
            return _explanation(found, root)
    return None


def _explanation(error: RuntimeError, root: Path) -> str:
    stack = frames(error)
    run = next((frame for frame in stack if frame.f_code in RUNS), None)
    if run is None:
        loops, call = "on the event loop of the tests, but belongs to the event loop of asyncio.run()", "command()"
    else:
        loops = f"on the event loop of {RUNS[run.f_code]}, but belongs to another event loop"
        main = run.f_locals.get("main", run.f_locals.get("func"))
        call = f"{getattr(main, '__name__', 'command')}()"
    return "\n".join(
        [
            f"{_engine(stack, root)} was used {loops}.",
            *(f"  {place}" for place in places(error, root)[-1:]),
            f"In an async test, write `await {call}` instead of `asyncio.run({call})`. If the application calls "
            "asyncio.run(): mark the test with @pytest.mark.own_database, create the engine inside of the coroutine, "
            "and end the coroutine with `await engine.dispose()`.",
        ]
    )


def _engine(stack: list[FrameType], root: Path) -> str:
    """The engine in the frames, by its variable in the project, if there is one."""
    for frame in stack:
        used = frame.f_locals.get("self")
        engine = used.engine if isinstance(used, Connection) else used
        if isinstance(engine, Engine):
            return _name(engine, root) or f"an engine ({engine.dialect.name}+{engine.dialect.driver})"
    return "a connection, a lock or a client"


def _name(engine: Engine, root: Path) -> str | None:
    for name, module in list(sys.modules.items()):
        if is_of_project(Path(getattr(module, "__file__", None) or "/"), root):
            for variable, value in list(vars(module).items()):
                if _engine_of(value) is engine:
                    return f"{name}.{variable}"
    return None


def _engine_of(value: Any) -> Engine | None:
    if isinstance(value, async_sessionmaker):
        value = value.kw.get("bind")
    return value.sync_engine if isinstance(value, AsyncEngine) else None
