"""Migrations that differ from the models, that have no working downgrade, or that lose data."""

from tests.mistakes.catalogue import Check, Edit, File, Mistake, Right

TITLE = "Migrations"

MODELS = "src/shop/models.py"
USERS = "migrations/versions/0001_users.py"
PAYMENTS = "migrations/versions/0002_payments.py"
ENV = "migrations/env.py"

EMAIL = "    email: Mapped[str] = mapped_column(String(254), unique=True)\n"
SETTINGS = "[tool.savepoint]\n"

UP_AND_DOWN = Check("test_migrations.py::test_up_down_consistency")
KEEP_DATA = Check("test_new_revisions.py::test_new_migrations_keep_data")
# The check of locks fails for some of these too.
KEEP_DATA_ALONE = (f"tests/harness/checks/{KEEP_DATA.test}",)
CHECKS = ("tests/harness/checks",)


def revision(name: str, upgrade: str, downgrade: str = "pass", *, after: str = '"0002"', says: str = "") -> File:
    """A revision with one statement in upgrade() and one in downgrade()."""
    text = f'''"""New"""

import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {after}
branch_labels = None
depends_on = None
{says}

def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
'''
    return File(f"migrations/versions/{name}_new.py", text)


def column(line: str, imports: str = "") -> list[Edit]:
    """Adds a column to the model User."""
    edits = [Edit(MODELS, EMAIL, f"{EMAIL}    {line}\n")]
    if imports:
        edits.append(
            Edit(MODELS, "from sqlalchemy.orm import", f"from sqlalchemy import {imports}\nfrom sqlalchemy.orm import")
        )
    return edits


def plans(in_models: tuple[str, ...], in_migration: tuple[str, ...], downgrade: str = "") -> list[Edit | File]:
    """An enum column with these values in the model, and those in the migration."""
    make = f'sa.Enum(*{in_migration!r}, name="plan").create(op.get_bind())\n    '
    make += f'op.add_column("users", sa.Column("plan", sa.Enum(*{in_migration!r}, name="plan", create_type=False)))'
    line = f'plan: Mapped[str | None] = mapped_column(Enum(*{in_models!r}, name="plan"))'
    return [*column(line, "Enum"), revision("0003", make, downgrade or DROP_PLAN)]


DROP_PLAN = 'op.drop_column("users", "plan")\n    op.execute("DROP TYPE plan")'

INDEX_NICKNAME = 'op.create_index("ix_users_nickname", "users", ["nickname"]'
NICKNAME = "nickname: Mapped[str | None]"
ADD_NICKNAME = 'op.add_column("users", sa.Column("nickname", sa.String()))'
DROP_NICKNAME = 'op.drop_column("users", "nickname")'


def left_behind(what: str, statement: str, name: str) -> Mistake:
    """A downgrade that does not drop an object of its upgrade."""
    return Mistake(
        f"a {what} that a downgrade leaves behind",
        "The next upgrade fails, because the object already exists.",
        [revision("0003", f'op.execute("""{statement}""")')],
        UP_AND_DOWN,
        ["The downgrade of 0003 leaves objects behind (+)", f"+ {name}", "downgrade() must undo upgrade()"],
    )


def loses(name: str, sentence: str, statements: list[str], *words: str) -> Mistake:
    """An upgrade that loses data."""
    upgrade = "\n    ".join(f"op.execute({statement!r})" for statement in statements)
    heading = "The upgrade of 0003 deletes data:"
    return Mistake(name, sentence, [revision("0003", upgrade)], KEEP_DATA, [heading, *words], run=KEEP_DATA_ALONE)


def fails_on_rows(name: str, sentence: str, upgrade: str, *words: str) -> Mistake:
    """An upgrade that fails if the tables have rows."""
    heading = "The upgrade of 0003 fails if the tables have rows: migrations/versions/0003_new.py:"
    return Mistake(name, sentence, [revision("0003", upgrade)], KEEP_DATA, [heading, *words], run=KEEP_DATA_ALONE)


