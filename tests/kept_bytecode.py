"""Bytecode that is kept by the content of its source, so that no environment and no project compiles it again.

A new environment has the same libraries as those before it, and a new project the same harness; Python takes 6 s of CPU
time to compile what a first run imports of them. A script, which the Python that compiles runs:

    python kept_bytecode.py restore|keep FOLDER…

`keep` stores the bytecode in some folders, and `restore` writes what is stored for their sources, as Python and pytest
would have written it.
"""

import hashlib
import marshal
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import source_hash
from pathlib import Path
from types import CodeType

# pytest's folder for what it keeps between runs; git ignores it.
KEPT = Path(__file__).parents[1] / ".pytest_cache" / "bytecode" / sys.implementation.cache_tag

# Magic number and flags, and then time and size of the source, or its hash: https://peps.python.org/pep-0552/
STATE, CODE = 8, 16

# Seconds.
WEEK = 7 * 24 * 3600
# The time of files that need not be kept again.
RESTORED = 0


def keep(folder: Path) -> None:
    """Store the bytecode in a folder that was not restored."""
    for parent, _, files in _visible(folder):
        for path in Path(parent, "__pycache__").glob("*.pyc"):
            stem, _, ending = path.name.partition(".")
            if f"{stem}.py" not in files or path.stat().st_mtime == RESTORED:
                continue
            source = Path(parent, f"{stem}.py")
            data, content = source.read_bytes(), path.read_bytes()
            # A source may be newer than its bytecode.
            if content[STATE:CODE] == _state(content[:STATE], source, data):
                kept = KEPT / f"{_key(folder, source, data)}.{ending}"
                partial = kept.with_name(f"{kept.name}.{os.getpid()}")
                partial.write_bytes(content)
                partial.replace(kept)


def restore(folder: Path) -> None:
    """Write the bytecode that is stored, and remove from the store what is older than a week."""
    stored: dict[str, list[str]] = {}
    for entry in os.scandir(KEPT):
        key, _, ending = entry.name.partition(".")
        if entry.stat().st_mtime > time.time() - WEEK:
            stored.setdefault(key, []).append(ending)
        else:
            Path(entry).unlink(missing_ok=True)
    for parent, _, files in _visible(folder):
        for source in (Path(parent, name) for name in files if name.endswith(".py")):
            data = source.read_bytes()
            key = _key(folder, source, data)
            for ending in stored.get(key, []):
                with suppress(FileNotFoundError):  # removed meanwhile
                    _write(source, data, ending, (KEPT / f"{key}.{ending}").read_bytes())


def _write(source: Path, data: bytes, ending: str, kept: bytes) -> None:
    header, code = kept[:STATE], kept[CODE:]
    # Python itself corrects the name of the source when it imports a module, and pytest does not.
    if "-pytest-" in ending:
        code = marshal.dumps(moved(marshal.loads(code), str(source)))  # noqa: S302 - stored by `keep`
    path = source.parent / "__pycache__" / f"{source.stem}.{ending}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(header + _state(header, source, data) + code)
    os.utime(path, (RESTORED, RESTORED))


def moved(code: CodeType, filename: str) -> CodeType:
    """Code as it is compiled from another file with the same content."""
    constants = (moved(each, filename) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_filename=filename, co_consts=tuple(constants))


def _visible(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        yield parent, folders, files


def _key(folder: Path, source: Path, data: bytes) -> str:
    # With its path, since pytest rewrites a file by its name, and assertions of some files only.
    return hashlib.sha256(f"{source.relative_to(folder)}\0".encode() + data).hexdigest()[:32]


def _state(header: bytes, source: Path, data: bytes) -> bytes:
    if any(header[4:]):
        return source_hash(data)
    state = source.stat()
    return b"".join((number & 0xFFFFFFFF).to_bytes(4, "little") for number in (int(state.st_mtime), state.st_size))


if __name__ == "__main__":
    KEPT.mkdir(parents=True, exist_ok=True)
    for argument in sys.argv[2:]:
        (keep if sys.argv[1] == "keep" else restore)(Path(argument))
