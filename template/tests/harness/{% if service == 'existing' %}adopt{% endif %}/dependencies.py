"""What a service depends on, and whether the harness can test it."""

import re
import tomllib
from pathlib import Path

POSTGRESQL = {"asyncpg", "psycopg", "psycopg2", "psycopg2-binary"}
OTHERS = {"django": "Django", "aiomysql": "MySQL", "asyncmy": "MySQL", "mysqlclient": "MySQL", "pymysql": "MySQL"}


def dependencies(root: Path) -> set[str]:
    """The names in pyproject.toml and in requirements files, normalized."""
    files = [*root.glob("*requirements*.txt"), *root.glob("requirements/*.txt")]
    texts = [path.read_text(encoding="utf-8") for path in files]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [project.get("project", {}).get("dependencies", [])]
    lists += [*project.get("project", {}).get("optional-dependencies", {}).values()]
    lists += [*project.get("dependency-groups", {}).values()]
    poetry = project.get("tool", {}).get("poetry", {})
    lists += [list(poetry.get("dependencies", {}))]
    lists += [list(group.get("dependencies", {})) for group in poetry.get("group", {}).values()]
    lines = [line for text in texts for line in text.splitlines()] + [each for found in lists for each in found]
    found = [name[0] for line in lines if isinstance(line, str) and (name := re.match(r"[A-Za-z0-9._-]+", line))]
    # A driver may be an extra: sqlalchemy[postgresql-asyncpg].
    found += [name for line in lines if isinstance(line, str) for name in re.findall(r"\bpostgresql[-_](\w+)", line)]
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


def reason_against(names: set[str]) -> str | None:
    """Why the harness cannot test a service with these dependencies; None if it can."""
    if names & POSTGRESQL:
        return None
    others = sorted({OTHERS[name] for name in names & OTHERS.keys()} | ({"SQLite"} if "aiosqlite" in names else set()))
    found = f"; the dependencies have {' and '.join(others)}" if others else "; the dependencies have neither"
    return f"The harness needs SQLAlchemy on PostgreSQL, with asyncpg, psycopg or psycopg2{found}."
