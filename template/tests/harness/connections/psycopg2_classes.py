"""A class of psycopg2's connections that calls a function before each use: its methods are written in C."""

import functools
from collections.abc import Callable
from typing import Any

# Methods that send statements.
OF_CURSOR = ["execute", "executemany", "callproc", "copy_expert", "copy_from", "copy_to"]
OF_CONNECTION = ["commit", "lobject", "tpc_begin", "tpc_prepare", "tpc_commit", "tpc_rollback"]
CHECKED = "savepoint_is_checked"

# Called with the connection, and with the class that it would have.
Check = Callable[[Any, Any], None]


def checking_connection(factory: Any, check: Check) -> Any:
    """A subclass of a class of connections, whose methods and whose cursors' methods call `check` first.

    The argument `connection_factory` may also be a function, which is returned unchanged.
    """
    if not isinstance(factory, type) or hasattr(factory, CHECKED):
        return factory
    of_factory: Any = factory

    def cursor(connection: Any, *arguments: Any, **options: Any) -> Any:
        options |= zip(("name", "cursor_factory", "scrollable", "withhold"), arguments, strict=False)
        given = options.get("cursor_factory") or connection.cursor_factory
        if given is not None and not isinstance(given, type):
            check(connection, factory)
            return of_factory.cursor(connection, **options)
        # The factory decides; a cursor that is not used sends nothing.
        of_cursor = type(of_factory.cursor(connection, **options))
        options["cursor_factory"] = _checking(of_cursor, OF_CURSOR, check, factory)
        return of_factory.cursor(connection, **options)

    checking = _checking(factory, OF_CONNECTION, check, factory)
    return type(factory.__name__, (checking,), {"cursor": cursor, CHECKED: True})


def _checking(checked: type, names: list[str], check: Check, factory: type) -> type:
    def checking(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def send(sender: Any, *arguments: Any, **options: Any) -> Any:
            # A connection, or a cursor.
            check(getattr(sender, "connection", sender), factory)
            return method(sender, *arguments, **options)

        return send

    return type(checked.__name__, (checked,), {name: checking(getattr(checked, name)) for name in names})
