"""A migration creates and drops a role on a server where it exists, with comments and strings of any kind."""

import pytest
from harness.database.roles_in_migrations import tolerating_roles
from harness.postgres.server import Server
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import ProgrammingError

ROLE = "role_of_a_test"


@pytest.mark.parametrize(
    "statement",
    [
        f"CREATE ROLE {ROLE}",
        f"create user {ROLE};",
        f"CREATE ROLE {ROLE} -- the application's",
        f"-- of the application; see the page\nCREATE ROLE {ROLE};  /* no; login */",
        f"CREATE ROLE {ROLE} PASSWORD 'a;b--c'",
        f'CREATE ROLE "{ROLE}" /* the\napplication\'s */ NOLOGIN;\n',
    ],
)
def test_a_role_is_created_twice_and_dropped_twice(server: Server, statement: str) -> None:
    engine = create_engine(server.url("postgres", "psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        with tolerating_roles():
            for _ in range(2):
                connection.exec_driver_sql(statement)
            count = connection.exec_driver_sql(f"SELECT count(*) FROM pg_roles WHERE rolname = '{ROLE}'").scalar()
            for _ in range(2):
                connection.exec_driver_sql(f"DROP ROLE {ROLE} -- no longer used")
        connection.rollback()

    assert count == 1


@pytest.mark.parametrize(
    "statement",
    [
        f"CREATE ROLE {ROLE}; SELECT 1 / 0",
        f"CREATE ROLE {ROLE} PASSWORD 'a'; COMMENT ON ROLE {ROLE} IS 'b'",
        "-- of a database\nCREATE USER  MAPPING FOR postgres SERVER postgres",
    ],
)
def test_other_statements_are_sent_as_they_are(server: Server, statement: str) -> None:
    engine = create_engine(server.url("postgres", "psycopg"), poolclass=NullPool)
    with engine.connect() as connection, tolerating_roles(), connection.begin():
        connection.exec_driver_sql(f"CREATE ROLE {ROLE}")
        with pytest.raises(ProgrammingError, match=r"already exists|does not exist"):
            connection.exec_driver_sql(statement)
        connection.rollback()
