"""Detects Starlette's TestClient, which runs the application in another thread and event loop.

The connection of a savepoint test belongs to the event loop of the tests, so the application would not see the rows of
the test. A test with a database of its own may use TestClient.
"""

import sys
import threading
from types import FrameType

REFUSED = (
    "TestClient runs the application in another thread and event loop; the connection of a savepoint test belongs to "
    "the event loop of the tests. In an `async def` test, use `client`: `await client.get(…)`; for a streamed "
    'response, `async with client.stream("GET", …) as response:`; for a WebSocket, `async with aconnect_ws("/ws", '
    "client) as socket:` from httpx-ws (uv add --group dev httpx-ws). TestClient works with @pytest.mark.own_database."
)


def refusal() -> str | None:
    """Why a connection is refused that the application requests inside of TestClient; None outside of TestClient."""
    if threading.current_thread() is threading.main_thread():
        return None
    # Check all threads: the client waits in one, the application runs in another, its synchronous routes in a third.
    return REFUSED if any(_is_of_testclient(frame) for frame in sys._current_frames().values()) else None


def _is_of_testclient(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") == "starlette.testclient":
            return True
        frame = frame.f_back
    return False
