"""What the harness asks of the server for connections of the application and of tests, beside the address."""

from typing import Any

# How long one waits for a lock: whoever holds it is in the same test. What the application says counts more.
LOCK_TIMEOUT_MS = 10_000


def with_settings(driver: str, options: dict[str, Any], is_read_only: bool) -> dict[str, Any]:
    """The options of a connection, with settings of its session that the caller does not set.

    Args:
        is_read_only: whether nothing may be written.
    """
    settings = {"lock_timeout": str(LOCK_TIMEOUT_MS)}
    if is_read_only:
        settings["default_transaction_read_only"] = "on"
    if driver == "asyncpg":
        return {**options, "server_settings": {**settings, **(options.get("server_settings") or {})}}
    if driver.startswith("psycopg"):
        # libpq takes the last of several.
        ours = " ".join(f"-c {name}={value}" for name, value in settings.items())
        return {**options, "options": f"{ours} {options.get('options', '')}".strip()}
    return options
