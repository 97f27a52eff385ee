"""What is wrong in `services/flat` after these changes: most checks find something, its own tests nothing."""

from tests.mistakes.catalogue import Change, Edit, File

REVISION = '''"""Loans"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "loans",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("book_id", sa.Integer, sa.ForeignKey("books.id", name="loans_book"), nullable=False),
        sa.Column("lent_at", sa.DateTime(), nullable=False),
        sa.Column("state", sa.Enum("lent", "back", name="loan_state"), nullable=False),
    )
    op.add_column("books", sa.Column("pages", sa.Integer))
    op.execute("CREATE INDEX books_pages ON books (pages) WHERE pages > 10")
    op.execute("DELETE FROM books WHERE title = ''")


def downgrade() -> None:
    op.drop_column("books", "pages")
    op.drop_table("loans")
'''

LOAN = """

class Loan(Base):
    __tablename__ = "loans"

    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id", name="loans_book"))
    lent_at: Mapped[datetime] = mapped_column(DateTime())
    state: Mapped[str] = mapped_column(Enum("lent", "back", name="loan_state"))
"""

FINE = """\
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base


class Fine(Base):
    __tablename__ = "fines"

    id: Mapped[int] = mapped_column(primary_key=True)
"""

TITLES = """

@app.get("/titles")
async def titles(db: Db, after: str = "") -> list[str]:
    return list(await db.scalars(select(Book.title).where(Book.title > after)))
"""

LEAK = """

def test_the_shelf_is_read() -> None:
    os.environ["SHELF"] = "4"
"""


def _appended(path: str, last: str, text: str) -> Edit:
    return Edit(path, last, f"{last}{text}")


ADDED_AT = "    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())\n"
LIST = "    return list(await db.scalars(select(Book.title).order_by(Book.title).limit(limit)))\n"

PLANTED: list[Change] = [
    File("alembic/versions/0002_loans.py", REVISION),
    Edit("app/models.py", "import DateTime, String", "import DateTime, Enum, ForeignKey, String"),
    _appended("app/models.py", ADDED_AT, LOAN),
    File("app/fines.py", FINE),
    Edit("app/main.py", 'max_length=200, pattern=r"^[A-Za-z ]+$"', "max_length=200"),
    _appended("app/main.py", LIST, TITLES),
    Edit("tests/test_books.py", "import logging\n", "import logging\nimport os\n"),
    _appended("tests/test_books.py", '    assert caplog.messages == ["lent"]\n', LEAK),
]

# What the baseline then has, below its comment.
ENTRIES = """
[checks]
test_datetimes_are_timezone_aware = [
  "loans.lent_at",
]
test_env_imports_every_model = [
  "app/fines.py",
]
test_foreign_keys_are_indexed = [
  "loans_book",
]
test_list_endpoints_are_paginated = [
  "/titles",
]
test_malformed_requests_get_no_5xx = [
  "GET /titles with after",
  "POST /books with title",
]
test_models_match_migrations = [
  "only in migrations: column public.books.pages",
  "only in migrations: index public.books_pages",
]
test_new_migrations_are_lock_safe = [
  "0002: require-concurrent-index-creation: CREATE INDEX books_pages ON books (pages) WHERE pages > 10",
]
test_new_migrations_keep_data = [
  "0002: DELETE FROM books WHERE title = ''",
]
test_up_down_consistency = [
  "0002: leaves type public.loan_state",
  "upgrade after downgrade: fails",
]

[guards]
"tests/test_books.py::test_the_shelf_is_read" = [
  "leaked_environ",
]
"""
