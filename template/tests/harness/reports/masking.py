"""Masks the password of the server in reports: drivers have it in variables that `--full-trace --showlocals` prints.

The text of a report is masked with its captured output, before pytest-xdist sends it and before a plugin writes it to a
file. A password that is also a common word, such as "postgres", or a name of the service or of its database, is masked
only where it is a password.
"""

import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..core.project import source_folders
from ..database.server import USED
from ..postgres.server import Server
from ..postgres.url import VARIABLE

MASK = "***"

# Of servers for tests: their users, databases and passwords often have the same name.
COMMON = {"postgres", "postgresql", "password", "passwd", "secret", "test", "tests", "testing", "user", "admin", "root"}
SHORTEST = 5


def mask(item: pytest.Item, report: pytest.TestReport) -> None:
    """Replace the passwords in the report's text and its captured output."""
    # Without them, nothing is searched.
    reason: str = getattr(report, "wasxfail", "")
    if not (report.longrepr or report.sections or reason) or not (patterns := _patterns(item.config)):
        return

    def masked(text: str) -> str:
        for pattern in patterns:
            text = pattern.sub(rf"\g<before>{MASK}", text)
        return text

    report.longrepr = _replaced(report.longrepr, masked)
    report.sections = [(name, masked(content)) for name, content in report.sections]
    if reason:
        report.wasxfail = masked(reason)


def _patterns(config: pytest.Config) -> list[re.Pattern[str]]:
    server = config.stash.get(USED, None)
    passwords = {getattr(server, "password", None), os.environ.get("PGPASSWORD"), getattr(_url(), "password", None)}
    passwords -= {None, ""}
    names = _names(config, server) if passwords else set()
    return [_pattern(password, names) for password in passwords if password is not None]


def _names(config: pytest.Config, server: Server | None) -> set[str]:
    """What reports are full of: names of the project, its packages, the user and the database."""
    url = _url()
    paths = [config.rootpath, *(path for folder in source_folders(config) for path in (folder, *folder.glob("*")))]
    names = {path.stem for path in paths} | {getattr(server, "user", None)}
    return {name.lower() for name in names | ({url.username, url.database} if url else set()) if name}


def _url() -> URL | None:
    try:
        return make_url(os.environ.get(VARIABLE, ""))
    except (ArgumentError, ValueError):
        return None


def _pattern(password: str, names: set[str]) -> re.Pattern[str]:
    # As it is, in Python's quotes, and in a URL.
    forms = {password, repr(password)[1:-1], quote(password, safe=""), quote_plus(password), quote(password)}
    texts = "|".join(sorted(map(re.escape, forms), key=len, reverse=True))
    if len(password) >= SHORTEST and password.lower() not in COMMON | names:
        return re.compile(f"(?P<before>)(?:{texts})")
    # `password='…'`, `'password': '…'`, `PGPASSWORD=…`, `//user:…@host`.
    return re.compile(rf"(?P<before>password\\?['\"]?\s*[=:]\s*\\?['\"]?|//[^:/@\s]*:)(?:{texts})(?!\w)", re.IGNORECASE)


def _replaced(value: Any, masked: Callable[[str], str]) -> Any:
    """The value with all its texts replaced: pytest's representation of an error is a tree of small objects."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list | tuple):
        return type(value)(_replaced(part, masked) for part in value)
    if type(value).__module__ == "_pytest._code.code":
        # Some are frozen.
        for name, part in vars(value).items():
            object.__setattr__(value, name, _replaced(part, masked))
    return value
