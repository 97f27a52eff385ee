"""The oldest versions of the libraries that the harness runs on. An older one ends the process with one line.

It is imported first, and imports nothing of the harness: an older version may lack what the other modules import.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, version

OLDEST = {
    "pytest": "8.4.0",
    "sqlalchemy": "2.0.40",
    "fastapi": "0.115.0",
    "alembic": "1.13.0",
    "psycopg": "3.2.2",
    "asyncpg": "0.29.0",
    "httpx": "0.27.0",
    "httpx2": "2.0.0",
}
# One of each group must be installed.
REQUIRED = (("pytest",), ("sqlalchemy",), ("fastapi",), ("psycopg",), ("httpx", "httpx2"))


def problems() -> list[str]:
    """A line for each library that is too old or missing."""
    installed = {name: found for name in OLDEST if (found := _version(name)) is not None}
    old = [
        f"{name} {OLDEST[name]} or newer is needed; {found} is installed."
        for name, found in installed.items()
        if _numbers(found) < _numbers(OLDEST[name])
    ]
    missing = [
        f"{' or '.join(f'{name} {OLDEST[name]}' for name in names)} or newer is needed, and is not installed."
        for names in REQUIRED
        if not installed.keys() & names
    ]
    return old + missing


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> list[int]:
    # A pre-release counts as its release.
    return [int(number) for number in re.findall(r"\d+", (re.match(r"[\d.]+", text) or [""])[0])]


if found := problems():
    # Not pytest.UsageError: pytest shows an error that a conftest.py raises with a traceback.
    print(*(f"ERROR: {__package__.replace('.', '/')}: {problem}" for problem in found), sep="\n", file=sys.stderr)
    sys.exit(4)
