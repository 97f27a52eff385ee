"""More tables and more revisions for a rendered project: the text of its models and of its migrations.

Each table has what tables usually have: a key of its own, a foreign key, a unique column, an index, a default.
"""

TABLES = 30

# The rendered project brings `users`.
NUMBERS = range(2, TABLES + 1)

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


def models() -> str:
    """What is added to the project's models."""
    return "".join(MODEL.format(number=number, parent=_parent(number)) for number in NUMBERS)


def revisions(count: int) -> dict[str, str]:
    """The project's revisions up to `count`, by file name: the second makes the tables, each later one adds a column.

    The first, of `users`, is in the render.
    """
    upgrade = "".join(CREATE_TABLE.format(number=number, parent=_parent(number)) for number in NUMBERS)
    downgrade = "".join(f'    op.drop_table("table_{number}")\n' for number in reversed(NUMBERS))
    written = {"0002_tables.py": _revision(2, upgrade, downgrade)}
    for revision in range(3, count + 1):
        table = f"table_{NUMBERS[revision % len(NUMBERS)]}"
        column = f"column_{revision}"
        written[f"{revision:04}_{column}.py"] = _revision(
            revision,
            f'    op.add_column("{table}", sa.Column("{column}", sa.Integer(), nullable=True))\n',
            f'    op.drop_column("{table}", "{column}")\n',
        )
    return written


def _parent(number: int) -> str:
    # A star of chains: two tables in three refer to another than `users`.
    return "users" if number % 3 == 0 or number == NUMBERS[0] else f"table_{number - 1}"


def _revision(revision: int, upgrade: str, downgrade: str) -> str:
    return REVISION.format(revision=revision, before=revision - 1, upgrade=upgrade, downgrade=downgrade)
