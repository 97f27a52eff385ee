"""A PostgreSQL server that a test starts itself, since the harness's own listens on no port and is never a standby."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from harness.postgres import privileges

from tests import postgres_majors
from tests.harness.test_end_of_run import until

# The wheel's PostgreSQL 18 is built without TLS.
MAJOR = 17
OF_MAJOR = f"savepoint_postgres_version={MAJOR}"


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def own_server(
    folder: Path, options: Mapping[str, object], prepare: Callable[[Path], object] = lambda data: None
) -> Iterator[int]:
    """Serve a new cluster on a Unix socket in `folder`; yields the port.

    Args:
        folder: the server's user must be able to enter it; it becomes the owner.
        options: settings of the server.
        prepare: called with the folder of the cluster, before the server starts.
    """
    user, found = privileges.server_user(), postgres_majors.installed(MAJOR) or postgres_majors.fetch(MAJOR)
    data, port = folder / "data", free_port()
    as_user: dict[str, Any] = {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
    if user is not None:
        for path in (folder, *folder.iterdir()):
            os.chown(path, user.uid, user.gid)
    initdb = [str(found / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "--locale=C"]
    subprocess.run(initdb, check=True, capture_output=True, **as_user)
    prepare(data)
    own = {
        "listen_addresses": "",
        "port": port,
        "unix_socket_directories": folder,
        "dynamic_shared_memory_type": "mmap",
        **options,
    }
    arguments = [argument for name, value in own.items() for argument in ("-c", f"{name}={value}")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([found / "postgres", "-D", data, *arguments], stderr=log, **as_user)
    try:
        until(lambda: _is_ready(folder, port))
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def _is_ready(folder: Path, port: int) -> bool:
    try:
        psycopg.connect(host=str(folder), port=port, user="postgres").close()
    except psycopg.OperationalError:
        return False
    return True
