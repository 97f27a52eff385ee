"""Models: env.py imports all of them, no migration calls create_all(), and every foreign key has an index."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from ..core.findings import Finding, Findings, finds
from ..core.project import alembic_command, shown, source_folders
from ..core.settings import report_unused, settings_of
from ..database.autogenerate import target_metadata
from ..database.databases import WorkerDatabase
from ..database.imported_files import imported_files
from ..database.migrations import Migrations
from ..postgres.server import Server
from ..schema.drift import matching
from .unknown_tables import unknown_tables

# With one of these, the imports of env.py are known only at run time.
DISCOVERY = ("import_module", "iter_modules", "walk_packages")

# Foreign keys without an index whose first columns are the key's columns, in any order.
UNINDEXED_KEYS = """
    SELECT conrelid::regclass::text, conname, (
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY position)
        FROM unnest(conkey) WITH ORDINALITY AS key (number, position)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number)
    FROM pg_constraint o JOIN pg_namespace n ON n.oid = connamespace
    WHERE contype = 'f' AND conparentid = 0 AND nspname !~ '^pg_' AND NOT EXISTS (
        SELECT FROM pg_index WHERE indrelid = conrelid AND indisvalid
        AND (indpred IS NULL OR pg_get_expr(indpred, indrelid) ~ 'IS NOT NULL')
        AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)
    ORDER BY 1, 2
"""


@finds(
    "data",
    "Modules with tables that env.py does not import: autogenerate drops the tables.",
    "Import them in env.py, or in a module that it imports.",
)
def test_env_imports_every_model(
    migrations: Migrations,
    _migrations: Migrations,
    _models_metadata: MetaData,
    _worker_database: WorkerDatabase,
    _findings: Findings,
    pytestconfig: pytest.Config,
) -> None:
    env = migrations.folder / "env.py"
    name = shown(env, pytestconfig)
    target = target_metadata(_migrations, _worker_database.name)
    ignored = settings_of(pytestconfig).ignore_drift
    _findings.add(
        [
            Finding(f"{shown(found.path, pytestconfig)}: {found.table.fullname}")
            for found in (unknown_tables(pytestconfig, target) if target else ())
            if not matching(found.name, ignored)
        ],
        f"target_metadata of {name} lacks these tables, so autogenerate drops them, and nothing compares them:",
        "Add the metadata of their base: target_metadata = [Base.metadata, OtherBase.metadata]. If they are in another "
        'database, add under [tool.savepoint] of pyproject.toml: ignore_drift = ["relation public.…"]',
    )
    _findings.fail_for_new()

    imported = imported_files(migrations.folder.glob("*.py"), pytestconfig.rootpath)
    if any(word in _text(path) for path in [env, *imported] for word in DISCOVERY):
        pytest.skip(f"{name}, or a module that it imports, discovers modules at run time")

    modules = sorted(path for folder in source_folders(pytestconfig) for path in folder.rglob("*.py"))
    _findings.add(
        [Finding(shown(path, pytestconfig)) for path in modules if path not in imported and _has_a_table(path)],
        f"{name} does not import these modules with tables, so autogenerate drops their tables:",
        f"Import them in {name}, or in a module that it imports.",
    )
    _findings.fail_for_new()


def _text(path: Path) -> str:
    # Python's own encoding of source, whatever the locale's is.
    return path.read_text(encoding="utf-8", errors="replace")


def _has_a_table(path: Path) -> bool:
    return any(_is_a_table(node) for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.ClassDef))


def _is_a_table(node: ast.ClassDef) -> bool:
    # SQLModel: `class User(SQLModel, table=True)`.
    if any(keyword.arg == "table" for keyword in node.keywords):
        return True
    return any(
        isinstance(target, ast.Name) and target.id == "__tablename__"
        for statement in node.body
        for target in (statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)])
    )


@finds(
    "schema",
    "Migrations that call create_all(): they create today's models, so that no test sees a missing migration.",
    "Write the operations instead.",
)
def test_migrations_do_not_call_create_all(
    migrations: Migrations, _findings: Findings, pytestconfig: pytest.Config
) -> None:
    files = {shown(path, pytestconfig): path for path in sorted(migrations.folder.rglob("*.py"))}
    _findings.add(
        [Finding(name, f"{name}:{line}") for name, path in files.items() for line in _calls_of_create_all(path)],
        "Migrations call create_all(): {found}.",
        "create_all() creates the current models, so that no test can detect a missing migration. Write the operations "
        f"instead; `{alembic_command(pytestconfig)} revision --autogenerate` on an empty database generates them.",
    )
    _findings.fail_for_new()


def _calls_of_create_all(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Attribute) and node.attr == "create_all":
            yield node.lineno


@finds(
    "production",
    "Foreign keys without an index: deleting a referenced row, or a join, reads the whole table.",
    "index=True on the column, and op.create_index in a migration.",
)
def test_foreign_keys_are_indexed(
    _server: Server, _worker_database: WorkerDatabase, _findings: Findings, pytestconfig: pytest.Config
) -> None:
    allowed = settings_of(pytestconfig).unindexed_foreign_keys
    with _server.connect(_worker_database.name) as connection:
        keys = connection.execute(UNINDEXED_KEYS.encode()).fetchall()
    _findings.add(
        [Finding(name, f"{table} ({columns}): {name}") for table, name, columns in keys if name not in allowed],
        "Foreign keys without an index; deleting a referenced row, or a join, reads the whole table:",
        "Add index=True to the column, and op.create_index to a migration. If the table stays small, add "
        'under [tool.savepoint] of pyproject.toml: unindexed_foreign_keys = ["{first}"]',
    )
    _findings.fail_for_new()
    report_unused(pytestconfig, "unindexed_foreign_keys", [name for _, name, _ in keys])
