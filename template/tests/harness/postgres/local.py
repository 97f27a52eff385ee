"""Source "local": a cluster in the run's folder, from installed binaries.

The folder is on tmpfs if the machine has it. The server listens only on a Unix socket, in a folder that only the
server's user can enter.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from . import binaries, privileges, settings
from .clusters import ClusterCache
from .run_folder import RunFolder
from .schema import Schema
from .server import NoServerError, Server
from .troubles import check_free_space
from .unnamed_user import before_initdb

# The server's whole environment: the machine's locale, time zone, PGDATA and PGOPTIONS have no effect.
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}

# Seconds, for a slow disk on a busy machine; on tmpfs a start takes half a second.
WAIT = 60


def start(
    folder: RunFolder,
    major: int,
    schema: Schema | None = None,
    options: Mapping[str, str] = settings.SETTINGS,
    say: Callable[[str], None] = lambda _: None,
) -> Server:
    """Start a server on a new cluster, with `schema` in it unless that is None.

    Args:
        options: the server's settings.
        say: called with a progress message before initdb.

    Raises:
        NoServerError: no binaries were found, or no server starts from them.
    """
    check_free_space(folder)
    user = privileges.server_user()
    cluster = _Cluster(folder, privileges.readable(binaries.find(major), user), user, options)
    cache = None if schema is None else ClusterCache(schema, cluster.binaries, options)
    cluster.make_folders()
    if cache is not None and cache.copy_to(cluster.data, user):
        try:
            return cluster.serve(None, schema, cache)
        except (NoServerError, psycopg.Error):
            # The entry is damaged: run initdb and the migrations again.
            folder.halt()
            cache.discard()
            cluster.make_folders()
    say("postgres: creating a cluster for this schema" if cache else "postgres: creating a cluster")
    return cluster.serve(cluster.initdb(), schema, cache)


@dataclass(frozen=True)
class _Cluster:
    """The cluster in the run's folder."""

    folder: RunFolder
    binaries: binaries.Binaries
    user: privileges.User | None
    options: Mapping[str, str]

    @property
    def data(self) -> Path:
        return self.folder.path / "data"

    @property
    def socket(self) -> Path:
        return self.folder.path / "socket"

    def make_folders(self) -> None:
        """Create empty folders for data and socket that only the server's user can enter."""
        for path in (self.socket, self.data):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o700)
            if self.user is not None:
                os.chown(path, self.user.uid, self.user.gid)
        if self.user is not None:
            # The server's user can pass through the run's folder, but not list it.
            self.folder.path.chmod(0o711)

    def serve(self, prepare: list[str] | None, schema: Schema | None, cache: ClusterCache | None) -> Server:
        """Run `prepare` and start the server; if the schema is missing, build it and store the cluster in the cache."""
        self._start(prepare)
        found = self.binaries
        server = Server("local", found.major, found.version, str(found.folder), str(self.socket), 5432, "postgres")
        settings.check(server, self.options)
        if schema is not None and cache is not None and schema.build(server):
            self.folder.halt()
            cache.write(self.data)
            self._start(None)
        return server

    def _start(self, prepare: list[str] | None) -> None:
        plan = {
            "prepare": prepare,
            "serve": _postgres(self.binaries, self.data, self.socket, self.options),
            "cleanup": None,
            "user": None if self.user is None else [self.user.uid, self.user.gid],
            "env": ENVIRONMENT,
            "wait": WAIT,
        }
        failure = self.folder.supervise(plan)
        if failure is not None:
            shutil.rmtree(self.data, ignore_errors=True)
            raise NoServerError(f"{self.binaries.folder} (PostgreSQL {self.binaries.version}): {failure}")

    def initdb(self) -> list[str]:
        """The command that creates an empty cluster."""
        found = self.binaries
        command = [*before_initdb(), str(found.folder / "initdb"), "-D", str(self.data), "-U", "postgres"]
        command += ["-E", "UTF8", "--locale=C"]
        # "trust", since only the server's user can enter the folder of the socket.
        command += ["--auth=trust", "--no-sync", "--no-instructions"]
        if found.major >= 18:
            command.append("--no-data-checksums")
        return command


def _postgres(found: binaries.Binaries, data: Path, socket: Path, options: Mapping[str, str]) -> list[str]:
    sockets = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket),
        "unix_socket_permissions": "0700",
    }
    arguments = [argument for name, value in sockets.items() for argument in ("-c", f"{name}={value}")]
    return [str(found.folder / "postgres"), "-D", str(data), *settings.arguments(options), *arguments]
