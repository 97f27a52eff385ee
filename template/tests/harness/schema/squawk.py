"""Runs squawk on the statements of a migration, to find locks and changes that break the running release.

Most of squawk's seventy rules are about style. The rules below find statements that make requests wait or fail while
the migration runs, or while the previous release still runs.
"""

import json
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass

CONCURRENTLY = "with op.get_context().autocommit_block(): op.{}(…, postgresql_concurrently=True)"
NOT_VALID = (
    'op.{}(…, postgresql_not_valid=True), and in a later revision op.execute("ALTER TABLE … VALIDATE CONSTRAINT …")'
)
IN_STEPS = "add a new column, fill it, let the service use both columns, and drop the old column in a later release"

# Each with a safe alternative. https://squawkhq.com/docs/rules
RULES = {
    "require-concurrent-index-creation": CONCURRENTLY.format("create_index"),
    "require-concurrent-index-deletion": CONCURRENTLY.format("drop_index"),
    "require-concurrent-reindex": 'op.execute("REINDEX INDEX CONCURRENTLY …") in an autocommit_block()',
    "require-concurrent-partition-detach": 'op.execute("… DETACH PARTITION … CONCURRENTLY") in an autocommit_block()',
    "adding-foreign-key-constraint": NOT_VALID.format("create_foreign_key"),
    "disallowed-unique-constraint": "create a unique index concurrently, then "
    'op.execute("ALTER TABLE … ADD CONSTRAINT … UNIQUE USING INDEX …")',
    "adding-not-nullable-field": 'add a CHECK ("… IS NOT NULL") that is not valid, and validate it in a later '
    "revision; then SET NOT NULL does not read the table",
    "adding-required-field": "a server_default, or nullable=True",
    "adding-field-with-default": "a constant default, or no default; fill the rows in batches",
    "adding-serial-primary-key-field": "add a column, fill it in batches, create a unique index concurrently, then "
    'op.execute("ALTER TABLE … ADD PRIMARY KEY USING INDEX …")',
    "changing-column-type": IN_STEPS,
    "renaming-column": IN_STEPS,
    "renaming-table": "keep the old name as a view until no release uses it",
    "ban-truncate-cascade": "name each table to truncate",
    "ban-create-domain-with-constraint": "a CHECK on the column instead of a domain",
    "ban-alter-domain-with-add-constraint": "a CHECK on the column instead of a domain",
    # If a rule above applies to the same statement, it is reported instead: it is more specific.
    "constraint-missing-not-valid": NOT_VALID.format("create_check_constraint"),
}

# The statements to check. squawk cannot parse statements with a driver's placeholders, such as INSERT.
DDL = re.compile(r"\s*(CREATE|ALTER|DROP|REINDEX|TRUNCATE)\s", re.I)


@dataclass(frozen=True)
class Unsafe:
    """A statement, and the squawk rule that it violates.

    Attributes:
        statement: on one line.
        rule: the name of the rule.
        message: squawk's message.
        instead: what is safe.
    """

    statement: str
    rule: str
    message: str
    instead: str

    @property
    def key(self) -> str:
        """The rule and the statement, without squawk's words."""
        return f"{self.rule}: {self.statement}"

    def __str__(self) -> str:
        return f"{self.statement}\n    {self.rule}: {self.message}\n    Instead: {self.instead}."


def squawk() -> str | None:
    """The path of the command, in this environment or on PATH; None if it is not installed."""
    return shutil.which("squawk", path=sysconfig.get_path("scripts")) or shutil.which("squawk")


def unsafe(command: str, statements: list[str], major: int, *, rewrites: bool) -> list[Unsafe]:
    """The statements of one revision that lock or break existing tables.

    Args:
        command: the path of squawk.
        statements: in order, so that squawk knows which tables are new.
        major: PostgreSQL's major version.
        rewrites: whether the revision has rewritten an existing table. If not, a change of a column's type is safe,
            such as a longer VARCHAR.
    """
    ddl = [statement.strip().rstrip(";") for statement in statements if DDL.match(statement)]
    found = _violations(command, ddl, major)
    # A syntax error keeps squawk from checking the other statements.
    while unparsed := {index for index, rule, _ in found if rule == "syntax-error"}:
        ddl = [statement for index, statement in enumerate(ddl) if index not in unparsed]
        found = _violations(command, ddl, major)
    by_statement: dict[int, Unsafe] = {}
    for index, rule, message in sorted(found, key=lambda violation: violation[1] == "constraint-missing-not-valid"):
        if rule in RULES and (rewrites or rule != "changing-column-type"):
            by_statement.setdefault(index, Unsafe(" ".join(ddl[index].split()), rule, message, RULES[rule]))
    return [by_statement[index] for index in sorted(by_statement)]


def _violations(command: str, ddl: list[str], major: int) -> list[tuple[int, str, str]]:
    """The index of the statement, the rule and the message of each violation."""
    if not ddl:
        return []
    arguments = ["--assume-in-transaction", f"--pg-version={major}", "--reporter=json", "--stdin-filepath=revision.sql"]
    sql = "".join(f"{statement}\n;\n" for statement in ddl)
    done = subprocess.run([command, *arguments], input=sql, capture_output=True, encoding="utf-8", check=False)
    # 1: there are violations.
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise RuntimeError(f"squawk failed with exit code {done.returncode}: {done.stderr.strip()}")
    statement_of_line = [index for index, statement in enumerate(ddl) for _ in f"{statement}\n;".splitlines()]
    return [
        # Lines are numbered from zero; the end of the text is one line more.
        (statement_of_line[min(found["line"], len(statement_of_line) - 1)], found["rule_name"], found["message"])
        for found in json.loads(done.stdout)
    ]
