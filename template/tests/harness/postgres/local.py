"""The second rung: a cluster of this run's own, from binaries that are installed here.

It lives in the run's folder, on tmpfs where there is one, and listens on a Unix socket alone, in a folder that only
its user may enter.
"""

import os
import shutil
from pathlib import Path

from . import binaries, privileges, settings
from .clusters import Clusters, Schema
from .run_folder import RunFolder
from .server import NoServerError, Server

# Nothing is inherited from the environment: not the locale, not the time zone, not PGDATA or PGOPTIONS.
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}

# A cold disk and a busy machine included; on tmpfs it takes half a second.
WAIT = 60


def start(folder: RunFolder, major: int, schema: Schema | None = None) -> Server:
    """A new cluster, started; with `schema` in it, if there is one to be had.

    Raises:
        NoServerError: there are no such binaries, or they do not make a server; the text says which.
    """
    user = privileges.server_user()
    found = privileges.readable(binaries.find(major), user)
    clusters = None if schema is None else Clusters(schema, found)
    data = _make_folders(folder, user)
    is_served = False
    if clusters is not None and clusters.copy_to(data, user):
        is_served = _serve(folder, found, user, prepare=None) is None
        if not is_served:
            clusters.discard()
            data = _make_folders(folder, user)
    if not is_served and (failure := _serve(folder, found, user, prepare=_initdb(found, data))) is not None:
        shutil.rmtree(data, ignore_errors=True)
        raise NoServerError(f"{found.folder} holds {found.version}, but {failure}")
    socket = str(folder.path / "socket")
    server = Server("local", found.major, found.version, str(found.folder), socket, 5432, "postgres")
    if schema is not None and clusters is not None and schema.build(server):
        folder.halt()
        clusters.write(data)
        if (failure := _serve(folder, found, user, prepare=None)) is not None:
            raise NoServerError(f"{found.folder} holds {found.version}, but after a restart {failure}")
    settings.check(server)
    return server


def _make_folders(folder: RunFolder, user: privileges.User | None) -> Path:
    """Two that only the server's user may enter: for its socket, and for its data, which is returned."""
    for path in (folder.path / "socket", folder.path / "data"):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
        if user is not None:
            os.chown(path, user.uid, user.gid)
    if user is not None:
        # To enter them, but not to list what lies beside them.
        folder.path.chmod(0o711)
    return folder.path / "data"


def _serve(
    folder: RunFolder, found: binaries.Binaries, user: privileges.User | None, prepare: list[str] | None
) -> str | None:
    """Start the server, after `prepare`; returns what went wrong, or None."""
    return folder.supervise(
        {
            "prepare": prepare,
            "serve": _postgres(found, folder.path / "data", folder.path / "socket"),
            "cleanup": None,
            "user": None if user is None else [user.uid, user.gid],
            "env": ENVIRONMENT,
            "wait": WAIT,
        }
    )


def _initdb(found: binaries.Binaries, data: Path) -> list[str]:
    command = [str(found.folder / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C"]
    # Whoever may enter the folder of the socket is trusted; nobody else gets so far.
    command += ["--auth=trust", "--no-sync", "--no-instructions"]
    if found.major >= 18:
        command.append("--no-data-checksums")
    return command


def _postgres(found: binaries.Binaries, data: Path, socket: Path) -> list[str]:
    own = {"listen_addresses": "", "unix_socket_directories": str(socket), "unix_socket_permissions": "0700"}
    arguments = [argument for name, value in own.items() for argument in ("-c", f"{name}={value}")]
    return [str(found.folder / "postgres"), "-D", str(data), *settings.arguments(), *arguments]
