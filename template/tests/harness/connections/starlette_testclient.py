"""Starlette's TestClient, which runs the application on an event loop of its own, in another thread.

A savepoint test has one connection, which belongs to the loop of the tests: the application would find none of the
test's rows. With a database of its own, the test may use it.
"""

import sys
import threading
from types import FrameType

REFUSED = (
    "TestClient runs the application on another event loop, in another thread, and the connection of a savepoint test "
    "belongs to the loop of the tests. In an `async def` test, use `client`: `await client.get(…)`; for an answer that "
    'is streamed, `async with client.stream("GET", …) as response:`; for a WebSocket, `async with aconnect_ws("/ws", '
    "client) as socket:` of httpx-ws (uv add --group dev httpx-ws). With @pytest.mark.own_database, "
    "TestClient works."
)


def refusal() -> str | None:
    """What to say of a connection that is asked for now, if it is for an application inside of a TestClient."""
    if threading.current_thread() is threading.main_thread():
        return None
    # Of all threads: the client waits in one, the application runs in a second, and its synchronous routes in a third.
    return REFUSED if any(_is_of_testclient(frame) for frame in sys._current_frames().values()) else None


def _is_of_testclient(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") == "starlette.testclient":
            return True
        frame = frame.f_back
    return False