MISTAKES: list[Mistake] = [
    Mistake(
        "a downgrade that does nothing",
        "A release cannot be rolled back.",
        [Edit(PAYMENTS, 'op.drop_table("payments")', "pass")],
        UP_AND_DOWN,
        [
            "The downgrade of 0002 leaves objects behind (+)",
            "+ relation public.payments",
            'irreversible = "the reason"',
        ],
    ),
    Mistake(
        "a downgrade that removes too much",
        "A rollback removes objects of the previous release.",
        [
            *column(NICKNAME),
            revision("0003", ADD_NICKNAME, f'{DROP_NICKNAME}\n    op.drop_constraint("ck_users_role", "users")'),
        ],
        UP_AND_DOWN,
        ["The downgrade of 0003", "or removes too much (-)", "- constraint public.users.ck_users_role"],
    ),
    Mistake(
        "a downgrade that fails",
        "It first runs, and fails, during a rollback in production.",
        [*column(NICKNAME), revision("0003", ADD_NICKNAME, 'op.drop_column("users", "nick_name")')],
        UP_AND_DOWN,
        ["A downgrade fails", "migrations/versions/0003_new.py", "nick_name"],
    ),
    Mistake(
        "an enum that a downgrade leaves behind",
        "The next upgrade fails: the type already exists.",
        plans(("free", "paid"), ("free", "paid"), 'op.drop_column("users", "plan")'),
        UP_AND_DOWN,
        ["The downgrade of 0003 leaves objects behind (+)", "+ type public.plan"],
    ),
    left_behind("table", "CREATE TABLE old_prices (id int)", "relation public.old_prices"),
    left_behind("sequence", "CREATE SEQUENCE invoice_numbers", "relation public.invoice_numbers"),
    left_behind(
        "view", "CREATE VIEW active_users AS SELECT id FROM users WHERE is_active", "relation public.active_users"
    ),
    left_behind("function", "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function one()"),
    left_behind(
        "trigger",
        "CREATE TRIGGER guard BEFORE UPDATE ON users "
        "FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger public.users.guard",
    ),
    Mistake(
        "two heads",
        "The deployment fails: `alembic upgrade head` needs a single head.",
        [revision("0003", "pass"), revision("0004", "pass")],
        Check("test_migrations.py::test_single_head_revision"),
        ["2 heads: 0003, 0004", "uv run alembic merge heads"],
    ),
    Mistake(
        "a module with models that env.py does not import",
        "Alembic does not see its tables, and autogenerate drops them.",
        [
            File(
                "src/shop/orders.py",
                """
from sqlalchemy.orm import Mapped, mapped_column

from shop.db import Base


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
""",
            )
        ],
        Check("test_models.py::test_env_imports_every_model"),
        ["src/shop/orders.py", "Import them in migrations/env.py"],
    ),
    Mistake(
        "a second declarative base that env.py does not know",
        "Alembic does not see its tables, and no migration creates them.",
        [
            File(
                "src/shop/heroes.py",
                """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class OtherBase(DeclarativeBase):
    pass


class Hero(OtherBase):
    __tablename__ = "heroes"

    id: Mapped[int] = mapped_column(primary_key=True)
""",
            ),
            Edit(ENV, "from shop import models", "from shop import heroes, models"),
        ],
        Check("test_models.py::test_env_imports_every_model"),
        ["target_metadata of migrations/env.py lacks these tables", "src/shop/heroes.py: heroes"],
    ),
    Mistake(
        "create_all in env.py",
        "The drift check compares the models with themselves and can no longer fail.",
        [
            Edit(
                ENV,
                "    context.configure(connection=connection, **OPTIONS",
                "    Base.metadata.create_all(connection)\n    context.configure(connection=connection, **OPTIONS",
            )
        ],
        Check("test_models.py::test_migrations_do_not_call_create_all"),
        ["Migrations call create_all()", "migrations/env.py:", "Write the operations instead"],
    ),
    Mistake(
        "create_all in the first revision",
        "It creates the current models, not those of the revision.",
        [revision("0003", "from shop.db import Base\n\n    Base.metadata.create_all(op.get_bind())")],
        Check("test_models.py::test_migrations_do_not_call_create_all"),
        ["Migrations call create_all()", "migrations/versions/0003_new.py:"],
    ),
    Mistake(
        "a foreign key without an index",
        "Deleting a user reads the whole referencing table, under a lock.",
        [
            *column('referrer_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))'),
            revision(
                "0003",
                'op.add_column("users", sa.Column("referrer_id", sa.BigInteger()))\n    '
                'op.create_foreign_key("fk_users_referrer_id_users", "users", "users", ["referrer_id"], ["id"])',
                'op.drop_column("users", "referrer_id")',
            ),
        ],
        Check("test_models.py::test_foreign_keys_are_indexed"),
        ["users (referrer_id): fk_users_referrer_id_users", "index=True", "unindexed_foreign_keys"],
    ),
    Mistake(
        "a migration that drops a column",
        "The running release reads a column that no longer exists, and its data is lost.",
        [
            Edit(MODELS, "    is_active: Mapped[bool] = mapped_column(server_default=true())\n", ""),
            revision(
                "0003",
                'op.drop_column("users", "is_active")',
                'op.add_column("users", '
                'sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False))',
            ),
        ],
        KEEP_DATA,
        [
            "The upgrade of 0003 deletes data:",
            "column public.users.is_active and its 4 values: ALTER TABLE users DROP COLUMN is_active",
            'destructive = "the reason"',
        ],
    ),
    Mistake(
        "a migration that deletes rows",
        "The rows are lost, even after a downgrade.",
        [revision("0003", 'op.execute("DELETE FROM users WHERE NOT is_active")')],
        KEEP_DATA,
        ["The upgrade of 0003", "DELETE FROM users WHERE NOT is_active", 'destructive = "the reason"'],
    ),
    loses(
        "a DO block that deletes rows",
        "No reader of the first word sees it, and the rows are lost.",
        ["DO $$ BEGIN DELETE FROM payments; END $$"],
        "4 of 4 rows of public.payments: DO $$ BEGIN DELETE FROM payments; END $$",
    ),
    loses(
        "rows moved away by a CTE",
        "The running release no longer finds them.",
        [
            "CREATE TABLE old AS TABLE payments WITH NO DATA",
            "WITH gone AS (DELETE FROM payments RETURNING *) INSERT INTO old SELECT * FROM gone",
        ],
        "4 of 4 rows of public.payments: ",
    ),
    loses(
        "a column set to NULL",
        "The values are lost, even after a downgrade.",
        ["UPDATE payments SET succeeded_at = NULL"],
        "values of public.payments.succeeded_at are NULL now: UPDATE payments SET succeeded_at = NULL",
    ),
    loses(
        "a change of type that cuts values",
        "The times are lost, even after a downgrade.",
        ["ALTER TABLE users ALTER created_at TYPE date"],
        "different values of public.users.created_at are 1 now: 2026-01-05: ALTER TABLE users ALTER created_at",
    ),
    fails_on_rows(
        "a NOT NULL column without a default, which an empty table allows",
        "The deployment fails at the first row.",
        'op.add_column("users", sa.Column("team_id", sa.BigInteger(), nullable=False))',
        'column "team_id" of relation "users" contains null values',
        "give the column a server_default",
    ),
    fails_on_rows(
        "a unique index on a column that has duplicates",
        "The deployment fails, and CONCURRENTLY leaves an invalid index.",
        'op.create_unique_constraint("uq_payments_currency", "payments", ["currency"])',
        "Key (currency)=(",
        "Several rows may have one value",
    ),
    fails_on_rows(
        "a cast that not every value allows",
        "The deployment fails at the first value that is no number.",
        'op.execute("ALTER TABLE payments ALTER stripe_id TYPE bigint USING stripe_id::bigint")',
        "invalid input syntax for type bigint",
        "add a new column, and fill it with what can be converted",
    ),
    Mistake(
        "a downgrade that fails on rows",
        "A release that has written a long value cannot be rolled back.",
        [
            revision(
                "0003",
                'op.alter_column("users", "email", type_=sa.String(300))',
                'op.alter_column("users", "email", type_=sa.String(20))',
            )
        ],
        KEEP_DATA,
        ["The downgrade of 0003 fails if the tables have rows", "value too long for type character varying(20)"],
        run=KEEP_DATA_ALONE,
    ),
]

