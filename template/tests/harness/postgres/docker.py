"""Source "docker": a container of the official image, on loopback, removed at the end of the run.

`container.py` starts it with testcontainers, in a separate process: the import takes most of a second, and the
supervisor must be able to remove the container if the run is killed while the container starts.
"""

import http.client
import os
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from . import settings
from .run_folder import RunFolder
from .server import NoServerError, Server

SOCKETS = (
    "/var/run/docker.sock",
    # Rootless Docker.
    "$XDG_RUNTIME_DIR/docker.sock",
    "~/.docker/run/docker.sock",
    "~/.colima/default/docker.sock",
    "~/.orbstack/run/docker.sock",
    "~/.rd/docker.sock",
)
SCRIPT = str(Path(__file__).with_name("container.py"))

# Seconds; includes pulling the image over a slow connection.
WAIT = 600

# Seconds. A daemon that hangs, as Docker Desktop sometimes does, still accepts connections.
REQUEST_TIMEOUT = 10


def start(
    folder: RunFolder, major: int, image: str, options: Mapping[str, str], announce: Callable[[str], None]
) -> Server:
    """Start a container, and pull its image if it is missing.

    Args:
        image: with its tag; "": `postgres:<major>`.
        options: the server's settings.
        announce: prints a line before the pull.

    Raises:
        NoServerError: no daemon answers, testcontainers is not installed, or the container does not start.
    """
    daemon = _daemon()
    if find_spec("testcontainers") is None:
        raise NoServerError(
            f"found a daemon at {daemon}, but testcontainers is not installed. Run `uv run --group docker pytest`, "
            "or install testcontainers"
        )
    password = secrets.token_hex(16)
    environment = os.environ | {
        "DOCKER_HOST": daemon,
        "SAVEPOINT_PASSWORD": password,
        # Testcontainers' cleanup container is not needed: the supervisor removes the container.
        "TESTCONTAINERS_RYUK_DISABLED": "true",
    }
    name = f"savepoint-{secrets.token_hex(4)}"
    script = [sys.executable, "-I", SCRIPT]
    # testcontainers' own variable for a mirror of Docker Hub.
    name_of_image = image or f"postgres:{major}"
    image = f"{os.environ.get('TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX', '')}{name_of_image}"
    if _is_missing(daemon, image):
        announce(f"postgres: pulling {image} (first run only)")
    folder.write_container(name, daemon)
    failure = folder.supervise(
        {
            "prepare": [*script, "start", name, name_of_image, *settings.arguments(options)],
            "serve": None,
            "cleanup": [*script, "remove", name, daemon],
            "user": None,
            "env": environment,
            "wait": WAIT,
        }
    )
    if failure is not None:
        # Without the name of the script.
        raise NoServerError(f"{image} at {daemon}: {failure.partition('error: ')[2] or failure}")
    address = folder.read_json("container.json")
    assert address is not None, "container.py writes container.json when it succeeds"
    server = Server("docker", major, address["version"], image, address["host"], address["port"], "postgres", password)
    settings.check(server, options)
    return server


def _daemon() -> str:
    """The address of a Docker daemon that answers: DOCKER_HOST, or the first of the standard sockets."""
    if host := os.environ.get("DOCKER_HOST"):
        candidates = [host]
    else:
        paths = [Path(os.path.expandvars(path)).expanduser() for path in SOCKETS]
        candidates = [f"unix://{path}" for path in paths if os.access(path, os.F_OK)] or [f"unix://{paths[0]}"]
    failures = []
    for candidate in candidates:
        try:
            _request(candidate, "/_ping")
        except PermissionError:
            failures.append(f"permission denied for {candidate}. Add this user to the group `docker`")
        except (TimeoutError, http.client.HTTPException):
            failures.append(f"the daemon at {candidate} does not answer")
        except ValueError:
            failures.append(f"DOCKER_HOST={candidate} is not a valid address. Example: unix:///var/run/docker.sock")
        except OSError:
            failures.append(f"no daemon at {candidate}")
        else:
            return candidate
    raise NoServerError("; ".join(failures))


def _is_missing(daemon: str, image: str) -> bool:
    """Whether the daemon answers that it does not have the image."""
    with suppress(OSError, http.client.HTTPException):
        # https://docs.docker.com/reference/api/engine/
        return _request(daemon, f"/images/{image}/json") == http.client.NOT_FOUND
    return False


def _request(daemon: str, path: str) -> int | None:
    """The status of a GET request to the daemon; None over TLS or ssh, which only testcontainers supports.

    Raises:
        OSError, http.client.HTTPException: the daemon does not answer.
        ValueError: the address is not valid.
    """
    parts = urlsplit(daemon)
    if parts.scheme == "ssh":
        return None
    with closing(_connection(parts)) as connection:
        if parts.scheme == "https" or "DOCKER_TLS_VERIFY" in os.environ:
            return None
        client = http.client.HTTPConnection(parts.hostname or "localhost")
        client.sock = connection
        client.request("GET", path)
        return client.getresponse().status


def _connection(parts: SplitResult) -> socket.socket:
    if parts.scheme in ("tcp", "http", "https"):
        return socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 2375), timeout=REQUEST_TIMEOUT)
    if parts.scheme != "unix":
        raise ValueError(parts.geturl())
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(REQUEST_TIMEOUT)
    try:
        connection.connect(parts.path)
    except OSError:
        connection.close()
        raise
    return connection
