"""Starts or removes the PostgreSQL container of a run.

    container.py start <name> <image> <argument>…
    container.py remove <name> <daemon>

The supervisor runs this script in the run's folder; `start` writes `container.json` there: host, port and version. It
imports no other module of the harness, and testcontainers by name, since that is in an optional dependency group.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

# On tmpfs. Not the image's default folder, which differs between version 18 and older versions.
DATA = "/var/lib/savepoint"
WAIT = 60


def start(name: str, image: str, arguments: list[str]) -> None:
    """Start a container and wait until its server accepts connections on loopback."""
    password = os.environ["SAVEPOINT_PASSWORD"]
    container = import_module("testcontainers.core.container").DockerContainer(image)
    container.with_name(name).with_tmpfs_mount(DATA).with_command(["postgres", *arguments])
    container.with_envs(POSTGRES_PASSWORD=password, PGDATA=f"{DATA}/data", POSTGRES_INITDB_ARGS="--no-sync")
    # Not `with_exposed_ports`, with which Docker listens on all addresses of this machine.
    container.ports = {"5432/tcp": ("127.0.0.1", None)}
    _pull(container)
    try:
        with _end_of_run_blocked():
            container.start()
    except import_module("docker").errors.APIError as error:
        raise RuntimeError(error.explanation) from None
    Path("container.json").write_text(json.dumps(_wait(container, password)))


def remove(name: str) -> None:
    """Remove the container and its volumes, even if it is running."""
    docker = import_module("docker")
    with suppress(docker.errors.NotFound):
        docker.from_env().containers.get(name).remove(force=True, v=True)


def _pull(container: Any) -> None:
    """Pull the image if the daemon does not have it; not in `container.start()`, which must not be interrupted."""
    client, errors = container.get_docker_client().client, import_module("docker").errors
    with suppress(errors.ImageNotFound):
        client.images.get(container.image)
        return
    repository, _, tag = container.image.rpartition(":")
    try:
        # The stream reports an error during the pull as a line.
        lines = [
            line["error"] for line in client.api.pull(repository, tag, stream=True, decode=True) if "error" in line
        ]
    except errors.APIError as error:
        lines = [error.explanation]
    if lines:
        raise RuntimeError(f"pull failed: {lines[-1]}")


@contextmanager
def _end_of_run_blocked() -> Iterator[None]:
    """Block SIGQUIT: the daemon would still create the container after an interrupted request, and nobody remove it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGQUIT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGQUIT})


def _wait(container: Any, password: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT
    while True:
        # Twice: if the server starts between the tries of two addresses, the first pass finds only the second address.
        if _connect(container, password) is not None and (found := _connect(container, password)) is not None:
            return found
        container.get_wrapped_container().reload()
        if container.status != "running" or time.monotonic() > deadline:
            raise RuntimeError(f"the server in the container does not answer; last log line: {_last_log(container)}")
        time.sleep(0.05)


def _connect(container: Any, password: str) -> dict[str, Any] | None:
    """Host, port and version of the first address that accepts a connection."""
    answers = (_answer(address, password) for address in _addresses(container))
    return next((answer for answer in answers if answer is not None), None)


def _addresses(container: Any) -> Iterator[tuple[str, int]]:
    """The possible addresses: the daemon's host, and Docker's network if this process runs in a container."""
    client, own_id = container.get_docker_client(), container.get_container_id()
    with suppress(ConnectionError):  # the container has exited
        yield client.host(), int(client.port(own_id, 5432))
    # Only in a container: elsewhere the network may be unreachable, and each try takes two seconds.
    if Path("/.dockerenv").exists():
        yield client.bridge_ip(own_id), 5432


def _last_log(container: Any) -> str:
    text = b"\n".join(container.get_logs()).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if any(mark in line for mark in ("FATAL", "PANIC", "rror:"))] or lines
    return errors[-1] if errors else "none"


def _answer(address: tuple[str, int], password: str) -> dict[str, Any] | None:
    psycopg = import_module("psycopg")
    host, port = address
    try:
        # Over TCP: the image's temporary server for initialization listens only on a Unix socket.
        with psycopg.connect(
            host=host, port=port, user="postgres", password=password, dbname="postgres", connect_timeout=2
        ) as connection:
            number = connection.info.server_version
            return {"host": host, "port": port, "version": f"{number // 10000}.{number % 10000}"}
    except psycopg.OperationalError:
        return None


if __name__ == "__main__":
    try:
        if sys.argv[1] == "start":
            start(sys.argv[2], sys.argv[3], sys.argv[4:])
        else:
            os.environ["DOCKER_HOST"] = sys.argv[3]
            remove(sys.argv[2])
    except Exception as error:
        raise SystemExit(f"error: {' '.join(str(error).split())}") from None
