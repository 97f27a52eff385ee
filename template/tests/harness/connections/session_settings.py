"""Session settings that the harness adds to connections of the application and of tests."""

from typing import Any

# The holder of a lock is in the same test, so a longer wait does not help. The application's own setting overrides it.
LOCK_TIMEOUT_MS = 10_000

# The outer transaction of a savepoint test is longer than a transaction of the application, and idle between them.
TRANSACTION_TIMEOUTS = {"idle_in_transaction_session_timeout", "transaction_timeout"}


Options = dict[str, Any]


def with_settings(driver: str, options: Options, own: Options, is_read_only: bool, role: str) -> Options:
    """The options of a connection, with session settings that the caller has not set.

    Args:
        own: options of the harness: the address.
        is_read_only: whether transactions are read-only.
        role: the role to which the session changes, and to which RESET ROLE returns; "": the user that connects.
    """
    settings = {"lock_timeout": str(LOCK_TIMEOUT_MS)}
    if role:
        settings["role"] = role
    if is_read_only:
        settings["default_transaction_read_only"] = "on"
    if driver == "asyncpg":
        return {**options, **own, "server_settings": {**settings, **(options.get("server_settings") or {})}}
    if driver.startswith("psycopg"):
        # libpq uses the last of several values.
        ours = " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())
        return {**options, **own, "options": " ".join(filter(None, [own.get("options"), ours, options.get("options")]))}
    return options | own


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace(" ", r"\ ")


def without_transaction_timeouts(driver: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options of the shared connection of a savepoint test: the limits that the application sets are off."""
    if driver == "asyncpg":
        settings = options.get("server_settings") or {}
        return {
            **options,
            "server_settings": {**settings, **dict.fromkeys(TRANSACTION_TIMEOUTS & settings.keys(), "0")},
        }
    text = options.get("options", "")
    # libpq uses the last of several values.
    return {
        **options,
        "options": " ".join([text, *(f"-c {name}=0" for name in sorted(TRANSACTION_TIMEOUTS) if name in text)]),
    }
