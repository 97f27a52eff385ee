"""Who owns what in a rendered project: the table as data, which copier.yml and README.md follow.

A pattern starts with "/" and means what it means to Copier, as in a .gitignore: `*` stops at a slash, `**` does not.
"""

from pathspec import GitIgnoreSpec

# Never touched, deleted or brought back by an update.
USER = [
    "/src/**",
    "/tests/__init__.py",
    "/tests/conftest.py",
    "/tests/factories.py",
    "/tests/test_*.py",
    "/migrations/versions/**",
    "/README.md",
    "/.env.example",
]

# Replaced by an update; a user's edit there is merged three ways.
TEMPLATE = [
    "/tests/harness/**",
    "/tests/README.md",
    "/migrations/env.py",
    "/migrations/script.py.mako",
    "/.github/**",
    "/renovate.json",
    "/.copier-answers.yml",
]

# Merged three ways: both have reason to edit them.
SHARED = [
    "/pyproject.toml",
    "/alembic.ini",
    "/.gitignore",
    "/.pre-commit-config.yaml",
    "/compose.yaml",
    "/schemathesis.toml",
]

TABLE = {"user": USER, "template": TEMPLATE, "shared": SHARED}


def rows(path: str) -> list[str]:
    """Each pattern of the table that a rendered file matches, with its owner."""
    return [
        f"{owner}: {pattern}"
        for owner, patterns in TABLE.items()
        for pattern in patterns
        if GitIgnoreSpec.from_lines([pattern]).match_file(path)
    ]
