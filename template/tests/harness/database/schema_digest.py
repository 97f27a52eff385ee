"""A digest of everything that could change the schema: files, settings, environment variables, packages.

Files: alembic.ini, the folder of the migrations, the project's modules that env.py or a revision imports, and the files
that the migrations have read. Environment variables: those that this code reads by a name that stands in it.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import alembic
import sqlalchemy

from .environment_reads import environment_reads
from .migrations import Migrations
from .opened_files import content, recording, remember, remembered
from .ownership import MARK


class SchemaDigest:
    """The digest of the project's schema, as its files are when it is first computed.

    Args:
        migrations: the project's migrations.
        root: pytest's root folder.
        settings: settings that could change the schema.

    Raises:
        MigrationError: a revision cannot be read.
    """

    def __init__(self, migrations: Migrations, root: Path, settings: Sequence[str]) -> None:
        self._root = root
        self._migrations = migrations
        self._files = migrations.files(root)
        variables = {name: os.environ.get(name) for name in sorted(environment_reads(self._files))}
        # With the mark, since databases of 0.3.0 have none and must not be used again.
        facts = repr((MARK, *settings, variables, alembic.__version__, sqlalchemy.__version__))
        self._code = self._hash(facts, self._files)
        self._read = remembered(self._code, root)

    @cached_property
    def value(self) -> str:
        """Hexadecimal."""
        return self._hash(self._code, sorted(self._read)) if self._read else self._code

    def record(self, run: Callable[[], None]) -> None:
        """Run the migrations, and include the files that they read."""
        with recording(self._root) as found:
            run()
        new = {path for path in found if path not in self._files and not path.is_relative_to(self._migrations.folder)}
        if new - self._read:
            self._read |= new
            remember(self._code, self._root, self._read)
            del self.value

    def _hash(self, facts: str, paths: Sequence[Path]) -> str:
        digest = hashlib.sha256(facts.encode())
        for path in paths:
            text = content(path)
            # With its length, so that the end of a file cannot be taken for the start of the next.
            digest.update(f"{os.path.relpath(path, self._root)}:{len(text)}:".encode() + text)
        return digest.hexdigest()
