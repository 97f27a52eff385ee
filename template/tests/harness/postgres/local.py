"""The second rung: a cluster of this run's own, from binaries that are installed here.

It lives in the run's folder, on tmpfs where there is one, and listens on a Unix socket alone, in a folder that only
its user may enter.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from . import binaries, privileges, settings
from .clusters import Clusters, Schema
from .run_folder import RunFolder
from .server import NoServerError, Server
from .troubles import raise_if_small

# Nothing is inherited from the environment: not the locale, not the time zone, not PGDATA or PGOPTIONS.
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}

# A cold disk and a busy machine included; on tmpfs it takes half a second.
WAIT = 60


def start(
    folder: RunFolder, major: int, schema: Schema | None = None, say: Callable[[str], None] = lambda _: None
) -> Server:
    """A new cluster, started; with `schema` in it, if there is one to be had.

    Args:
        say: is told what takes half a second.

    Raises:
        NoServerError: there are no such binaries, or they do not make a server; the text says which.
    """
    raise_if_small(folder)
    user = privileges.server_user()
    cluster = _Cluster(folder, privileges.readable(binaries.find(major), user), user)
    kept = None if schema is None else Clusters(schema, cluster.binaries)
    cluster.make_folders()
    if kept is not None and kept.copy_to(cluster.data, user):
        try:
            return cluster.serve(None, schema, kept)
        except (NoServerError, psycopg.Error):
            # Damaged, in a way that nobody foresees: the migrations run again.
            folder.halt()
            kept.discard()
            cluster.make_folders()
    say("postgres: making the first cluster of this schema" if kept else "postgres: making a cluster")
    return cluster.serve(cluster.initdb(), schema, kept)


@dataclass(frozen=True)
class _Cluster:
    """The run's cluster, in the run's folder."""

    folder: RunFolder
    binaries: binaries.Binaries
    user: privileges.User | None

    @property
    def data(self) -> Path:
        return self.folder.path / "data"

    @property
    def socket(self) -> Path:
        return self.folder.path / "socket"

    def make_folders(self) -> None:
        """Two that only the server's user may enter, and nothing in them."""
        for path in (self.socket, self.data):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o700)
            if self.user is not None:
                os.chown(path, self.user.uid, self.user.gid)
        if self.user is not None:
            # To enter them, but not to list what lies beside them.
            self.folder.path.chmod(0o711)

    def serve(self, prepare: list[str] | None, schema: Schema | None, kept: Clusters | None) -> Server:
        """Start the server, after `prepare`; if the schema has to be built, it is, and the cluster is kept."""
        self._start(prepare)
        found = self.binaries
        server = Server("local", found.major, found.version, str(found.folder), str(self.socket), 5432, "postgres")
        settings.check(server)
        if schema is not None and kept is not None and schema.build(server):
            self.folder.halt()
            kept.write(self.data)
            self._start(None)
        return server

    def _start(self, prepare: list[str] | None) -> None:
        plan = {
            "prepare": prepare,
            "serve": _postgres(self.binaries, self.data, self.socket),
            "cleanup": None,
            "user": None if self.user is None else [self.user.uid, self.user.gid],
            "env": ENVIRONMENT,
            "wait": WAIT,
        }
        failure = self.folder.supervise(plan)
        if failure is not None:
            shutil.rmtree(self.data, ignore_errors=True)
            raise NoServerError(f"{self.binaries.folder} holds {self.binaries.version}, but {failure}")

    def initdb(self) -> list[str]:
        """The command that makes an empty cluster."""
        found = self.binaries
        command = [str(found.folder / "initdb"), "-D", str(self.data), "-U", "postgres", "-E", "UTF8", "--locale=C"]
        # Whoever may enter the folder of the socket is trusted; nobody else gets so far.
        command += ["--auth=trust", "--no-sync", "--no-instructions"]
        if found.major >= 18:
            command.append("--no-data-checksums")
        return command


def _postgres(found: binaries.Binaries, data: Path, socket: Path) -> list[str]:
    # Dynamic shared memory as files of the cluster: where the server is killed, nothing is left beside the folder.
    own = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket),
        "unix_socket_permissions": "0700",
    }
    arguments = [argument for name, value in own.items() for argument in ("-c", f"{name}={value}")]
    return [str(found.folder / "postgres"), "-D", str(data), *settings.arguments(), *arguments]
