"""Starts or removes the container of a run.

    container.py start <name> <image> <argument>…
    container.py remove <name>

The supervisor runs it in the run's folder, where it leaves `container.json`: host, port and version. It stands on its
own, and imports testcontainers by name, since a project has that in a dependency group that not everyone installs.
"""

import json
import os
import sys
import time
from contextlib import suppress
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
    docker = import_module("docker")
    try:
        container.start()
    except docker.errors.APIError as error:
        raise RuntimeError(error.explanation) from None
    Path("container.json").write_text(json.dumps(_wait(container, _addresses(container), password)))


def remove(name: str) -> None:
    """Remove the container and its volumes, running or not."""
    docker = import_module("docker")
    with suppress(docker.errors.NotFound):
        docker.from_env().containers.get(name).remove(force=True, v=True)


def _addresses(container: Any) -> list[tuple[str, int]]:
    """Where the server may be found: on the daemon's host, or in Docker's network if this is a container beside it."""
    client, own_id = container.get_docker_client(), container.get_container_id()
    return [(client.host(), int(client.port(own_id, 5432))), (client.bridge_ip(own_id), 5432)]


def _wait(container: Any, addresses: list[tuple[str, int]], password: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT
    while all(_answer(address, password) is None for address in addresses):
        container.get_wrapped_container().reload()
        if container.status != "running" or time.monotonic() > deadline:
            print(b"\n".join(container.get_logs()).decode(errors="replace"))
            raise SystemExit("error: the server in the container does not answer")
        time.sleep(0.05)
    # Asked again: the first may have begun to answer after it was passed over.
    return next(answer for address in addresses if (answer := _answer(address, password)) is not None)


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
