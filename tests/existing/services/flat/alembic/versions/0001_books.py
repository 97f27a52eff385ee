"""Books, and the table that a trigger of the operators' fills."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "books",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.UniqueConstraint("title"),
    )
    # The schema is made by the operators.
    op.execute("COMMENT ON SCHEMA audit IS 'used by 0001'")


def downgrade() -> None:
    op.execute("COMMENT ON SCHEMA audit IS NULL")
    op.drop_table("books")
