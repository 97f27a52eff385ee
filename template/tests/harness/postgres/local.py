"""The second rung: a cluster of this run's own, from binaries that are installed here.

It lives in the run's folder, on tmpfs where there is one, and listens on a Unix socket alone, in a folder that only
its user may enter.
"""

import os
import shutil
from pathlib import Path

from . import binaries, privileges, settings
from .run_folder import RunFolder
from .server import NoServerError, Server

# Nothing is inherited from the environment: not the locale, not the time zone, not PGDATA or PGOPTIONS.
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}

# A cold disk and a busy machine included; on tmpfs it takes half a second.
WAIT = 60


def start(folder: RunFolder, major: int) -> Server:
    """A new cluster, started.

    Raises:
        NoServerError: there are no such binaries, or they do not make a server; the text says which.
    """
    user = privileges.server_user()
    found = privileges.readable(binaries.find(major), user)
    data, socket = folder.path / "data", folder.path / "socket"
    for path in (data, socket):
        path.mkdir(mode=0o700)
        if user is not None:
            os.chown(path, user.uid, user.gid)
    if user is not None:
        # To enter `data` and `socket`, but not to list what lies beside them.
        folder.path.chmod(0o711)
    failure = folder.supervise(
        {
            "prepare": _initdb(found, data),
            "serve": _postgres(found, data, socket),
            "cleanup": None,
            "user": None if user is None else [user.uid, user.gid],
            "env": ENVIRONMENT,
            "wait": WAIT,
        }
    )
    if failure is not None:
        for path in (data, socket):
            shutil.rmtree(path, ignore_errors=True)
        raise NoServerError(f"{found.folder} holds {found.version}, but {failure}")
    server = Server("local", found.major, found.version, str(found.folder), str(socket), 5432, "postgres")
    settings.check(server)
    return server


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
