"""The settings of a server that the harness starts: everything that protects data from a crash is off."""

from collections.abc import Mapping, Sequence

import psycopg

from .server import NoServerError, Server

SETTINGS = {
    # The data of a crashed server is discarded, so no write needs to wait for the disk.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Autovacuum was the most frequent cause of "database is being accessed by other users".
    "autovacuum": "off",
    # Compiling a test's query takes longer than running it.
    "jit": "off",
    # With "minimal", cloning a database took 34 ms instead of 22.
    "wal_level": "replica",
    # The default of 1 GB would fill tmpfs in a long run.
    "max_wal_size": "256MB",
    # Dynamic shared memory in files of the data folder. In /dev/shm, it would be left behind after `kill -9`.
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "200",
    "log_timezone": "UTC",
}


def with_options(options: Sequence[str]) -> dict[str, str]:
    """The settings, and those of the project as `name=value`, which come first; raises `NoServerError`."""
    for option in options:
        if "=" not in option:
            raise NoServerError(f'postgres_options: {option!r} must be a setting of the server, as "work_mem=64MB"')
    return SETTINGS | {name.strip(): value.strip() for name, _, value in (each.partition("=") for each in options)}


def arguments(values: Mapping[str, str]) -> list[str]:
    """Settings as command-line arguments of `postgres`."""
    return [argument for name, value in values.items() for argument in ("-c", f"{name}={value}")]


def check(server: Server, values: Mapping[str, str]) -> None:
    """Check that the server uses the settings of the harness.

    Args:
        values: the server's settings; those that the project has changed are not checked.

    Raises:
        NoServerError: a setting differs, or the server does not answer.
    """
    try:
        with server.connect() as connection:
            for name, expected in SETTINGS.items() & values.items():
                row = connection.execute(f"SHOW {name}".encode()).fetchone()
                if row is None or row[0] != expected:
                    raise NoServerError(
                        f"the server from {server.origin} has {name} = {row and row[0]}, not {expected}"
                    )
    except psycopg.Error as error:
        raise NoServerError(f"the server from {server.origin} does not answer: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    """The first line of a libpq error, without hints and further addresses."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
