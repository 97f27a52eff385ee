"""How a server of the harness's own is set: everything that only helps a database to survive is off."""

import psycopg

from .server import NoServerError, Server

SETTINGS = {
    # A server that crashes is thrown away, so nothing waits for a disk.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # It was the most frequent cause of "database is being accessed by other users".
    "autovacuum": "off",
    # The queries of tests are short: compiling one takes longer than running it.
    "jit": "off",
    # Not "minimal": cloning a database took 34 ms instead of 22.
    "wal_level": "replica",
    # The log of a long run would fill tmpfs: 1 GB by default.
    "max_wal_size": "256MB",
    # Shared memory in files of the data folder, which go when it goes. In /dev/shm they would survive `kill -9`.
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "200",
    "log_timezone": "UTC",
}


def arguments() -> list[str]:
    """The settings as arguments of `postgres`."""
    return [argument for name, value in SETTINGS.items() for argument in ("-c", f"{name}={value}")]


def check(server: Server) -> None:
    """Ask the server whether it took the settings.

    Raises:
        NoServerError: it did not, or does not answer.
    """
    try:
        with server.connect() as connection:
            for name, wanted in SETTINGS.items():
                row = connection.execute(f"SHOW {name}".encode()).fetchone()
                if row is None or row[0] != wanted:
                    raise NoServerError(f"the server from {server.origin} has {name} = {row and row[0]}, not {wanted}")
    except psycopg.Error as error:
        raise NoServerError(f"the server from {server.origin} does not answer: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    """What an error of libpq says, without its hints and its second address."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
