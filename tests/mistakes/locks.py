"""Migrations that make requests wait or fail while they run."""

from tests.mistakes.catalogue import Check, Mistake, Right
from tests.mistakes.migrations import (
    ADD_NICKNAME,
    DROP_NICKNAME,
    INDEX_NICKNAME,
    revision,
)

TITLE = "Migrations of a database in use"

LOCK_SAFE = Check("test_new_revisions.py::test_new_migrations_are_lock_safe")
NEW = ("tests/harness/checks/test_new_revisions.py",)

ALONE = (f"tests/harness/checks/{LOCK_SAFE.test}",)
HEADING = "The upgrade of 0003 makes requests of the running release wait or fail:"
REASON = 'takes_locks = "a few hundred rows"'

ADD_REFERRER = 'op.add_column("users", sa.Column("referrer_id", sa.BigInteger()))'
REFER = 'op.create_foreign_key("fk_users_referrer_id_users", "users", "users", ["referrer_id"], ["id"]'
LONGER = 'op.alter_column("users", "email", type_=sa.{}, existing_nullable=False)'


def unsafe(name: str, sentence: str, upgrade: str, *words: str) -> Mistake:
    """A revision with this upgrade."""
    # Some fail on rows too, which is reported by the check of data.
    return Mistake(name, sentence, [revision("0003", upgrade)], LOCK_SAFE, [HEADING, *words, REASON], run=ALONE)


MISTAKES: list[Mistake] = [
    unsafe(
        "CREATE INDEX without CONCURRENTLY",
        "Writes to the table wait until the index is built.",
        f"{ADD_NICKNAME}\n    {INDEX_NICKNAME})",
        "CREATE INDEX ix_users_nickname ON users (nickname)",
        "op.create_index(…, postgresql_concurrently=True)",
    ),
    unsafe(
        "a foreign key without NOT VALID",
        "Writes to both tables wait until all rows are checked.",
        f"{ADD_REFERRER}\n    {REFER})",
        "adding-foreign-key-constraint",
        "op.create_foreign_key(…, postgresql_not_valid=True)",
        "VALIDATE CONSTRAINT",
    ),
    unsafe(
        "a CHECK without NOT VALID",
        "Reads and writes wait until all rows are checked.",
        'op.create_check_constraint("ck_users_email", "users", "email <> \'\'")',
        "constraint-missing-not-valid",
        "op.create_check_constraint(…, postgresql_not_valid=True)",
    ),
    unsafe(
        "a unique constraint without an existing index",
        "Reads and writes wait until the index is built.",
        'op.create_unique_constraint("uq_users_created_at", "users", ["created_at"])',
        "disallowed-unique-constraint",
        "UNIQUE USING INDEX",
    ),
    unsafe(
        "SET NOT NULL on a column in use",
        "Reads and writes wait until all rows are checked, and the running release inserts NULL.",
        f'{ADD_NICKNAME}\n    op.alter_column("users", "nickname", nullable=False)',
        "adding-not-nullable-field",
        "a CHECK",
    ),
    unsafe(
        "a change of type that rewrites the table",
        "Reads and writes wait until all rows are copied.",
        LONGER.format("String(20)"),
        "changing-column-type",
        "drop the old column in a later release",
    ),
    unsafe(
        "a renamed column",
        "Queries of the running release fail: they use the old name.",
        'op.alter_column("users", "email", new_column_name="mail")',
        "renaming-column",
        "let the service use both columns",
    ),
    unsafe(
        "DROP INDEX without CONCURRENTLY",
        "It waits for the longest query, and later queries wait for it.",
        'op.execute("DROP INDEX IF EXISTS ix_of_old")',
        "require-concurrent-index-deletion",
        "op.drop_index(…, postgresql_concurrently=True)",
    ),
    unsafe(
        "an UPDATE of a whole table",
        "All rows stay locked until the revision ends, and requests that write to them wait.",
        'op.execute("UPDATE users SET email = lower(email)")',
        "update-whole-table: All rows stay locked",
        "update in batches, each in a transaction of its own",
    ),
    unsafe(
        "an UPDATE of all rows of a new column",
        "All rows stay locked until the revision ends, and requests that write to them wait.",
        f'{ADD_NICKNAME}\n    op.execute("UPDATE users SET nickname = email WHERE nickname IS NULL")',
        "update-whole-table",
    ),
    unsafe(
        "LOCK TABLE",
        "Every request that uses the table waits until the revision ends.",
        'op.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")',
        "lock-table: Requests that use the table wait",
    ),
    unsafe(
        "VACUUM FULL",
        "Reads and writes wait until the table is copied.",
        'with op.get_context().autocommit_block():\n        op.execute("VACUUM FULL users")',
        "vacuum-full: Reads and writes wait",
    ),
    unsafe(
        "CLUSTER",
        "Reads and writes wait until the table is copied.",
        'op.execute("CLUSTER users USING pk_users")',
        "cluster: Reads and writes wait",
    ),
    unsafe(
        "a table that is made unlogged",
        "Reads and writes wait until the table is copied, and a crash empties it.",
        'op.execute("ALTER TABLE payments SET UNLOGGED")',
        "set-unlogged",
    ),
    unsafe(
        "a column with a volatile default",
        "Reads and writes wait until each row has its own value.",
        'op.add_column("users", sa.Column("key", sa.Uuid(), server_default=sa.text("gen_random_uuid()")))',
        "adding-field-with-default",
    ),
    Mistake(
        "SET NOT NULL after a CHECK that is no longer there",
        "Reads and writes wait until the table is read.",
        [
            revision(
                "0003",
                f'{ADD_NICKNAME}\n    op.execute("UPDATE users SET nickname = email WHERE id > 0")\n    '
                'op.create_check_constraint(op.f("ck_users_nickname"), "users", "nickname IS NOT NULL")',
                says='takes_locks = "a few hundred rows"',
            ),
            revision("0004", 'op.drop_constraint(op.f("ck_users_nickname"), "users")', after='"0003"'),
            revision("0005", 'op.alter_column("users", "nickname", nullable=False)', after='"0004"'),
        ],
        LOCK_SAFE,
        ["The upgrade of 0005 makes requests", "adding-not-nullable-field"],
        run=ALONE,
    ),
    unsafe(
        "a default that is dropped while the running release needs it",
        "The INSERTs of the running release do not name the column, and fail.",
        'op.add_column("users", sa.Column("score", sa.Integer(), server_default="0", nullable=False))\n'
        '    op.alter_column("users", "score", server_default=None)',
        "public.users.score is NOT NULL and has no default",
        "keep the default until no release needs it",
    ),
    unsafe(
        "a table that is copied and dropped",
        "Queries of the running release fail: they use the old name.",
        'op.execute("CREATE TABLE bills AS TABLE payments")\n    op.drop_table("payments")',
        "table public.payments and its 4 rows: they are under another name now",
    ),
]

