"""Tables of every kind are filled from the catalog."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from harness.postgres.server import Server
from harness.rows import fill
from harness.rows.contents import contents
from harness.rows.fill import Filling
from harness.rows.tables import tables_of
from psycopg import sql


@pytest.fixture
def connection(server: Server) -> Iterator[psycopg.Connection[Any]]:
    name = "rows"
    with server.connect() as maintenance:
        maintenance.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with server.connect(name) as connection:
        yield connection


TABLES = {
    "types": """
        CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE TYPE pair AS (a int, b text);
        CREATE DOMAIN email AS varchar(100) CHECK (VALUE ~ '^[^@]+@[^@]+$'); CREATE DOMAIN needed AS text NOT NULL;
        CREATE TABLE t (a bool NOT NULL, b int2 NOT NULL, c int8 NOT NULL, d float4 NOT NULL, e numeric(3,2) NOT NULL,
        f numeric NOT NULL, g money NOT NULL, h varchar(3) NOT NULL UNIQUE, i char(1) NOT NULL, j text NOT NULL,
        k bytea NOT NULL, l date NOT NULL, m time NOT NULL, n timestamptz NOT NULL, o interval NOT NULL,
        p uuid NOT NULL, q json NOT NULL, r jsonb NOT NULL, s inet NOT NULL, t cidr NOT NULL, u macaddr NOT NULL,
        v bit(3) NOT NULL, w varbit(5) NOT NULL, x point NOT NULL, y tsvector NOT NULL, z tsquery NOT NULL,
        aa mood NOT NULL, ab pair NOT NULL, ac email NOT NULL, ad needed, ae int4range NOT NULL, af tstzrange NOT NULL,
        ag int[] NOT NULL, ah text[][] NOT NULL, ai mood[] NOT NULL, aj email[] NOT NULL, ak datemultirange NOT NULL,
        al polygon NOT NULL, am circle NOT NULL, an xml, ao oid NOT NULL, ap pg_lsn NOT NULL, aq name NOT NULL,
        ar "char" NOT NULL, at timetz NOT NULL, au line NOT NULL, av lseg NOT NULL, aw box NOT NULL, ax path NOT NULL,
        ay macaddr8 NOT NULL, az numeric(2,2) NOT NULL, ba jsonpath NOT NULL, bb numrange NOT NULL,
        bc pair[] NOT NULL)""",
    "identity and generated columns": """CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        other serial, number int NOT NULL, twice int GENERATED ALWAYS AS (number * 2) STORED)""",
    "checks": """CREATE TABLE t (id int PRIMARY KEY, currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
        country varchar(2) CHECK (length(country) = 2), amount int NOT NULL CHECK (amount > 0 AND amount % 5 = 0),
        rate float8 CHECK (rate BETWEEN 0 AND 1), starts date NOT NULL, ends date NOT NULL, CHECK (ends > starts),
        a int, b text, CHECK (num_nonnulls(a, b) = 1), kind text NOT NULL CHECK (kind IN ('x', 'y')),
        tags text[] NOT NULL CHECK (cardinality(tags) BETWEEN 1 AND 3), color text CHECK (color ~ '^#[0-9a-f]{6}$'),
        data jsonb NOT NULL CHECK (jsonb_typeof(data) = 'array'), slug text NOT NULL CHECK (slug ~ '^[a-z0-9-]+$'),
        lower_name text NOT NULL UNIQUE CHECK (lower_name = lower(lower_name)),
        url text CHECK (url LIKE 'https://%'), state text NOT NULL, paid_at timestamptz,
        CHECK ((state = 'paid') = (paid_at IS NOT NULL)), CHECK (state IN ('open', 'paid')))""",
    "unique values": """
        CREATE TABLE t (id uuid PRIMARY KEY, name text NOT NULL, tenant int NOT NULL, UNIQUE (tenant, name),
        code varchar(2) UNIQUE NOT NULL, flag bool NOT NULL UNIQUE, email text NOT NULL, during tsrange NOT NULL,
        EXCLUDE USING gist (during WITH &&), position int NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED);
        CREATE UNIQUE INDEX ON t (lower(email)); CREATE UNIQUE INDEX ON t (tenant) WHERE flag""",
    "foreign keys": """CREATE SCHEMA shop; CREATE TABLE shop.tenants (id uuid PRIMARY KEY);
        CREATE TABLE users (tenant uuid REFERENCES shop.tenants, id int, PRIMARY KEY (tenant, id),
            boss int, FOREIGN KEY (tenant, boss) REFERENCES users);
        CREATE TABLE posts (id int PRIMARY KEY, tenant uuid NOT NULL REFERENCES shop.tenants, author int NOT NULL,
            editor int, FOREIGN KEY (tenant, author) REFERENCES users, FOREIGN KEY (tenant, editor) REFERENCES users);
        CREATE TABLE profiles (post int PRIMARY KEY REFERENCES posts);
        CREATE TABLE likes (post int REFERENCES posts, tenant uuid, author int, PRIMARY KEY (post, tenant, author),
            FOREIGN KEY (tenant, author) REFERENCES users);
        CREATE TABLE nodes (id int PRIMARY KEY, parent int NOT NULL REFERENCES nodes, CHECK (id > 0))""",
    "a circle of foreign keys": """
        CREATE TABLE a (id int PRIMARY KEY, b int);
        CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a);
        ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b;
        CREATE TABLE c (id int PRIMARY KEY, d int NOT NULL); CREATE TABLE d (id int PRIMARY KEY, c int NOT NULL);
        ALTER TABLE c ADD FOREIGN KEY (d) REFERENCES d DEFERRABLE; ALTER TABLE d ADD FOREIGN KEY (c) REFERENCES c""",
    "partitions": """
        CREATE TABLE events (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
        CREATE TABLE events_2 PARTITION OF events DEFAULT;
        CREATE TABLE kinds (kind text NOT NULL) PARTITION BY LIST (kind);
        CREATE TABLE kinds_1 PARTITION OF kinds FOR VALUES IN ('a', 'b');
        CREATE TABLE hashed (id int NOT NULL) PARTITION BY HASH (id);
        CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        CREATE TABLE marks (id int PRIMARY KEY, event int, at timestamptz,
            FOREIGN KEY (event, at) REFERENCES events (id, at))""",
    "triggers, rules and row security": """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'refused'; END $$; CREATE TABLE t (id int PRIMARY KEY);
        CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse();
        ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY""",
    "names that need quotes": """
        CREATE SCHEMA "My Shop"; CREATE TABLE "My Shop"."Order Item" ("Order Id" int PRIMARY KEY,
        "order" text NOT NULL CHECK ("order" <> ''), "per%cent" int, "select" text);
        CREATE TABLE "user" ("group" int REFERENCES "My Shop"."Order Item")""",
    "no columns, one column": "CREATE TABLE nothing (); CREATE TABLE one (id serial PRIMARY KEY)",
    "inheritance": "CREATE TABLE base (id int PRIMARY KEY); CREATE TABLE more (name text NOT NULL) INHERITS (base)",
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_are_filled(connection: psycopg.Connection[Any], kind: str) -> None:
    connection.execute(TABLES[kind].encode())
    filling = Filling(connection)

    filling.fill()

    assert filling.refused == {}
    filled = contents(connection).values()
    assert {content.table.bare_name for content in filled if not content.count} <= {"nothing"}
    _assert_foreign_keys_hold(connection)


def _assert_foreign_keys_hold(connection: psycopg.Connection[Any]) -> None:
    keys = connection.execute(
        b"SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
        b"WHERE contype = 'f' AND conparentid = 0"
    )
    for table, definition in keys.fetchall():
        connection.execute(f"ALTER TABLE {table} ADD {definition}".encode())


def test_rows_are_different_and_alike(connection: psycopg.Connection[Any]) -> None:
    connection.execute(b"CREATE TABLE t (id int PRIMARY KEY, name text, age int)")

    Filling(connection).fill()

    rows = connection.execute(b"SELECT name, age FROM t ORDER BY id").fetchall()
    assert rows[0] == rows[2] != rows[1]
    assert rows[3] == (None, None)


def test_a_user_that_may_not_switch_triggers_off(server: Server, connection: psycopg.Connection[Any]) -> None:
    connection.execute(b"ALTER DATABASE rows OWNER TO without_right; GRANT ALL ON SCHEMA public TO without_right")
    with replace(server, user="without_right").connect("rows") as own:
        own.execute(TABLES["a circle of foreign keys"].encode())
        own.execute(TABLES["triggers, rules and row security"].encode())
        filling = Filling(own)

        filling.fill()

        counts = {content.table.bare_name: content.count for content in contents(own).values()}
    assert filling.runs_triggers
    assert filling.refused["public.t"] == "refused"
    assert filling.refused.keys() == {"public.t", "public.c", "public.d"}
    assert counts["a"] == counts["b"] == 4


def test_a_transaction_locks_few_tables(connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has room for a limited number of locks."""
    for number in range(5):
        connection.execute(f"CREATE TABLE many_{number} (id bigint GENERATED ALWAYS AS IDENTITY, name text)".encode())
    monkeypatch.setattr(fill, "AT_ONCE", 2)
    transactions, insert = [], Filling._insert

    def counted(filling: Filling, *arguments: Any) -> str | None:
        error = insert(filling, *arguments)
        transactions.extend(connection.execute("SELECT pg_current_xact_id()::text").fetchall())
        return error

    monkeypatch.setattr(Filling, "_insert", counted)

    Filling(connection).fill()

    assert [transactions.count(each) for each in dict.fromkeys(transactions)] == [2, 2, 1]
    assert connection.execute("SELECT count(*) > 0 FROM many_4").fetchone() == (True,)


def test_a_type_that_is_not_known(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        b"CREATE TABLE t (id int, kind regtype NOT NULL); CREATE TABLE u (id int, kind regtype NOT NULL DEFAULT 'int');"
        b"CREATE TABLE v (id int, kind regtype); CREATE TABLE w (id int PRIMARY KEY, name text);"
        b"CREATE RULE log AS ON UPDATE TO w DO ALSO NOTHING"
    )
    filling = Filling(connection)

    filling.fill()

    assert filling.refused == {"public.t": "column kind has type regtype"}
    assert [content.count for content in contents(connection).values()] == [0, 4, 4, 4]


def test_one_of_two_columns(connection: psycopg.Connection[Any]) -> None:
    """Each of them has a value in some row."""
    connection.execute(b"CREATE TABLE t (a int, b text, CHECK (num_nonnulls(a, b) = 1))")

    Filling(connection).fill()

    assert connection.execute(b"SELECT count(a) > 0, count(b) > 0 FROM t").fetchone() == (True, True)


def test_rows_of_earlier_migrations_and_sequences(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        b"CREATE TABLE kinds (name text PRIMARY KEY CHECK (name IN ('a', 'b', 'c'))); INSERT INTO kinds VALUES ('a');"
        b"CREATE TABLE items (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL REFERENCES kinds)"
    )

    Filling(connection).fill()
    Filling(connection, first=16).fill()
    connection.execute(b"INSERT INTO items (kind) VALUES ('b')")

    counts = {content.table.bare_name: content.count for content in contents(connection).values()}
    assert counts == {"kinds": 3, "items": 9}


def test_rows_suit_the_constraints_of_the_schema_after_them(connection: psycopg.Connection[Any]) -> None:
    before = (
        "CREATE TABLE teams (id int PRIMARY KEY); CREATE TABLE users (id int PRIMARY KEY, team int, age int NOT NULL)"
    )
    connection.execute(
        f"CREATE SCHEMA later; SET search_path = later; {before};".encode()
        + b"ALTER TABLE users ADD FOREIGN KEY (team) REFERENCES teams, ADD CHECK (age BETWEEN 18 AND 20)"
    )
    later = {table.name.replace("later.", "public."): table for table in tables_of(connection)}
    for table in later.values():
        keys = [replace(key, name=key.name.replace("later.", "public.")) for key in table.foreign_keys]
        table.foreign_keys[:] = keys
    connection.execute(f"DROP SCHEMA later CASCADE; SET search_path = public; {before}".encode())

    Filling(connection, later).fill()

    connection.execute(b"ALTER TABLE users ADD FOREIGN KEY (team) REFERENCES teams, ADD CHECK (age BETWEEN 18 AND 20)")
    assert connection.execute(b"SELECT count(team) > 1 FROM users").fetchone() == (True,)
