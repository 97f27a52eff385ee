"""Migrations for which a service waits, or fails, while they run."""

from tests.mistakes.catalogue import Check, Mistake, Right
from tests.mistakes.migrations import (
    ADD_NICKNAME,
    DROP_NICKNAME,
    INDEX_NICKNAME,
    revision,
)

TITLE = "Migrations, while the service is used"

NOBODY_WAITS = Check("test_new_revisions.py::test_new_revisions_block_nobody")
NEW = ("tests/harness/checks/test_new_revisions.py",)

HEADING = "while the upgrade of 0003 runs, or the old release with it, requests wait or fail"
REASON = 'locks = "some hundred rows"'

ADD_REFERRER = 'op.add_column("users", sa.Column("referrer_id", sa.BigInteger()))'
REFER = 'op.create_foreign_key("fk_users_referrer_id_users", "users", "users", ["referrer_id"], ["id"]'
LONGER = 'op.alter_column("users", "email", type_=sa.{}, existing_nullable=False)'


def unsafe(name: str, sentence: str, upgrade: str, *words: str) -> Mistake:
    """A revision that does this."""
    return Mistake(name, sentence, [revision("0003", upgrade)], NOBODY_WAITS, [HEADING, *words, REASON])


MISTAKES: list[Mistake] = [
    unsafe(
        "an index that is not made CONCURRENTLY",
        "Nobody can write to the table until it is read to its end.",
        f"{ADD_NICKNAME}\n    {INDEX_NICKNAME})",
        "CREATE INDEX ix_users_nickname ON users (nickname)",
        "op.create_index(…, postgresql_concurrently=True)",
    ),
    unsafe(
        "a foreign key that is checked at once",
        "Nobody can write to either table until all rows are compared.",
        f"{ADD_REFERRER}\n    {REFER})",
        "adding-foreign-key-constraint",
        "op.create_foreign_key(…, postgresql_not_valid=True)",
        "VALIDATE CONSTRAINT",
    ),
    unsafe(
        "a CHECK that is checked at once",
        "Nobody can read or write until all rows are read.",
        'op.create_check_constraint("ck_users_email", "users", "email <> \'\'")',
        "constraint-missing-not-valid",
        "op.create_check_constraint(…, postgresql_not_valid=True)",
    ),
    unsafe(
        "a unique constraint that makes its own index",
        "Nobody can read or write until the index is built.",
        'op.create_unique_constraint("uq_users_created_at", "users", ["created_at"])',
        "disallowed-unique-constraint",
        "UNIQUE USING INDEX",
    ),
    unsafe(
        "SET NOT NULL on a column in use",
        "Nobody can read or write until all rows are read; and the release that still runs writes NULL.",
        f'{ADD_NICKNAME}\n    op.alter_column("users", "nickname", nullable=False)',
        "adding-not-nullable-field",
        "a CHECK",
    ),
    unsafe(
        "a type that writes the table anew",
        "Nobody can read or write until each row is copied.",
        LONGER.format("String(20)"),
        "changing-column-type",
        "drop the old one in a later release",
    ),
    unsafe(
        "a column that is renamed",
        "The release that still runs asks for the old name, and is answered with errors.",
        'op.alter_column("users", "email", new_column_name="mail")',
        "renaming-column",
        "let the service use both",
    ),
    unsafe(
        "an index that is dropped at once",
        "It waits for the longest query, and everybody who comes later waits for it.",
        'op.execute("DROP INDEX IF EXISTS ix_of_old")',
        "require-concurrent-index-deletion",
        "op.drop_index(…, postgresql_concurrently=True)",
    ),
]

RIGHT: list[Right] = [
    Right(
        "a column that may be NULL, one with a default, and an index made CONCURRENTLY",
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
        "a foreign key that is validated by a revision of its own",
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
    Right("a longer VARCHAR, which writes nothing anew", [revision("0003", LONGER.format("String(300)"))], run=NEW),
    Right(
        "a table with indexes and constraints, all of them new",
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
        "an index made at once by a revision that says so",
        [
            revision(
                "0003",
                f"{ADD_NICKNAME}\n    {INDEX_NICKNAME})",
                DROP_NICKNAME,
                says='locks = "some hundred rows"',
            )
        ],
        run=NEW,
    ),
]
