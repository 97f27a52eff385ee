"""The connection that synchronous engines share: what is sent in place of BEGIN, COMMIT and ROLLBACK."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from harness.core.actor import are_concurrent, current_actor, name_of
from harness.core.requests import REQUEST, Request
from harness.transaction.blocking_connection import finished
from harness.transaction.logical_connection import LogicalConnection, NextStatement
from harness.transaction.outer_transaction import Mode
from harness.transaction.refusals import IsolationError, Refusals
from harness.transaction.statement_kind import Kind, kind_of
from harness.transaction.synchronous_connection import SynchronousConnection
from harness.transaction.synchronous_transactions import SynchronousTransactions


class Cursor:
    """A cursor of psycopg, of a server on which no row has been written."""

    def __init__(self, raw: "Raw") -> None:
        self._raw = raw

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *error: object) -> None: ...

    def execute(self, sql: str, **options: object) -> None:
        self._raw.sent += sql.split("; ")
        self._raw.info.transaction_status = 0 if sql in ("COMMIT", "ROLLBACK") else 2

    def fetchall(self) -> list[tuple[object, ...]]:
        return [(True,)] if "xact_id" in self._raw.sent[-1] else []


class Raw:
    """A connection of psycopg, and what it was sent."""

    def __init__(self) -> None:
        self.closed, self.sent = False, list[str]()
        self.info = SimpleNamespace(transaction_status=0)

    def cursor(self, **options: object) -> Cursor:
        return Cursor(self)

    def cancel(self) -> None: ...

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def shared() -> SynchronousConnection:
    return SynchronousConnection(SynchronousTransactions(refusals=Refusals()))


@pytest.fixture
def raw(shared: SynchronousConnection) -> Raw:
    raw = Raw()
    shared.connect("psycopg", lambda: raw)
    return raw


def connected() -> LogicalConnection:
    return LogicalConnection(is_connecting=False)


def send(shared: SynchronousConnection, raw: Raw, logical: LogicalConnection, sql: str, **options: Any) -> None:
    logical.begin(is_of_test=False)
    logical.next_statement = NextStatement(kind_of(sql), **options)
    with shared.statement(logical):
        raw.sent.append(sql)


def test_a_commit_is_a_release(shared: SynchronousConnection, raw: Raw) -> None:
    shared.begin("test")
    one = connected()

    send(shared, raw, one, "INSERT INTO a VALUES (1)")
    shared.commit(one)
    assert shared.end() is None

    assert [sql for sql in raw.sent if "pg_constraint" not in sql] == [
        "BEGIN",
        "SAVEPOINT savepoint_outer",
        "SAVEPOINT savepoint_1",
        "INSERT INTO a VALUES (1)",
        "RELEASE SAVEPOINT savepoint_1",
        "ROLLBACK TO SAVEPOINT savepoint_outer",
        "ROLLBACK",
    ]


def test_a_rollback_goes_back_to_the_savepoint(shared: SynchronousConnection, raw: Raw) -> None:
    shared.begin("test")
    one = connected()

    send(shared, raw, one, "INSERT INTO a VALUES (1)")
    shared.roll_back(one)

    assert raw.sent[-2:] == ["ROLLBACK TO SAVEPOINT savepoint_1", "RELEASE SAVEPOINT savepoint_1"]


def test_autocommit_is_a_transaction_for_each_statement(shared: SynchronousConnection, raw: Raw) -> None:
    shared.begin("test")
    one = connected()

    send(shared, raw, one, "SELECT 1", is_autocommit=True)
    send(shared, raw, one, "SELECT 2", is_autocommit=True)

    assert [sql for sql in raw.sent if "RELEASE" in sql] == [
        "RELEASE SAVEPOINT savepoint_1",
        "RELEASE SAVEPOINT savepoint_2",
    ]


@pytest.mark.parametrize(("is_commit", "last"), [(True, "COMMIT"), (False, "ROLLBACK")])
def test_the_rows_of_a_fixture(shared: SynchronousConnection, raw: Raw, is_commit: bool, last: str) -> None:
    shared.begin("seeding")
    send(shared, raw, connected(), "INSERT INTO a VALUES (1)")

    assert shared.has_changes()
    assert shared.end(is_commit=is_commit) is None

    assert raw.sent[-1] == last
    assert shared.transactions.has_written is is_commit


@pytest.mark.parametrize("mode", ["seeding", "test"])
def test_nothing_is_sent_without_a_connection(shared: SynchronousConnection, mode: Mode) -> None:
    shared.begin(mode)

    assert shared.end() is None
    assert shared.transactions.mode == "outside"
    assert not shared.has_changes()


def test_it_is_opened_again(shared: SynchronousConnection) -> None:
    opened = list[Raw]()

    def open_() -> Raw:
        opened.append(Raw())
        return opened[-1]

    shared.connect("psycopg", open_)
    shared.close()
    shared.begin("test")
    with shared.statement(connected()):
        pass

    assert [raw.closed for raw in opened] == [True, False]
    assert shared.raw is opened[1]


def test_statements_of_threads_do_not_overlap(shared: SynchronousConnection, raw: Raw) -> None:
    shared.begin("test")
    running, most = 0, list[int]()

    def read(number: int) -> None:
        nonlocal running
        one = connected()
        one.begin(is_of_test=False)
        one.next_statement = NextStatement(Kind.READ)
        with shared.statement(one):
            running += 1
            most.append(running)
            threading.Event().wait(0.001)
            running -= 1
        shared.roll_back(one)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(read, range(20)))

    assert most == [1] * 20


def test_two_threads_that_write_are_refused_by_name(shared: SynchronousConnection, raw: Raw) -> None:
    shared.begin("test")
    # At the same time: a thread that has ended may have the same name as a later one.
    with ThreadPoolExecutor(1, "one") as one, ThreadPoolExecutor(1, "other") as other:
        one.submit(send, shared, raw, connected(), "INSERT INTO a VALUES (1)").result()
        refused = other.submit(send, shared, raw, connected(), "SELECT 1").exception()

    assert isinstance(refused, IsolationError)
    assert "thread other_0 opened a session while thread one_0 has a session with uncommitted changes" in str(refused)


def test_its_messages_advise_synchronous_code(shared: SynchronousConnection) -> None:
    with pytest.raises(IsolationError, match=r"^Use `session.commit\(\)` or `with session.begin\(\):`.$"):
        shared.transactions.refuse("Use `await session.commit()` or `async with session.begin():`.")


def test_a_coroutine_that_suspends_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="has awaited something else than a blocking connection"):
        finished(asyncio.sleep(0))


def test_who_sends_a_statement() -> None:
    assert current_actor() is threading.main_thread()
    assert name_of(threading.main_thread()) == "thread MainThread"

    async def in_a_thread_of_a_request() -> bool:
        task = asyncio.current_task()
        REQUEST.set(Request({}, task=task))
        return current_actor() is task and await asyncio.to_thread(current_actor) is task

    assert asyncio.run(in_a_thread_of_a_request())


def test_who_may_run_at_the_same_time() -> None:
    async def tasks() -> list[asyncio.Task[None]]:
        return [asyncio.create_task(asyncio.sleep(0)) for _ in range(2)]

    one, other = asyncio.run(tasks())
    thread, main = threading.Thread(), threading.main_thread()

    assert are_concurrent(one, other)
    assert are_concurrent(one, thread)
    assert are_concurrent(main, thread)
    # A synchronous fixture, and the test in the event loop.
    assert not are_concurrent(main, one)
    assert not are_concurrent(one, one)
    assert not are_concurrent(None, one)
