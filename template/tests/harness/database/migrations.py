"""Runs Alembic's commands in a database of the test server, with the application's driver.

With psycopg, statements would pass that asyncpg rejects in production, such as two statements in one `op.execute`.
`migrations/env.py` gets a connection without a transaction, so that it controls transactions as in a deployment.
"""

import asyncio
import io
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.operations.ops import MigrationScript
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, MetaData, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from ..connections.redirect import Redirect
from ..postgres.server import Server
from ..transaction.raw_connection import installed_driver
from .alembic_env import OnVersionApply, alembic_config, takes_connection, watching, without_deprecations
from .imported_files import imported_files
from .migration_errors import MigrationError, as_migration_error, timeout_as_migration_error, warning_of_alembic

HARNESS = __name__.rpartition(".database.")[0]


class Migrations:
    """The project's migrations, for databases of the test server.

    Args:
        server: the server of the databases; None to only read the migrations.
        ini: the project's alembic.ini.
        redirect: exempts the connections of migrations from the redirect to the test's database.
        command: how Alembic's command line is run, for messages.
    """

    def __init__(self, server: Server | None, ini: Path, redirect: Redirect, command: str) -> None:
        self._server = server
        self.ini = ini
        self._redirect = redirect
        self._command = command

    @cached_property
    def script(self) -> ScriptDirectory:
        """Alembic's revisions; raises `MigrationError` if Alembic cannot read them."""
        with warnings.catch_warnings(record=True) as warned, as_migration_error(self.ini.parent, warned):
            warnings.simplefilter("always")
            # Reads the files. Alembic only warns if two revisions have the same ID, and ignores one of them.
            self._directory.get_heads()
        if message := warning_of_alembic(warned):
            raise MigrationError(message)
        return self._directory

    @property
    def count(self) -> int:
        """The number of revisions."""
        return sum(1 for _ in self.script.walk_revisions())

    @property
    def folder(self) -> Path:
        """The folder of env.py and the revisions; does not read them."""
        return Path(self._directory.dir)

    def file(self, script: Script) -> Path:
        """The file of a revision."""
        return Path(script.path).resolve()

    def files(self, root: Path) -> list[Path]:
        """The files that could change the schema; raises `MigrationError` if a revision cannot be read."""
        folders = dict.fromkeys([self.folder, *map(Path, self._directory.version_locations or ())])
        found = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
        files = list(dict.fromkeys(path for path in found if "__pycache__" not in path.parts))
        with as_migration_error(root):
            return [self.ini, *files, *imported_files((path for path in files if path.suffix == ".py"), root)]

    @cached_property
    def _directory(self) -> ScriptDirectory:
        with as_migration_error(self.ini.parent), without_deprecations():
            return ScriptDirectory.from_config(self._config())

    def raise_if_several_heads(self) -> None:
        """Raise `MigrationError` if there is more than one head."""
        heads = self.script.get_heads()
        if len(heads) > 1:
            runner, _, _ = self._command.partition("alembic")
            raise MigrationError(
                f"{len(heads)} heads: {', '.join(heads)}. Merged branches have each added a revision.\n"
                f"Let the revisions of this branch follow the other head: {runner}python -m {HARNESS} rebase\n"
                f'Or merge the heads: {self._command} merge heads -m "merge"'
            )

    def upgrade(self, database: str, revision: str = "head", watch: OnVersionApply | None = None) -> None:
        """Run upgrades up to `revision`; raises `MigrationError`."""
        self.raise_if_several_heads()
        self.run(database, lambda config: command.upgrade(config, revision), watch)

    def downgrade(self, database: str, revision: str = "base", watch: OnVersionApply | None = None) -> None:
        """Run downgrades down to `revision`; raises `MigrationError`."""
        self.run(database, lambda config: command.downgrade(config, revision), watch)

    def revision(self, database: str, message: str, rev_id: str | None = None, *, is_empty: bool) -> Script | None:
        """Write a revision with what the models have and `database` lacks; None if they do not differ.

        Args:
            is_empty: write it without operations, whatever differs.
        """
        written: list[Script | None] = []

        def write(config: Config) -> None:
            def skip_empty(context: object, revision: object, directives: list[MigrationScript]) -> None:
                if directives[0].upgrade_ops is not None and directives[0].upgrade_ops.is_empty():
                    directives.clear()

            skip = None if is_empty else skip_empty
            made = command.revision(
                config, message, autogenerate=not is_empty, rev_id=rev_id, process_revision_directives=skip
            )
            written.extend(made if isinstance(made, list) else [made])

        self.run(database, write)
        return written[0] if written else None

    def create_all(self, database: str, metadata: MetaData) -> None:
        """Create the models' tables in `database` without migrations, for comparison."""
        self.connected(database, metadata.create_all)

    def connected(self, database: str, run: Callable[[Connection], None]) -> None:
        """Call `run` with a connection of the application's driver, in another thread; what it does is committed."""
        self._in_thread(lambda: asyncio.run(self._connected(database, run)))

    def run(
        self,
        database: str,
        do: Callable[[Config], None],
        watch: OnVersionApply | None = None,
        change: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Run a command of Alembic; raises `MigrationError`.

        Args:
            watch: called after each revision.
            change: called with the options that env.py passes; may change them.
        """

        def run(connection: Connection | None = None) -> None:
            config = self._config()
            if connection is not None:
                config.attributes["connection"] = connection
            with as_migration_error(self.ini.parent), without_deprecations(), watching(watch, change):
                do(config)

        # An engine of env.py's own is redirected.
        with self._redirect.to(self._of_server.libpq_url(database)):
            if takes_connection(self.folder / "env.py"):
                self._in_thread(lambda: asyncio.run(self._connected(database, run)))
            else:
                self._in_thread(run)

    @property
    def _of_server(self) -> Server:
        assert self._server is not None, "without a server, migrations can only be read"
        return self._server

    def _in_thread(self, run: Callable[[], None]) -> None:
        # In a thread, since asyncio.run() fails inside a running loop. A daemon thread, so that Ctrl-C does not wait
        # for a slow migration.
        done: Future[None] = Future()

        def work() -> None:
            try:
                run()
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)

        thread = Thread(target=work, name="alembic", daemon=True)
        thread.start()
        with timeout_as_migration_error(thread, self.ini.parent):
            done.result()

    async def _connected(self, database: str, run: Callable[[Connection], None]) -> None:
        engine = create_async_engine(self._of_server.url(database, installed_driver()), poolclass=NullPool)
        self._redirect.engines.exempt(engine, self._of_server.libpq_url(database))
        try:
            async with engine.connect() as connection:
                await connection.run_sync(run)
                await connection.commit()
        finally:
            await engine.dispose()

    def _config(self) -> Config:
        return alembic_config(self.ini, stdout=io.StringIO(), output_buffer=io.StringIO())
