"""The releases of this repository: each version that its pyproject.toml has had, and the commit that set it.

    python3 tests/releases.py                 a line for each, the oldest first: its version and its commit
    python3 tests/releases.py notes 0.1.0     what CHANGELOG.md says of one

The release workflow tags by this; the tests of upgrades start from each. Standard library alone.
"""

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Before the first release.
UNRELEASED = "0.0.0"


class HistoryError(Exception):
    """The releases cannot be told; one line."""


@dataclass(frozen=True)
class Release:
    version: str
    commit: str

    @property
    def tag(self) -> str:
        return f"v{self.version}"

    @property
    def number(self) -> tuple[int, ...]:
        return number(self.version)


def number(version: str) -> tuple[int, ...]:
    """A version to be compared."""
    return tuple(map(int, version.split(".")))


def releases(root: Path = ROOT) -> list[Release]:
    """Every release on the way to HEAD, the oldest first.

    Raises:
        HistoryError: the history is cut off, and would show its oldest commit as a release.
    """
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise HistoryError("this is a shallow clone, which has no releases to upgrade from: git fetch --unshallow")
    found: dict[str, Release] = {}
    log = _git(root, "log", "--reverse", "--format=%H", "-G^version = ", "--", "pyproject.toml")
    for commit in log.split():
        version = tomllib.loads(_git(root, "show", f"{commit}:pyproject.toml"))["project"]["version"]
        if version != UNRELEASED:
            found.setdefault(version, Release(version, commit))
    return list(found.values())


def current_version(root: Path = ROOT) -> str:
    """What pyproject.toml says now."""
    version: str = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return version


def sections(root: Path = ROOT) -> dict[str, str]:
    """CHANGELOG.md by version, the newest first."""
    _, *parts = re.split(r"^## (\S+)(?: - \d{4}-\d\d-\d\d)?$", (root / "CHANGELOG.md").read_text(), flags=re.M)
    return dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", root, *arguments], check=True, capture_output=True, text=True).stdout


def main(arguments: list[str]) -> str:
    """What to print."""
    match arguments:
        case []:
            return "\n".join(f"{release.version} {release.commit}" for release in releases())
        case ["notes", version]:
            return sections()[version]
    raise SystemExit(__doc__)


if __name__ == "__main__":
    print(main(sys.argv[1:]))
