"""More tables and more revisions for a rendered project: the text of its models and of its migrations.

Each table has what tables usually have: a key of its own, a foreign key, a unique column, an index, a default.
"""

TABLES = 30

# One transaction can lock about a thousand tables, as PostgreSQL is configured by default.
TABLES_OF_REVISION = 100

MODEL = '''

class Table{number}(Base):
    """One of many."""

    __tablename__ = "table_{number}"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("{parent}.id"), index=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    note: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
'''

CREATE_TABLE = """\
    op.create_table(
        "table_{number}",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["{parent}.id"], name=op.f("fk_table_{number}_parent_id_{parent}")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_table_{number}")),
        sa.UniqueConstraint("name", name=op.f("uq_table_{number}_name")),
    )
    op.create_index(op.f("ix_table_{number}_parent_id"), "table_{number}", ["parent_id"])
"""

REVISION = '''\
"""Revision {revision}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision:04}"
down_revision = "{before:04}"


def upgrade() -> None:
{upgrade}

def downgrade() -> None:
{downgrade}'''


def models(tables: int, revisions: int) -> str:
    """What is added to the project's models: so many tables, with `users`, as so many revisions make them."""
    added: dict[int, list[int]] = {}
    for revision in range(_first_column(tables), revisions + 1):
        added.setdefault(_altered(revision, tables), []).append(revision)
    texts = []
    for number in _numbers(tables):
        columns = "".join(f"    column_{revision}: Mapped[int | None]\n" for revision in added.get(number, ()))
        texts.append(MODEL.format(number=number, parent=_parent(number)) + columns)
    return "".join(texts)


def revisions(count: int, tables: int) -> dict[str, str]:
    """The project's revisions up to `count`, by file name.

    The first, of `users`, is in the render. The next make the tables, a hundred each; each later one adds a column.
    """
    numbers, written = _numbers(tables), {}
    for revision in range(2, _first_column(tables)):
        of_revision = numbers[(revision - 2) * TABLES_OF_REVISION :][:TABLES_OF_REVISION]
        upgrade = "".join(CREATE_TABLE.format(number=number, parent=_parent(number)) for number in of_revision)
        downgrade = "".join(f'    op.drop_table("table_{number}")\n' for number in reversed(of_revision))
        written[f"{revision:04}_tables.py"] = _revision(revision, upgrade, downgrade)
    for revision in range(_first_column(tables), count + 1):
        table = f"table_{_altered(revision, tables)}"
        column = f"column_{revision}"
        written[f"{revision:04}_{column}.py"] = _revision(
            revision,
            f'    op.add_column("{table}", sa.Column("{column}", sa.Integer(), nullable=True))\n',
            f'    op.drop_column("{table}", "{column}")\n',
        )
    return written


def _first_column(tables: int) -> int:
    """The first revision that adds a column."""
    return 2 + -(-len(_numbers(tables)) // TABLES_OF_REVISION)


def _numbers(tables: int) -> range:
    # The rendered project brings `users`.
    return range(2, tables + 1)


def _altered(revision: int, tables: int) -> int:
    numbers = _numbers(tables)
    return numbers[revision % len(numbers)]


def _parent(number: int) -> str:
    # A star of chains: two tables in three refer to another than `users`.
    return "users" if number % 3 == 0 or number == 2 else f"table_{number - 1}"


def _revision(revision: int, upgrade: str, downgrade: str) -> str:
    return REVISION.format(revision=revision, before=revision - 1, upgrade=upgrade, downgrade=downgrade)
