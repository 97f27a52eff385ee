"""The kind of a statement, and its effects at the end of the transaction, by its text."""

import pytest
from harness.transaction.commit_effects import local_settings, on_commit
from harness.transaction.statement_kind import Kind, kind_of


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT 1", Kind.READ),
        ("  -- a comment\n/* another */ (select 1)", Kind.READ),
        ("SELECT\n1", Kind.READ),
        ("SELECT(1)", Kind.READ),
        ("SELECT 'please update', 'it''s', E'\\' into', \"into\" -- don't update", Kind.READ),
        ("SELECT settings.update FROM settings", Kind.READ),
        ("SELECT 1 AS id INTO extra", Kind.WRITE),
        ("WITH new AS (SELECT 1) -- don't\nINSERT INTO users VALUES ('a')", Kind.WRITE),
        ("SELECT id FROM users FOR UPDATE SKIP LOCKED", Kind.READ),
        ("SELECT id FROM users FOR NO KEY UPDATE", Kind.READ),
        ("WITH found AS (SELECT 1) SELECT * FROM found", Kind.READ),
        ("WITH gone AS (DELETE FROM users RETURNING id) SELECT * FROM gone", Kind.WRITE),
        ("WITH new AS (SELECT 1) INSERT INTO users SELECT * FROM new", Kind.WRITE),
        ("EXPLAIN UPDATE users SET id = 1", Kind.WRITE),
        ("EXPLAIN ANALYZE SELECT 1", Kind.WRITE),
        ("INSERT INTO users VALUES (1)", Kind.WRITE),
        ("insert\n into users values (1)", Kind.WRITE),
        ("LOCK TABLE users", Kind.WRITE),
        ("COPY users FROM STDIN", Kind.WRITE),
        ("SET LOCAL app.tenant = '7'", Kind.READ),
        ("CREATE TABLE a ()", Kind.DDL),
        ("TRUNCATE users", Kind.DDL),
        ("SAVEPOINT a", Kind.SAVEPOINT),
        ("RELEASE SAVEPOINT a", Kind.RELEASE),
        ("ROLLBACK TO SAVEPOINT a", Kind.ROLLBACK_TO),
        ("ROLLBACK", Kind.TRANSACTION),
        ("COMMIT\nAND CHAIN", Kind.TRANSACTION),
        ("COMMIT;", Kind.TRANSACTION),
        ("END", Kind.TRANSACTION),
        ("begin isolation level serializable", Kind.TRANSACTION),
        ("START TRANSACTION", Kind.TRANSACTION),
        ("PREPARE TRANSACTION 'a'", Kind.TRANSACTION),
        ("PREPARE a AS SELECT 1", Kind.READ),
        ("", Kind.WRITE),
    ],
)
def test_kind(statement: str, kind: Kind) -> None:
    assert kind_of(statement) is kind


@pytest.mark.parametrize(
    ("statement", "parameters", "names"),
    [
        ("SET LOCAL app.tenant = '7'", (), {"app.tenant"}),
        ("set local role reader", (), {"role"}),
        ("SET LOCAL SESSION AUTHORIZATION reader", (), {"session_authorization"}),
        ("SET LOCAL TIME ZONE 'UTC'", (), {"timezone"}),
        ("SET app.tenant = '7'", (), set()),
        ("SELECT set_config('App.Tenant', $1::VARCHAR, true)", ("7",), {"app.tenant"}),
        ("SELECT set_config($1::VARCHAR, $2::VARCHAR, true)", ("app.tenant", "7"), {"app.tenant"}),
        ("SELECT set_config(%(name)s::VARCHAR, '7', true)", {"name": "app.tenant"}, {"app.tenant"}),
        ("SELECT set_config('app.tenant', '7', false)", (), set()),
        ("SELECT set_config('a.a', '7', true), set_config('b.b', '7', true)", (), {"a.a", "b.b"}),
        ("SELECT 1", (), set()),
    ],
)
def test_settings_of_a_transaction(statement: str, parameters: object, names: set[str]) -> None:
    assert local_settings(statement, parameters) == names


@pytest.mark.parametrize(
    ("statement", "at_commit"),
    [
        ("CREATE TEMPORARY TABLE staging (id int) ON COMMIT DROP", "DROP TABLE IF EXISTS staging"),
        ('create temp table if not exists "My Staging" (id int)\non commit drop', 'DROP TABLE IF EXISTS "My Staging"'),
        ("CREATE TEMP TABLE staging ON COMMIT DELETE ROWS AS SELECT 1", "DELETE FROM staging"),
        ("CREATE TEMP TABLE staging (id int)", None),
        ("CREATE TABLE staging (id int)", None),
    ],
)
def test_temporary_tables(statement: str, at_commit: str | None) -> None:
    assert on_commit(statement) == at_commit
