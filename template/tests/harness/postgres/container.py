"""Starts or removes the container of a run.

    container.py start <name> <image> <argument>…
    container.py remove <name>

The supervisor runs it in the run's folder, where it leaves `container.json`: host, port and version. It stands on its
own, and imports testcontainers by name, since a project has that in a dependency group that not everyone installs.
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

# Its data on tmpfs, in a folder of its own: the images of 18 and of older majors disagree on the usual one.
DATA = "/var/lib/savepoint"
WAIT = 60


def start(name: str, image: str, arguments: list[str]) -> None:
    """Start a container and wait until the server in it answers on loopback."""
    password = os.environ["SAVEPOINT_PASSWORD"]
    container = import_module("testcontainers.core.container").DockerContainer(image)
    container.with_name(name).with_tmpfs_mount(DATA).with_command(["postgres", *arguments])
    container.with_envs(POSTGRES_PASSWORD=password, PGDATA=f"{DATA}/data", POSTGRES_INITDB_ARGS="--no-sync")
    # Not `with_exposed_ports`: Docker would then listen on every address of this machine.
    container.ports = {"5432/tcp": ("127.0.0.1", None)}
    _pull(container)
    try:
        with _undisturbed():
            container.start()
    except import_module("docker").errors.APIError as error:
        raise RuntimeError(error.explanation) from None
    Path("container.json").write_text(json.dumps(_wait(container, password)))


def remove(name: str) -> None:
    """Remove the container and its volumes, running or not."""
    docker = import_module("docker")
    with suppress(docker.errors.NotFound):
        docker.from_env().containers.get(name).remove(force=True, v=True)


def _pull(container: Any) -> None:
    """Fetch the image if the daemon lacks it: here and not in `container.start()`, which is not to be interrupted."""
    client, errors = container.get_docker_client().client, import_module("docker").errors
    with suppress(errors.ImageNotFound):
        client.images.get(container.image)
        return
    repository, _, tag = container.image.rpartition(":")
    try:
        # What fails in the middle of it is a line among the others.
        lines = [
            line["error"] for line in client.api.pull(repository, tag, stream=True, decode=True) if "error" in line
        ]
    except errors.APIError as error:
        lines = [error.explanation]
    if lines:
        raise RuntimeError(f"it cannot be pulled: {lines[-1]}")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The end of the run waits: a container whose making is cut short is made by the daemon all the same, but later."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGQUIT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGQUIT})


def _wait(container: Any, password: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT
    while True:
        # Asked twice: a server that has come up after its first address was asked is found at the second one only.
        if _ask(container, password) is not None and (answer := _ask(container, password)) is not None:
            return answer
        container.get_wrapped_container().reload()
        if container.status != "running" or time.monotonic() > deadline:
            raise RuntimeError(f"the server in the container does not answer; it said: {_last_words(container)}")
        time.sleep(0.05)


def _ask(container: Any, password: str) -> dict[str, Any] | None:
    """What the server says at the first of its addresses at which it answers."""
    answers = (_answer(address, password) for address in _addresses(container))
    return next((answer for answer in answers if answer is not None), None)


def _addresses(container: Any) -> Iterator[tuple[str, int]]:
    """Where the server may be found: on the daemon's host, or in Docker's network if this is a container beside it."""
    client, own_id = container.get_docker_client(), container.get_container_id()
    with suppress(ConnectionError):  # a container that has ended listens nowhere
        yield client.host(), int(client.port(own_id, 5432))
    # Elsewhere that network may not be reached, and each try takes two seconds.
    if Path("/.dockerenv").exists():
        yield client.bridge_ip(own_id), 5432


def _last_words(container: Any) -> str:
    lines = b"\n".join(container.get_logs()).decode(errors="replace").splitlines()
    words = [line.strip() for line in lines if line.strip()]
    telling = [word for word in words if any(mark in word for mark in ("FATAL", "PANIC", "rror:"))] or words
    return telling[-1] if telling else "nothing"


def _answer(address: tuple[str, int], password: str) -> dict[str, Any] | None:
    psycopg = import_module("psycopg")
    host, port = address
    try:
        # The image's first server, which only prepares, listens on a Unix socket: over TCP it is the real one.
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
            remove(sys.argv[2])
    except Exception as error:
        raise SystemExit(f"error: {' '.join(str(error).split())}") from None
