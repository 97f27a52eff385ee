"""A fake Docker engine, which only answers pings."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

from tests.docker_engine import docker


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/_ping" else 404)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(server: ThreadingUnixStreamServer) -> Iterator[str]:
    """Yields the address of a server, which answers until the end of the block."""
    server.daemon_threads = True
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"unix://{server.server_address!s}"
        finally:
            server.shutdown()
            thread.join()


def empty(path: Path) -> ThreadingUnixStreamServer:
    """An engine without images and containers."""
    return ThreadingUnixStreamServer(str(path), _Empty)


def containers(engine: str) -> list[str]:
    """The containers of the harness, running or not."""
    listed = docker(engine, "ps", "--all", "--filter=name=savepoint-", "--format={{.Names}}")
    assert listed.returncode == 0, listed.stderr
    return listed.stdout.split()
