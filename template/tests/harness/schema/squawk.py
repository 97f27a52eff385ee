"""What a migration locks, or breaks for whoever is still at work, as squawk reads it in the statements that were sent.

squawk knows some seventy rules, most of them about style. Those below make a service wait or fail while the migration
runs, or as long as the previous release is still there.
"""

import json
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass

CONCURRENTLY = "with op.get_context().autocommit_block(): op.{}(…, postgresql_concurrently=True)"
NOT_VALID = (
    "op.{}(…, postgresql_not_valid=True), and in a revision of its own "
    'op.execute("ALTER TABLE … VALIDATE CONSTRAINT …")'
)
IN_STEPS = "add a new column, fill it, let the service use both, and drop the old one in a later release"

# Each with what Alembic has for it. https://squawkhq.com/docs/rules
RULES = {
    "require-concurrent-index-creation": CONCURRENTLY.format("create_index"),
    "require-concurrent-index-deletion": CONCURRENTLY.format("drop_index"),
    "require-concurrent-reindex": 'op.execute("REINDEX INDEX CONCURRENTLY …") in an autocommit_block()',
    "require-concurrent-partition-detach": 'op.execute("… DETACH PARTITION … CONCURRENTLY") in an autocommit_block()',
    "adding-foreign-key-constraint": NOT_VALID.format("create_foreign_key"),
    "disallowed-unique-constraint": "a unique index, made concurrently, and then "
    'op.execute("ALTER TABLE … ADD CONSTRAINT … UNIQUE USING INDEX …")',
    "adding-not-nullable-field": 'a CHECK ("… IS NOT NULL") that is not valid, validated in a revision of its own; '
    "after that SET NOT NULL does not read the table",
    "adding-required-field": "a server_default, or nullable=True",
    "adding-field-with-default": "a default that is the same for all rows, or none; fill the rows in batches",
    "adding-serial-primary-key-field": "a column that is filled in batches, a unique index made concurrently, and then "
    'op.execute("ALTER TABLE … ADD PRIMARY KEY USING INDEX …")',
    "changing-column-type": IN_STEPS,
    "renaming-column": IN_STEPS,
    "renaming-table": "a view of the old name, until nobody uses it",
    "ban-truncate-cascade": "name each table that is to be emptied",
    "ban-create-domain-with-constraint": "a CHECK of the column, and no domain",
    "ban-alter-domain-with-add-constraint": "a CHECK of the column, and no domain",
    # Where one above stands for the same statement, it says more.
    "constraint-missing-not-valid": NOT_VALID.format("create_check_constraint"),
}

# What has locks worth a look; and what squawk can read, which rows with a driver's placeholders are not.
DDL = re.compile(r"\s*(CREATE|ALTER|DROP|REINDEX|TRUNCATE)\s", re.I)


@dataclass(frozen=True)
class Unsafe:
    """A statement, and the rule that it breaks.

    Attributes:
        statement: on one line.
        rule: of squawk's.
        why: in squawk's words.
    """

    statement: str
    rule: str
    why: str

    def __str__(self) -> str:
        return f"{self.statement}\n    {self.rule}: {self.why}\n    Instead: {RULES[self.rule]}."


def squawk() -> str | None:
    """The command, if it is installed: beside this Python, or elsewhere on the machine."""
    return shutil.which("squawk", path=sysconfig.get_path("scripts")) or shutil.which("squawk")


def unsafe(command: str, statements: list[str], major: int, *, rewrites: bool) -> list[Unsafe]:
    """The statements of one revision that lock what is in use.

    Args:
        command: squawk's.
        statements: in their order, since a table that is made here is nobody's yet.
        major: PostgreSQL's.
        rewrites: whether a table that was there before has been written anew. Where none has, a new type is only
            another name for what is stored, such as a longer VARCHAR.
    """
    ddl = [statement.strip().rstrip(";") for statement in statements if DDL.match(statement)]
    found = _complaints(command, ddl, major)
    # It reads nothing at all where it cannot read all.
    while unread := {index for index, rule, _ in found if rule == "syntax-error"}:
        ddl = [statement for index, statement in enumerate(ddl) if index not in unread]
        found = _complaints(command, ddl, major)
    by_statement: dict[int, Unsafe] = {}
    for index, rule, why in sorted(found, key=lambda complaint: complaint[1] == "constraint-missing-not-valid"):
        if rule in RULES and (rewrites or rule != "changing-column-type"):
            by_statement.setdefault(index, Unsafe(" ".join(ddl[index].split()), rule, why))
    return [by_statement[index] for index in sorted(by_statement)]


def _complaints(command: str, ddl: list[str], major: int) -> list[tuple[int, str, str]]:
    """Which statement, which rule, and why."""
    if not ddl:
        return []
    arguments = ["--assume-in-transaction", f"--pg-version={major}", "--reporter=json", "--stdin-filepath=revision.sql"]
    sql = "".join(f"{statement}\n;\n" for statement in ddl)
    done = subprocess.run([command, *arguments], input=sql, capture_output=True, text=True, check=False)
    # 1: it has found something.
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise RuntimeError(f"squawk ended with {done.returncode}: {done.stderr.strip()}")
    statement_of_line = [index for index, statement in enumerate(ddl) for _ in f"{statement}\n;".splitlines()]
    return [
        # Its lines count from zero, and the end of the text is one more.
        (statement_of_line[min(said["line"], len(statement_of_line) - 1)], said["rule_name"], said["message"])
        for said in json.loads(done.stdout)
    ]
