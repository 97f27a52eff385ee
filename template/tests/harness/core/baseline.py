"""Findings that are let be for now: `savepoint-baseline.toml` in the folder of the tests, one line for each finding.

A check or a guard does not fail for a finding in the file; any other finding fails. An entry that matches nothing
fails the check too, and is named, as in PHPStan and ESLint: if it stayed, the same finding could return unseen. Only
a run that has looked for an entry calls it mended: not if its check was skipped, failed for another reason or did not
run, and not if its revision is no longer a new one.

`--savepoint-baseline=write` writes what the run finds. What did not run keeps its entries.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from .project import shown
from .source_lines import HARNESS

NAME = "savepoint-baseline.toml"
OPTION = "--savepoint-baseline"
HELP = "write: record what the checks and guards find today, so that only new findings fail; ignore: fail for all"

HEADER = """\
# Findings of Savepoint's checks and guards that existed when this file was written: only new findings fail.
# Mend a finding and delete its line, or write the file again: pytest --savepoint-baseline=write
# That rewrites the entries of what has run, and keeps the others.
"""

Kind = Literal["checks", "guards"]
KINDS: tuple[Kind, ...] = ("checks", "guards")
# By check or by test.
Entries = dict[str, set[str]]

TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass
class Baseline:
    """The entries of the file.

    Args:
        path: the file, which may not exist.
        mode: of the option: "check", "write" or "ignore".

    Attributes:
        exists: whether there was a file at the start of the run.
        checks: the keys of findings, by check.
        guards: the guards, and what they name, by test.
    """

    path: Path
    mode: str = "check"
    exists: bool = False
    checks: Entries = field(default_factory=dict)
    guards: Entries = field(default_factory=dict)

    @property
    def is_written(self) -> bool:
        """Whether this run writes the file."""
        return self.mode == "write"

    def known(self, kind: Kind, name: str) -> set[str]:
        """The entries of a check or of a test; none if the file is ignored."""
        entries: Entries = getattr(self, kind)
        return set() if self.mode == "ignore" else entries.get(name, set())

    def lets_be(self, kind: Kind, name: str, key: str) -> bool:
        """Whether a finding does not fail."""
        return self.is_written or key in self.known(kind, name)


BASELINE = pytest.StashKey[Baseline]()


def add_options(group: Any) -> None:
    """Register the option."""
    group.addoption(OPTION, choices=["check", "write", "ignore"], default="check", metavar="MODE", help=HELP)


def configure(config: pytest.Config) -> None:
    """Read the file; raises `pytest.UsageError` that names the file and the key."""
    baseline = config.stash[BASELINE] = Baseline(HARNESS.parent / NAME, config.getoption("savepoint_baseline"))
    if baseline.path.is_file():
        baseline.exists = True
        for kind, entries in read(baseline.path, shown(baseline.path, config)).items():
            getattr(baseline, kind).update(entries)


def baseline_of(config: pytest.Config) -> Baseline:
    """The baseline of this run."""
    return config.stash[BASELINE]


def read(path: Path, name: str) -> dict[str, Entries]:
    """The entries of a file, by kind; raises `pytest.UsageError`, with the file called `name`."""
    try:
        # An editor may have written a byte order mark, which TOML does not have.
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise pytest.UsageError(f"{name}: this is not TOML: {error}") from None
    found: dict[str, Entries] = {}
    for kind, table in content.items():
        if kind not in KINDS:
            raise pytest.UsageError(f"{name}: unknown key {kind!r}. The tables are [checks] and [guards].")
        if not isinstance(table, dict):
            raise pytest.UsageError(f"{name}: {kind} must be a table, not {table!r}")
        found[kind] = dict(_entries(name, kind, table))
    return found


def _entries(name: str, kind: str, table: Mapping[str, Any]) -> Iterator[tuple[str, set[str]]]:
    checks = _names_of_checks() if kind == "checks" and table else set()
    for key, value in table.items():
        if kind == "checks" and key not in checks:
            close = difflib.get_close_matches(key, checks, 1) or sorted(checks)
            raise pytest.UsageError(f"{name}: [checks]: unknown check {key!r}. Did you mean {' or '.join(close)}?")
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise pytest.UsageError(f"{name}: [{kind}]: {key!r} must be a list of strings, not {value!r}")
        yield key, set(value)


def _names_of_checks() -> set[str]:
    # Read, since a run of a few tests does not import the checks.
    return {name for path in (HARNESS / "checks").glob("*.py") for name in TEST.findall(path.read_text("utf-8"))}


def write(path: Path, entries: Mapping[Kind, Entries]) -> None:
    """Write the file as a whole or not at all; raises `OSError`."""
    written = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        written.write_text(text_of(entries), encoding="utf-8", newline="\n")
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def text_of(entries: Mapping[Kind, Entries]) -> str:
    """The text of the file: sorted, one line for each finding, so that two branches merge."""
    lines = [HEADER]
    for kind in KINDS:
        lines.append(f"[{kind}]")
        for name, keys in sorted(entries[kind].items()):
            if keys:
                lines += [f"{_key(name)} = [", *(f"  {_quoted(key)}," for key in sorted(keys)), "]"]
        lines.append("")
    return "\n".join(lines)


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    # JSON's strings are TOML's, but for DEL. A lone surrogate cannot be written.
    valid = text.encode("utf-8", "backslashreplace").decode()
    return json.dumps(valid, ensure_ascii=False).replace("\x7f", "\\u007F")
