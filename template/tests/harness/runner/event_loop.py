"""One event loop for the whole run: fixtures of every scope, tests and the application.

AnyIO's plugin owns the loop and closes it when no async fixture or test uses it. A session fixture uses it until the
run ends, so that engines, pools and the application's tasks can live as long.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from ..connections.redirect import Redirect
from ..core.run import add_to_summary
from ..core.source_lines import is_of_project
from ..transaction.shielded import LIMIT

# As asyncio names them.
THREADS = "asyncio"
STILL_RUNS = "A thread is still running{}: the process ends when the thread ends. Give the call a time limit."


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop's library: asyncio, since asyncpg supports no other."""
    return "asyncio"


@pytest.fixture(scope="session")
async def _event_loop_held(anyio_backend: str, _redirect: Redirect, pytestconfig: pytest.Config) -> AsyncIterator[None]:
    """Keeps the loop open for the whole run; every session-scoped async fixture of the harness requests it."""
    loop = _redirect.shared.loop = asyncio.get_running_loop()
    threads = ThreadPoolExecutor(thread_name_prefix=THREADS)
    loop.set_default_executor(threads)
    # A generator: AnyIO releases the loop when a fixture returns, or at the teardown of a fixture that yields.
    yield
    # Otherwise AnyIO waits without a limit for a thread that a test has left blocked, before the report is printed.
    ended = asyncio.Event()

    def shut_down() -> None:
        threads.shutdown()
        with suppress(RuntimeError):
            # After the limit, the loop is closed.
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=shut_down, daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(LIMIT):
            await ended.wait()
    loop.set_default_executor(ThreadPoolExecutor())
    for thread in threading.enumerate():
        if not ended.is_set() and thread.name.startswith(THREADS):
            add_to_summary(pytestconfig, "left", STILL_RUNS.format(_place(thread, pytestconfig.rootpath)))


def _place(thread: threading.Thread, root: Path) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if is_of_project(path, root):
            return f" ({path.relative_to(root)}:{frame.f_lineno}, in {frame.f_code.co_name})"
        frame = frame.f_back
    return ""