RIGHT: list[Right] = [
    Right(
        "the first step of a NOT NULL",
        [
            revision(
                "0003",
                f"{ADD_NICKNAME}\n    "
                'op.create_check_constraint(op.f("ck_users_nickname"), "users", "nickname IS NOT NULL", '
                "postgresql_not_valid=True)",
            )
        ],
        run=NEW,
    ),
    Right(
        "a NOT NULL in three steps",
        [
            revision("0003", ADD_NICKNAME),
            revision(
                "0004",
                'op.execute("UPDATE users SET nickname = email WHERE id IN (SELECT id FROM users LIMIT 1000)")\n'
                '    op.create_check_constraint(op.f("ck_users_nickname"), "users", "nickname IS NOT NULL", '
                "postgresql_not_valid=True)",
                after='"0003"',
            ),
            revision(
                "0005",
                'op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_users_nickname")',
                after='"0004"',
            ),
            revision(
                "0006",
                'op.alter_column("users", "nickname", nullable=False)\n'
                '    op.drop_constraint(op.f("ck_users_nickname"), "users")',
                after='"0005"',
            ),
        ],
        run=NEW,
    ),
    Right(
        "a nullable column, a column with a default, and an index created CONCURRENTLY",
        [
            revision(
                "0003",
                f'{ADD_NICKNAME}\n    op.add_column("users", sa.Column("visits", sa.BigInteger(), '
                'server_default="0", nullable=False))\n'
                f"    with op.get_context().autocommit_block():\n        {INDEX_NICKNAME}, "
                "postgresql_concurrently=True)",
            )
        ],
        run=NEW,
    ),
    Right(
        "a foreign key that a later revision validates",
        [
            revision("0003", f"{ADD_REFERRER}\n    {REFER}, postgresql_not_valid=True)"),
            revision(
                "0004",
                'op.execute("ALTER TABLE users VALIDATE CONSTRAINT fk_users_referrer_id_users")',
                after='"0003"',
            ),
        ],
        run=NEW,
    ),
    Right("a longer VARCHAR, which rewrites nothing", [revision("0003", LONGER.format("String(300)"))], run=NEW),
    Right(
        "a new table with indexes and constraints",
        [
            revision(
                "0003",
                'op.create_table("teams", sa.Column("id", sa.BigInteger(), primary_key=True), '
                'sa.Column("owner_id", sa.BigInteger(), sa.ForeignKey("users.id"), nullable=False), '
                'sa.Column("name", sa.String(), nullable=False))\n'
                '    op.create_index("ix_teams_owner_id", "teams", ["owner_id"])\n'
                '    op.create_unique_constraint("uq_teams_name", "teams", ["name"])',
            )
        ],
        run=NEW,
    ),
    Right(
        "CREATE INDEX in a revision that is declared takes_locks",
        [
            revision(
                "0003",
                f"{ADD_NICKNAME}\n    {INDEX_NICKNAME})",
                DROP_NICKNAME,
                says='takes_locks = "a few hundred rows"',
            )
        ],
        run=NEW,
    ),
    Right(
        "a constraint that is validated in a transaction of its own",
        [
            revision(
                "0003",
                'op.create_check_constraint(op.f("ck_users_email"), "users", "email > \'\'", '
                "postgresql_not_valid=True)\n"
                "    with op.get_context().autocommit_block():\n"
                '        op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_users_email")',
                'op.drop_constraint(op.f("ck_users_email"), "users")',
            )
        ],
        run=NEW,
    ),
    Right(
        "an index and an UPDATE of a table that the revision has made from a query",
        [
            revision(
                "0003",
                'op.execute("CREATE TABLE latest AS SELECT id, email FROM users")\n'
                '    op.create_index("ix_latest_email", "latest", ["email"])\n'
                '    op.execute("UPDATE latest SET email = lower(email)")',
                'op.drop_table("latest")',
            )
        ],
        run=NEW,
    ),
]
