"""Command-line options and marks."""

import pytest

from .core import baseline
from .postgres import find
from .reports import first_report, query_report

MARKS = (
    "own_database: run this test on a database of its own, with real commits and any number of connections.",
    "allow_guard(name, *what): turn off a guard in this test, or only for the things that are named.",
    "allow(name, *what): deprecated, use allow_guard.",
)


def add(parser: pytest.Parser) -> None:
    """Register the options."""
    group = parser.getgroup("savepoint")
    option = group.addoption
    option(
        "--postgres",
        choices=find.CHOICES,
        default="auto",
        help="the server to use: TEST_DATABASE_URL, local binaries or Docker; auto uses the first that works, in this "
        "order",
    )
    create_help = "run all migrations, even if they have not changed"
    option("--create-db", "--rebuild-schema", action="store_true", help=create_help)
    option(
        "--keep-failed-databases",
        "--keep-database",
        action="store_true",
        help="keep the database of each failed own_database test, and the server; with TEST_DATABASE_URL they are "
        "always kept until the next run",
    )
    option(
        "--query-report",
        "--database-report",
        nargs="?",
        type=query_report.number,
        const=query_report.TOP,
        metavar="N",
        help="print the N tests that sent the most statements to the database, and their time (default: 20)",
    )
    option(
        "--revisions-since",
        metavar="COMMIT",
        help="check every revision added since this commit, e.g. origin/main (default: the newest revision only)",
    )
    baseline.add_options(group)
    option(first_report.OPTION, action="store_true", help=first_report.HELP)
