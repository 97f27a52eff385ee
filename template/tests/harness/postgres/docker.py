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
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from . import settings
from .run_folder import RunFolder
from .server import NoServerError, Server

SOCKETS = (
    "/var/run/docker.sock",
    # Rootless.
    "$XDG_RUNTIME_DIR/docker.sock",
    "~/.docker/run/docker.sock",
    "~/.colima/default/docker.sock",
    "~/.orbstack/run/docker.sock",
    "~/.rd/docker.sock",
)
SCRIPT = str(Path(__file__).with_name("container.py"))

# Pulling the image over a slow line is part of it.
WAIT = 600

# A daemon that hangs, as Docker Desktop does at times, accepts connections.
PATIENCE = 10


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
    # Of a registry that is nearer than Docker's own, as testcontainers names it.
    image = f"{os.environ.get('TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX', '')}postgres:{major}"
    if _lacks(daemon, image):
        announce(f"postgres: pulling {image}, this once")
    failure = folder.supervise(
        {
            "prepare": [*script, "start", name, f"postgres:{major}", *settings.arguments()],
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
        paths = [Path(os.path.expandvars(path)).expanduser() for path in SOCKETS]
        candidates = [f"unix://{path}" for path in paths if os.access(path, os.F_OK)] or [f"unix://{paths[0]}"]
    failures = []
    for candidate in candidates:
        try:
            _ask(candidate, "/_ping")
        except PermissionError:
            failures.append(f"no permission to use {candidate}; is this user in the group `docker`?")
        except (TimeoutError, http.client.HTTPException):
            failures.append(f"the daemon at {candidate} does not answer")
        except ValueError:
            failures.append(f"DOCKER_HOST={candidate} is no address such as unix:///var/run/docker.sock")
        except OSError:
            failures.append(f"no daemon at {candidate}")
        else:
            return candidate
    raise NoServerError("; ".join(failures))


def _lacks(daemon: str, image: str) -> bool:
    """Whether a daemon says that it does not have the image."""
    with suppress(OSError, http.client.HTTPException):
        # https://docs.docker.com/reference/api/engine/
        return _ask(daemon, f"/images/{image}/json") == http.client.NOT_FOUND
    return False


def _ask(daemon: str, path: str) -> int | None:
    """The status of a daemon's answer; None of one with which only testcontainers can speak, by TLS or ssh.

    Raises:
        OSError, http.client.HTTPException: it does not answer.
        ValueError: this is no address.
    """
    parts = urlsplit(daemon)
    if parts.scheme == "ssh":
        return None
    with closing(_connection(parts)) as connection:
        if parts.scheme == "https" or "DOCKER_TLS_VERIFY" in os.environ:
            return None
        asking = http.client.HTTPConnection(parts.hostname or "localhost")
        asking.sock = connection
        asking.request("GET", path)
        return asking.getresponse().status


def _connection(parts: SplitResult) -> socket.socket:
    if parts.scheme in ("tcp", "http", "https"):
        return socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 2375), timeout=PATIENCE)
    if parts.scheme != "unix":
        raise ValueError(parts.geturl())
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(parts.path)
    except OSError:
        connection.close()
        raise
    return connection
