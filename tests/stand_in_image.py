"""A stand-in for the official image of PostgreSQL, where no registry can be reached: for tests, and nothing else.

What the harness relies on is as there: POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_INITDB_ARGS and PGDATA, a first
server that prepares and listens on a Unix socket alone, and then the real one, as user postgres. The rest is a shell
and a handful of commands of this machine, with the libraries that they name.
"""

import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

COMMANDS = ["sh", "id", "mkdir", "chown", "chmod", "cat", "rm", "setpriv"]

ENTRYPOINT = """#!/bin/sh
set -eu
if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /var/run/postgresql
  chown -R postgres:postgres "$PGDATA" /var/run/postgresql
  chmod 700 "$PGDATA"
  exec setpriv --reuid=999 --regid=999 --clear-groups "$0" "$@"
fi
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "${POSTGRES_PASSWORD:-}" ]; then
    echo "Error: Database is uninitialized and superuser password is not specified." >&2
    exit 1
  fi
  (umask 077 && echo "$POSTGRES_PASSWORD" > /tmp/password)
  eval "initdb --username=${POSTGRES_USER:-postgres} --pwfile=/tmp/password ${POSTGRES_INITDB_ARGS:-}"
  rm /tmp/password
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
  pg_ctl -w -o "-c listen_addresses=''" start
  pg_ctl -w -m fast stop
fi
exec "$@"
"""

USERS = "root:x:0:0::/:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n"
GROUPS = "root:x:0:\npostgres:x:999:\n"


def make(postgres: Path, archive: Path) -> None:
    """Write the image's one layer.

    Args:
        postgres: the folder that holds bin, lib and share.
        archive: the tar file to write.
    """
    with tarfile.open(archive, "w") as image:
        for name in ("bin", "lib", "lib64", "sbin"):
            # Links into /usr, where folders are merged so.
            if Path("/", name).is_symlink():
                image.add(f"/{name}", name)
        commands = [Path(found) for found in map(shutil.which, COMMANDS) if found is not None]
        needed = {
            library
            for path in [*commands, *postgres.glob("bin/*"), *postgres.glob("lib/*.so")]
            for library in libraries(path)
        }
        for path in sorted({*commands, *needed}):
            if not path.is_relative_to(postgres):
                image.add(path.resolve(), str(_as_merged(path)))
        image.add(postgres, "usr/lib/postgresql")
        for name in ("tmp", "var/run", "var/lib/postgresql"):
            _add(image, name, None, 0o1777)
        for name, text, mode in (
            ("entrypoint", ENTRYPOINT, 0o755),
            ("etc/passwd", USERS, 0o644),
            ("etc/group", GROUPS, 0o644),
        ):
            _add(image, name, text, mode)


def libraries(path: Path) -> set[Path]:
    """What the dynamic linker would load for a program, itself among it."""
    told = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(/\S+) \(0x", told)}


def _as_merged(path: Path) -> Path:
    """Where it lies if /lib is a link to /usr/lib: below the folder that the link names."""
    return Path(os.path.realpath(path.parent), path.name).relative_to("/")


def _add(image: tarfile.TarFile, name: str, text: str | None, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if text is None:
        entry.type = tarfile.DIRTYPE
        image.addfile(entry)
    else:
        entry.size = len(text.encode())
        image.addfile(entry, io.BytesIO(text.encode()))
