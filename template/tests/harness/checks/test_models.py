"""The models: all of them known to Alembic, made by migrations alone, and each foreign key quick to follow."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.core.settings import settings_of
from tests.harness.database.databases import WorkerDatabase
from tests.harness.database.imported_files import imported_files
from tests.harness.database.migrations import Migrations
from tests.harness.postgres.server import Server

# An env.py that imports whatever it finds cannot be read, only run.
FINDS_MODULES = ("import_module", "iter_modules", "walk_packages")

# Without an index whose first columns are the key's, in any order.
SLOW_KEYS = """
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


def test_alembic_knows_every_model(migrations: Migrations, pytestconfig: pytest.Config) -> None:
    root = pytestconfig.rootpath
    env = migrations.folder / "env.py"
    imported = imported_files(migrations.folder, root)
    if any(word in path.read_text() for path in [env, *imported] for word in FINDS_MODULES):
        pytest.skip("migrations/env.py, or what it imports, finds modules by itself")

    unknown = [path for path in sorted((root / "src").rglob("*.py")) if path not in imported and _has_a_table(path)]
    if unknown:
        pytest.fail(
            "\n".join(
                [
                    "modules with tables that migrations/env.py never imports: Alembic does not see their tables, and "
                    "autogenerate would drop them:",
                    *(str(path.relative_to(root)) for path in unknown),
                    "Import them in migrations/env.py, or in a module that it imports.",
                ]
            ),
            pytrace=False,
        )


def _has_a_table(path: Path) -> bool:
    return any(_is_a_table(node) for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.ClassDef))


def _is_a_table(node: ast.ClassDef) -> bool:
    # SQLModel's way of saying it.
    if any(keyword.arg == "table" for keyword in node.keywords):
        return True
    return any(
        isinstance(target, ast.Name) and target.id == "__tablename__"
        for statement in node.body
        for target in (statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)])
    )


def test_migrations_alone_make_the_schema(migrations: Migrations, pytestconfig: pytest.Config) -> None:
    places = [
        f"{path.relative_to(pytestconfig.rootpath)}:{line}"
        for path in sorted(migrations.folder.rglob("*.py"))
        for line in _calls_of_create_all(path)
    ]
    if places:
        pytest.fail(
            "create_all() among the migrations makes whatever the models say today, so that no test can tell that a "
            f"migration is missing: {', '.join(places)}.\n"
            "Write the operations instead; `uv run alembic revision --autogenerate` on an empty database does.",
            pytrace=False,
        )


def _calls_of_create_all(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Attribute) and node.attr == "create_all":
            yield node.lineno


def test_each_foreign_key_has_an_index(
    postgres_server: Server, _worker_database: WorkerDatabase, pytestconfig: pytest.Config
) -> None:
    allowed = settings_of(pytestconfig).unindexed_foreign_keys
    with postgres_server.connect(_worker_database.name) as connection:
        slow = [row for row in connection.execute(SLOW_KEYS.encode()) if row[1] not in allowed]
    if slow:
        pytest.fail(
            "\n".join(
                [
                    "foreign keys without an index: deleting a row that they name, or joining, reads the whole table:",
                    *(f"{table} ({columns}): {name}" for table, name, columns in slow),
                    "Add index=True to the column, and op.create_index to a migration. For a table that stays small: "
                    f'unindexed_foreign_keys = ["{slow[0][1]}"] under [tool.savepoint] of pyproject.toml.',
                ]
            ),
            pytrace=False,
        )
