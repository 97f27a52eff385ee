"""A cache of stopped clusters with a migrated schema, so that runs need neither initdb nor the migrations.

A run copies an entry into its folder and starts a server on the copy, which takes 0.1 s. An entry is written atomically
and never changed. It has a checksum: an entry that was damaged, by a power cut or a full disk, is made again. It is
removed if it was not used for a week, or if there are too many. If the cache cannot be read or written, the run works
without it.
"""

import hashlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..core.cache_folder import WEEK, cache_folder, is_private, private_cache
from . import settings
from .binaries import Binaries
from .privileges import User
from .schema import Schema
from .tree_copy import copy_tree, open_regular

# Increase it when the contents of an entry or the layout of the cache change.
FORMAT = 2

FOLDER = "clusters"

# An entry is a folder with the cluster and its checksum.
DATA = "data"
CHECKSUM = "checksum"

MAX_ENTRIES = 5


class ClusterCache:
    """The cache entry for one schema, one build of PostgreSQL and the settings of the server."""

    def __init__(self, schema: Schema, binaries: Binaries, options: Mapping[str, str] = settings.SETTINGS) -> None:
        facts = (binaries.folder / "postgres").stat()
        self._build = (binaries.version, facts.st_size, facts.st_mtime_ns, platform.machine(), dict(options))
        self._schema = schema
        self.folder = cache_folder(FOLDER)

    @property
    def entry(self) -> Path:
        """The folder of the entry."""
        digest = hashlib.sha256(repr((FORMAT, self._schema.digest(), self._build)).encode()).hexdigest()
        return self.folder / digest[:24]

    def copy_to(self, data: Path, user: User | None) -> bool:
        """Copy the entry to `data`, an empty folder, for a server that runs as `user`; returns whether it did."""
        if self._schema.rebuild:
            return False
        try:
            with private_cache(FOLDER, shared=True):
                if not is_private(self.entry):
                    return False
                with open_regular(self.entry / CHECKSUM) as file:
                    checksum = file.read()
                if copy_tree(self.entry / DATA, data, user).encode() != checksum:
                    raise OSError(f"{self.entry} is damaged")
                os.utime(self.entry)
        except OSError:
            _empty(data)
            return False
        return True

    def write(self, data: Path) -> None:
        """Store the cluster in `data`, whose server has been shut down; replaces an existing entry."""
        with suppress(OSError), private_cache(FOLDER):
            self._sweep()
            temporary = Path(tempfile.mkdtemp(prefix="writing-", dir=self.folder))
            try:
                (temporary / DATA).mkdir(mode=0o700)
                checksum = copy_tree(data, temporary / DATA, None)
                (temporary / CHECKSUM).touch(0o600)
                (temporary / CHECKSUM).write_text(checksum)
                shutil.rmtree(self.entry, ignore_errors=True)
                temporary.rename(self.entry)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def discard(self) -> None:
        """Remove the entry, because no server starts from it."""
        with suppress(OSError), private_cache(FOLDER):
            shutil.rmtree(self.entry, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove incomplete entries of killed runs, entries older than a week, and the oldest if there are too many."""
        entries = []
        for path in self.folder.iterdir():
            if path.name.startswith("writing-"):
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_dir():
                entries.append(path)
        entries.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for number, path in enumerate(entries, 1):
            if number >= MAX_ENTRIES or time.time() - path.stat().st_mtime > WEEK:
                shutil.rmtree(path, ignore_errors=True)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
