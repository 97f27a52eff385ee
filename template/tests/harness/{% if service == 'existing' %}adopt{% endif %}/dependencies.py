"""What a service depends on, and whether the harness can test it."""

import re
from collections.abc import Iterator
from pathlib import Path

from .texts import read, toml

POSTGRESQL = {"asyncpg", "psycopg", "psycopg2", "psycopg2-binary"}
OTHERS = {"django": "Django", "aiomysql": "MySQL", "asyncmy": "MySQL", "mysqlclient": "MySQL", "pymysql": "MySQL"}
NAMES = {*POSTGRESQL, *OTHERS, "aiosqlite"}

# With requirements in a format that is not read: any of the names counts.
OTHER_FILES = ("setup.py", "setup.cfg", "Pipfile", "environment.yml", "environment.yaml", "*requirements*.in")


def dependencies(root: Path) -> set[str]:
    """The names in pyproject.toml and in requirements files, normalized; the known names in other files."""
    project = toml(root / "pyproject.toml")
    lists = [project.get("project", {}).get("dependencies", [])]
    lists += [*project.get("project", {}).get("optional-dependencies", {}).values()]
    lists += [*project.get("dependency-groups", {}).values()]
    poetry = project.get("tool", {}).get("poetry", {})
    lists += [list(poetry.get("dependencies", {}))]
    lists += [list(group.get("dependencies", {})) for group in poetry.get("group", {}).values()]
    lines = [*_requirements(root), *(each for found in lists for each in found)]
    found = [name[0] for line in lines if isinstance(line, str) and (name := re.match(r"[A-Za-z0-9._-]+", line))]
    # A driver may be an extra: sqlalchemy[postgresql-asyncpg].
    found += [name for line in lines if isinstance(line, str) for name in re.findall(r"\bpostgresql[-_](\w+)", line)]
    names = {_normalized(name) for name in found}
    others = [path for pattern in OTHER_FILES for path in root.glob(pattern)]
    words = {_normalized(word) for path in others for word in re.findall(r"[A-Za-z0-9._-]+", read(path))}
    return names | (words & NAMES)


def _requirements(root: Path) -> Iterator[str]:
    files = [*root.glob("*requirements*.txt"), *root.glob("requirements/*.txt")]
    seen: set[Path] = set()
    while files:
        if (path := files.pop().resolve()) in seen:
            continue
        seen.add(path)
        for line in read(path).splitlines():
            if included := re.match(r"\s*(?:-r|--requirement)[\s=]*(\S+)", line):
                files.append(path.parent / included[1])
            yield line.strip()


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def reason_against(names: set[str]) -> str | None:
    """Why the harness cannot test a service with these dependencies; None if it can."""
    if names & POSTGRESQL:
        return None
    others = sorted({OTHERS[name] for name in names & OTHERS.keys()} | ({"SQLite"} if "aiosqlite" in names else set()))
    found = f"; the dependencies have {' and '.join(others)}" if others else "; the dependencies have neither"
    return f"The harness needs SQLAlchemy on PostgreSQL, with asyncpg, psycopg or psycopg2{found}."
