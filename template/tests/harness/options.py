"""Options of the command line."""

import pytest

from .postgres import find
from .reports import query_report


def add(parser: pytest.Parser) -> None:
    """Let pytest know them."""
    option = parser.getgroup("savepoint").addoption
    option(
        "--postgres",
        choices=find.CHOICES,
        default="auto",
        help="where the server comes from: TEST_DATABASE_URL, local binaries, or Docker; auto takes the first that "
        "serves, in this order",
    )
    rebuilds = "run all migrations again, even if they have not changed"
    option("--create-db", "--rebuild-schema", action="store_true", help=rebuilds)
    option(
        "--keep-failed-databases",
        "--keep-database",
        action="store_true",
        help="keep the database of each own_database test that failed, and the server with it; on the server that "
        "TEST_DATABASE_URL names they are kept anyway, until the next run",
    )
    option(
        "--query-report",
        "--database-report",
        nargs="?",
        type=query_report.number,
        const=query_report.TOP,
        metavar="N",
        help="print at the end which tests sent most statements to the database, and their time; 20 tests, or N",
    )
    option(
        "--revisions-since",
        metavar="COMMIT",
        help="check each revision that was added since this commit, such as origin/main; without it, the newest alone",
    )
