"""The third rung: a container of the official image, on loopback, removed with the run.

testcontainers starts it, in a process of its own (`container.py`): it takes most of a second to import, and the
supervisor has to be able to remove a container whose run was killed while it started.
"""

import http.client
import os
import secrets
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from . import settings
from .run_folder import RunFolder
from .server import NoServerError, Server

SOCKETS = ("/var/run/docker.sock", "~/.docker/run/docker.sock", "~/.colima/default/docker.sock")
SCRIPT = str(Path(__file__).with_name("container.py"))

# Pulling the image over a slow line is part of it.
WAIT = 600


def start(folder: RunFolder, major: int, announce: Callable[[str], None]) -> Server:
    """A new container of `postgres:<major>`, started; its image is pulled if it has to be, which is announced.

    Raises:
        NoServerError: no daemon answers, testcontainers is not installed, or the container does not start.
    """
    daemon = _daemon()
    if find_spec("testcontainers") is None:
        raise NoServerError(f"there is a daemon at {daemon}; it takes `uv run --group docker pytest` to use it")
    password = secrets.token_hex(16)
    environment = os.environ | {
        "DOCKER_HOST": daemon,
        "SAVEPOINT_PASSWORD": password,
        # Their container that removes containers: the supervisor does that, on any engine, with no second image.
        "TESTCONTAINERS_RYUK_DISABLED": "true",
    }
    name = f"savepoint-{secrets.token_hex(4)}"
    script = [sys.executable, "-I", SCRIPT]
    image = f"postgres:{major}"
    if _lacks(daemon, image):
        announce(f"postgres: pulling {image}, this once")
    failure = folder.supervise(
        {
            "prepare": [*script, "start", name, image, *settings.arguments()],
            "serve": None,
            "cleanup": [*script, "remove", name],
            "user": None,
            "env": environment,
            "wait": WAIT,
        }
    )
    if failure is not None:
        # Without who said so: a script of ours.
        raise NoServerError(f"{image} at {daemon}: {failure.partition('error: ')[2] or failure}")
    address = folder.told("container.json")
    assert address is not None, "container.py leaves its address when it succeeds"
    server = Server("docker", major, address["version"], image, address["host"], address["port"], "postgres", password)
    settings.check(server)
    return server


def _daemon() -> str:
    """The address of a Docker daemon that answers: DOCKER_HOST, or the first of the usual sockets."""
    if host := os.environ.get("DOCKER_HOST"):
        candidates = [host]
    else:
        paths = [Path(path).expanduser() for path in SOCKETS]
        candidates = [f"unix://{path}" for path in paths if path.exists()] or [f"unix://{paths[0]}"]
    failures = []
    for candidate in candidates:
        try:
            _ping(candidate)
        except PermissionError:
            failures.append(f"no permission to use {candidate}; is this user in the group `docker`?")
        except OSError:
            failures.append(f"no daemon at {candidate}")
        else:
            return candidate
    raise NoServerError("; ".join(failures))


def _lacks(daemon: str, image: str) -> bool:
    """Whether a daemon on a Unix socket says that it does not have the image; of others nothing is known."""
    parts = urlsplit(daemon)
    if parts.scheme != "unix":
        return False
    connection = http.client.HTTPConnection("localhost", timeout=10)
    with socket.socket(socket.AF_UNIX) as connection.sock, suppress(OSError, http.client.HTTPException):
        connection.sock.connect(parts.path)
        # https://docs.docker.com/reference/api/engine/
        connection.request("GET", f"/images/{image}/json")
        return connection.getresponse().status == 404
    return False


def _ping(host: str) -> None:
    parts = urlsplit(host)
    if parts.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(parts.path)
    elif parts.scheme in ("tcp", "http", "https"):
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 2375), timeout=2).close()
    # Others, such as ssh://, are for testcontainers to try.
