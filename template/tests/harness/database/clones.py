"""A pool of clones of the template database. Threads create and drop them, so that tests do not wait.

Cloning copies files and waits for checkpoints, so two clones at once take hardly longer than one.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from ..postgres.server import Server
from .maintenance import MaintenanceConnection

T = TypeVar("T")

THREADS = 2
# Below this limit of connections, there is one thread, and it keeps none when it has nothing to do: tests need them.
FEW_CONNECTIONS = 32


class Clones:
    """A pool of databases, each for one test.

    Args:
        server: the server.
        template: the database to clone.
        next_name: returns the name of the next clone.
        wanted: how many tests are expected to take a clone; not more are created in advance.
    """

    def __init__(self, server: Server, template: str, next_name: Callable[[], str], wanted: int) -> None:
        self._server = server
        self._template = template
        self._next_name = next_name
        self._wanted = wanted
        self._keeps_connections = (server.connection_limit or FEW_CONNECTIONS) >= FEW_CONNECTIONS
        threads = THREADS if self._keeps_connections else 1
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="clones")
        self._local = threading.local()
        self._lock, self._waiting = threading.Lock(), 0
        self._connections: list[MaintenanceConnection] = []
        self._ready: deque[Future[str]] = deque()
        self._dropped: list[Future[None]] = []
        for _ in range(min(THREADS, wanted)):
            self._make()

    def use(self, template: str) -> None:
        """Create further clones from another template."""
        self._template = template
        while self._ready:
            self._wanted += 1
            self.drop(self._ready.popleft().result())

    def take(self) -> str:
        """The name of a new clone; raises the error of its creation."""
        if not self._ready:
            self._make()
        name = self._ready.popleft().result()
        if self._wanted > 0:
            self._make()
        return name

    def drop(self, name: str) -> None:
        """Drop a clone in the background."""
        self._dropped.append(self._submit(self._drop, name))

    def close(self) -> None:
        """Wait for the threads; raises the error of a drop."""
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()
        for dropped in self._dropped:
            dropped.result()

    def _make(self) -> None:
        self._wanted -= 1
        self._ready.append(self._submit(self._clone, self._next_name()))

    def _submit(self, job: Callable[[str], T], name: str) -> Future[T]:
        with self._lock:
            self._waiting += 1
        return self._threads.submit(job, name)

    def _clone(self, name: str) -> str:
        with self._maintenance() as connection:
            connection.clone(self._template, name)
        return name

    def _drop(self, name: str) -> None:
        with self._maintenance() as connection:
            connection.drop(name)

    @contextmanager
    def _maintenance(self) -> Iterator[MaintenanceConnection]:
        """The connection of this thread."""
        try:
            if not hasattr(self._local, "connection"):
                self._local.connection = MaintenanceConnection(self._server)
                self._connections.append(self._local.connection)
            yield self._local.connection
        finally:
            with self._lock:
                self._waiting -= 1
                is_idle = self._waiting == 0
            if is_idle and not self._keeps_connections and hasattr(self._local, "connection"):
                self._connections.remove(self._local.connection)
                self._local.connection.close()
                del self._local.connection