RIGHT: list[Right] = [
    Right(
        "a random default, made of md5",
        [
            *column('key: Mapped[str] = mapped_column(server_default=text("md5((random())::text)"))', "text"),
            revision(
                "0003",
                'op.add_column("users", sa.Column("key", sa.String(), nullable=False, '
                'server_default=sa.text("md5((random())::text)")))',
                'op.drop_column("users", "key")',
                says='takes_locks = "a few hundred rows"',
            ),
        ],
        run=CHECKS,
    ),
    Right(
        "a GRANT on a table of a model, in ignore_drift",
        [
            revision(
                "0003",
                """op.execute(
        "DO $$ BEGIN CREATE ROLE auditor; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    op.execute("GRANT SELECT ON users TO auditor")""",
                'op.execute("REVOKE SELECT ON users FROM auditor")',
            ),
            Edit(
                "pyproject.toml", SETTINGS, f'{SETTINGS}ignore_drift = ["grant on relation public.users to auditor"]\n'
            ),
        ],
        run=CHECKS,
    ),
    Right(
        "row security of a table of a model, in ignore_drift",
        [
            revision(
                "0003",
                'op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")\n    '
                'op.execute("CREATE POLICY active_users ON users USING (is_active)")',
                'op.execute("DROP POLICY active_users ON users")\n    '
                'op.execute("ALTER TABLE users DISABLE ROW LEVEL SECURITY")',
            ),
            Edit(
                "pyproject.toml",
                SETTINGS,
                f'{SETTINGS}ignore_drift = ["policy public.users.*", "row security public.users"]\n',
            ),
        ],
        run=CHECKS,
    ),
    Right(
        "storage parameters of a table of a model, in ignore_drift",
        [
            revision(
                "0003",
                'op.execute("ALTER TABLE users SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01)")',
                'op.execute("ALTER TABLE users RESET (fillfactor, autovacuum_vacuum_scale_factor)")',
            ),
            Edit("pyproject.toml", SETTINGS, f'{SETTINGS}ignore_drift = ["storage parameters public.users"]\n'),
        ],
        run=CHECKS,
    ),
    Right(
        "comments of a table and a column",
        [
            *column('nickname: Mapped[str | None] = mapped_column(comment="As friends say it")'),
            Edit(MODELS, 'name="role"),)', 'name="role"), {"comment": "Who signs up"})'),
            revision(
                "0003",
                'op.add_column("users", sa.Column("nickname", sa.String(), comment="As friends say it"))\n'
                '    op.create_table_comment("users", "Who signs up")',
                f'op.drop_table_comment("users")\n    {DROP_NICKNAME}',
            ),
        ],
        run=CHECKS,
    ),
    Right(
        "a new enum value in model and migration",
        [
            *plans(("free", "paid", "trial"), ("free", "paid")),
            revision(
                "0004",
                "with op.get_context().autocommit_block():\n        op.execute(\"ALTER TYPE plan ADD VALUE 'trial'\")",
                after='"0003"',
                says='irreversible = "PostgreSQL cannot remove an enum value"',
            ),
        ],
        run=CHECKS,
    ),
    Right(
        "an index made CONCURRENTLY",
        [
            *column("nickname: Mapped[str | None] = mapped_column(index=True)"),
            revision(
                "0003",
                f"{ADD_NICKNAME}\n    with op.get_context().autocommit_block():\n        "
                f"{INDEX_NICKNAME}, postgresql_concurrently=True)",
                f'op.drop_index("ix_users_nickname", "users")\n    {DROP_NICKNAME}',
            ),
        ],
        run=CHECKS,
    ),
    Right(
        "a column dropped by a revision that is declared destructive",
        [
            Edit(MODELS, "    is_active: Mapped[bool] = mapped_column(server_default=true())\n", ""),
            revision(
                "0003",
                'op.drop_column("users", "is_active")',
                'raise NotImplementedError("the column is dropped")',
                says='irreversible = destructive = "no release reads it"',
            ),
        ],
        run=("tests/harness/checks/test_migrations.py",),
    ),
    Right(
        "a trigger that is listed in ignore_drift",
        [
            revision(
                "0003",
                "op.execute(\"CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'\")\n"
                '    op.execute("CREATE TRIGGER stamp BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION stamp()")',
                'op.execute("DROP FUNCTION stamp() CASCADE")',
            ),
            Edit(
                "pyproject.toml",
                SETTINGS,
                f'{SETTINGS}ignore_drift = ["trigger public.users.*", "function stamp()"]\n',
            ),
        ],
        run=CHECKS,
    ),
    Right(
        "two branches with a merge revision",
        [
            *column(NICKNAME),
            revision("0003", ADD_NICKNAME, DROP_NICKNAME),
            revision("0004", "pass"),
            revision("0005", "pass", after='("0003", "0004")'),
        ],
        run=CHECKS,
    ),
    Right(
        "a data migration in batches",
        [
            revision(
                "0003",
                "with op.get_context().autocommit_block():\n        for first in range(0, 100_000, 10_000):\n"
                '            op.execute(f"UPDATE users SET email = lower(email) '
                'WHERE id BETWEEN {first} AND {first + 9_999}")',
            )
        ],
        run=CHECKS,
    ),
    Right(
        "a column that takes over the values of another one, which stays",
        [
            *column(NICKNAME),
            revision(
                "0003",
                f'{ADD_NICKNAME}\n    op.execute("UPDATE users SET nickname = email WHERE id < 1000000")',
                DROP_NICKNAME,
            ),
        ],
        run=CHECKS,
    ),
    Right(
        "a unique constraint, with rows as production has them",
        [
            revision(
                "0003",
                "with op.get_context().autocommit_block():\n        op.create_index("
                '"uq_payments_currency", "payments", ["currency"], unique=True, postgresql_concurrently=True)',
                'op.drop_index("uq_payments_currency", "payments")',
            ),
            File(
                "migrations/rows/0003.sql",
                "INSERT INTO users (email, hashed_password) VALUES ('ada@example.com', '-');\n"
                "INSERT INTO payments (user_id, idempotency_key, stripe_id, amount, currency, status)\n"
                "SELECT id, 'a', 'pi_1', 350, 'eur', 'pending' FROM users;\n",
            ),
        ],
        run=KEEP_DATA_ALONE,
    ),
]
