"""Runs an env.py of any shape: with a connection that it is passed, or with an engine of its own.

The harness records what each revision does (`on_version_apply`), whatever env.py passes to `context.configure`. Logging
keeps its configuration: `fileConfig`, as `alembic init` writes it, disables the loggers that exist. An engine for
another database system is refused before it connects: it cannot be redirected, and a downgrade would drop tables.
"""

import logging.config
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import Dialect

from ..transaction.logical_connection import IN_MIGRATION
from ..transaction.raw_connection import installed_driver
from .roles_in_migrations import tolerating_roles

# Called after each revision, in its transaction: `on_version_apply` of `EnvironmentContext.configure`.
OnVersionApply = Callable[..., None]

NOT_POSTGRESQL = (
    "env.py connects to {}, not to PostgreSQL. Set the URL that it reads to a PostgreSQL URL, e.g. in conftest.py: "
    'os.environ["DATABASE_URL"] = "postgresql+{}://". Tests never connect to its address.'
)
TAKES_CONNECTION = re.compile(r"""attributes(?:\.get\(|\[)\s*["']connection["']""")
# Paths that Alembic reads relative to the working directory.
PATHS = ("script_location", "prepend_sys_path")


class NotPostgreSQLError(Exception):
    """env.py connects to another database system."""


def configure(config: pytest.Config) -> None:
    # For the whole run: SQLAlchemy may be calling listeners of this event when migrations begin.
    event.listen(Engine, "do_connect", _check)
    config.add_cleanup(partial(event.remove, Engine, "do_connect", _check))


def _check(dialect: Dialect, *arguments: Any) -> None:
    if IN_MIGRATION.get() and dialect.name != "postgresql":
        raise NotPostgreSQLError(NOT_POSTGRESQL.format(dialect.name, installed_driver()))


def alembic_config(ini: Path, **options: Any) -> Config:
    """The configuration that `alembic` reads in the folder of alembic.ini, from any working directory."""
    config = Config(ini, **options)
    # Alembic does not escape it, and fails in a folder whose name has a percent sign.
    config.file_config.set("DEFAULT", "here", ini.parent.absolute().as_posix().replace("%", "%%"))
    for name in PATHS:
        value = config.get_main_option(name)
        # `package:folder` is no path.
        if value and ":" not in value and not Path(value).is_absolute():
            config.set_main_option(name, str(ini.parent.absolute() / value).replace("%", "%%"))
    return config


def takes_connection(env: Path) -> bool:
    """Whether this env.py uses `config.attributes["connection"]`."""
    return TAKES_CONNECTION.search(env.read_text(encoding="utf-8")) is not None


@contextmanager
def without_deprecations() -> Iterator[None]:
    """Ignore Alembic's warnings on alembic.ini: with `filterwarnings = error`, no test of the project would run."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No path_separator found", DeprecationWarning)
        yield


@contextmanager
def watching(watch: OnVersionApply | None, change: Callable[[dict[str, Any]], None] | None = None) -> Iterator[None]:
    """Call `watch` after each revision that runs in the block, besides what env.py calls; leave logging as it is.

    Args:
        change: called with the options that env.py passes to `context.configure`; may change them.
    """
    configure, file_config = EnvironmentContext.configure, logging.config.fileConfig

    def configure_watched(
        self: EnvironmentContext, connection: Connection | None = None, *arguments: Any, **options: Any
    ) -> None:
        if connection is not None:
            # An engine with `creator=`, or one that has connected before.
            _check(connection.dialect)
        own = options.get("on_version_apply") or ()
        options["on_version_apply"] = [*([own] if callable(own) else own), *([watch] if watch else [])]
        if change is not None:
            change(options)
        configure(self, connection, *arguments, **options)

    EnvironmentContext.configure = configure_watched  # type: ignore[method-assign]
    logging.config.fileConfig = lambda *arguments, **options: None
    before = IN_MIGRATION.set(True)
    try:
        with tolerating_roles():
            yield
    finally:
        IN_MIGRATION.reset(before)
        EnvironmentContext.configure = configure  # type: ignore[method-assign]
        logging.config.fileConfig = file_config
