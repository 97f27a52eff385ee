"""Reads and changes files of a service: their encoding and their line ends are kept."""

import codecs
import sys
import tomllib
from collections.abc import Callable
from configparser import ConfigParser
from configparser import Error as IniError
from pathlib import Path
from typing import Any

WITHOUT_TOML = """\
{}: this is not TOML: {}"""
BYTE_ORDER_MARK = """\
{} begins with a byte order mark, which is no TOML: pytest cannot read it. Save the file as UTF-8 without it."""
# pytest reads the first of these files that has its section.
PYTEST_FILES = {
    "pytest.toml": ("pytest",),
    ".pytest.toml": ("pytest",),
    "pytest.ini": ("pytest",),
    ".pytest.ini": ("pytest",),
    "pyproject.toml": ("tool", "pytest"),
    "tox.ini": ("pytest",),
    "setup.cfg": ("tool:pytest",),
}


def read(path: Path) -> str:
    """The text, whatever its encoding; "" if there is no such file."""
    content = path.read_bytes() if path.is_file() else b""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # `pip freeze > requirements.txt` in PowerShell.
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def toml(path: Path) -> dict[str, Any]:
    """The content, {} if there is no such file; ends with a message if it is not TOML."""
    content = path.read_bytes() if path.is_file() else b""
    if content.startswith(codecs.BOM_UTF8):
        sys.exit(BYTE_ORDER_MARK.format(path.name))
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        sys.exit(WITHOUT_TOML.format(path.name, error))


def change(path: Path, edit: Callable[[str], str]) -> None:
    """Write what `edit` returns for the text, "" if there is no such file; nothing if it is the same."""
    before = path.read_bytes().decode("utf-8") if path.is_file() else ""
    has_crlf = 0 < before.count("\r\n") == before.count("\n")
    text = before.replace("\r\n", "\n") if has_crlf else before
    if (after := edit(text)) != text:
        path.write_bytes((after.replace("\n", "\r\n") if has_crlf else after).encode("utf-8"))


def pytest_settings(root: Path) -> dict[str, Any]:
    """The settings of pytest, of the file that it reads; a list may be a text with spaces."""
    for name, section in PYTEST_FILES.items():
        if not (path := root / name).is_file():
            continue
        if path.suffix == ".toml":
            found: dict[str, Any] = toml(path)
            for key in section:
                found = found.get(key, {})
            found = {**found, **found.get("ini_options", {})}
        else:
            found = _ini(path, section[0])
        # pytest.ini is read also if it is empty.
        if found or "pytest." in name:
            return found
    return {}


def _ini(path: Path, section: str) -> dict[str, Any]:
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(read(path))
    except IniError:
        return {}
    return dict(parser[section]) if section in parser else {}


def as_list(value: Any) -> list[str]:
    """The parts of a setting that is a list or a text with spaces."""
    return value.split() if isinstance(value, str) else list(value or ())
