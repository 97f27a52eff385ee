"""`sys.exit`, `os._exit` and a fork in a test fail that test alone, and every other test runs once."""

import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.harness.sample import Sample

TESTS = """
import asyncio
import multiprocessing
import os
import posix
import sys
import threading
from os import _exit
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sample import ends
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


@pytest.fixture(autouse=True)
def ran(request: pytest.FixtureRequest) -> Iterator[None]:
    with open("ran", "a") as file:
        file.write(f"{request.node.name}\\n")
    yield


async def sign_up(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201


def fork_and_wait() -> bool:
    "Whether this is the parent; the child has ended."
    if pid := os.fork():
        os.waitpid(pid, 0)
        return True
    return False


async def test_first(client: AsyncClient) -> None:
    await sign_up(client)


def test_red_exit() -> None:
    sys.exit()


async def test_red_exit_async(client: AsyncClient) -> None:
    await sign_up(client)
    sys.exit(0)


async def test_red_exit_in_a_route(client: AsyncClient, app: FastAPI) -> None:
    @app.get("/leave")
    async def leave() -> None:
        sys.exit(0)

    await client.get("/leave")


async def test_red_exit_in_a_task(client: AsyncClient) -> None:
    async def leave() -> None:
        sys.exit(0)

    await asyncio.create_task(leave())


async def test_after_exit(client: AsyncClient) -> None:
    await sign_up(client)


def test_red_os_exit() -> None:
    os._exit(0)


async def test_red_os_exit_async(client: AsyncClient) -> None:
    await sign_up(client)
    os._exit(0)


async def test_red_os_exit_in_a_route(client: AsyncClient, app: FastAPI) -> None:
    @app.get("/vanish")
    def vanish() -> None:
        os._exit(0)

    await client.get("/vanish")


def test_red_os_exit_of_an_import() -> None:
    _exit(0)


def test_red_os_exit_of_the_application() -> None:
    ends.end()


def test_red_os_exit_of_posix() -> None:
    posix._exit(0)


def test_red_os_exit_is_caught() -> None:
    try:
        os._exit(0)
    except BaseException:
        pass


def test_red_os_exit_of_a_thread() -> None:
    thread = threading.Thread(target=os._exit, args=(0,))
    thread.start()
    thread.join()


def test_red_os_exit_in_a_pool() -> None:
    with ThreadPoolExecutor() as pool:
        pool.submit(os._exit, 0).result()


@pytest.fixture
def leaving() -> None:
    os._exit(0)


def test_red_os_exit_in_a_fixture(leaving: None) -> None: ...


async def test_after_os_exit(client: AsyncClient) -> None:
    await sign_up(client)


def test_replaced_os_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []
    monkeypatch.setattr("os._exit", called.append)
    os._exit(3)
    assert called == [3]


def test_red_fork() -> None:
    fork_and_wait()


async def test_red_fork_async(client: AsyncClient, db_session: AsyncSession) -> None:
    await sign_up(client)
    fork_and_wait()
    assert await db_session.scalar(text("SELECT count(*) FROM users")) == 1


class TestMethods:
    value = 0

    @pytest.fixture(autouse=True)
    def set_value(self) -> None:
        self.value = 7

    def test_red_fork_in_a_method(self) -> None:
        assert self.value == 7
        if not fork_and_wait():
            raise LookupError


@pytest.fixture
def forking() -> Iterator[None]:
    fork_and_wait()
    yield


def test_red_fork_in_a_fixture(forking: None) -> None: ...


@pytest.fixture
def forking_at_its_end() -> Iterator[None]:
    yield
    fork_and_wait()


def test_red_fork_in_a_teardown(forking_at_its_end: None) -> None: ...


@pytest.mark.parametrize("end", [os._exit, sys.exit])
async def test_fork_that_ends(client: AsyncClient, end: object, tmp_path: Path) -> None:
    await sign_up(client)
    if not fork_and_wait():
        (tmp_path / "child").touch()
        end(0)
    (tmp_path / "child").unlink()


def test_multiprocessing() -> None:
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join()
    assert process.exitcode == 0


async def test_last(client: AsyncClient, db_session: AsyncSession) -> None:
    await sign_up(client)
    assert await db_session.scalar(text("SELECT count(*) FROM users")) == 1
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_only_the_test_itself_fails(sample: Sample, workers: str) -> None:
    sample.write("tests/test_a.py", TESTS)
    # As conftest.py imports the application, before pytest has configured the harness.
    sample.write("src/sample/ends.py", "from os import _exit\n\ndef end() -> None:\n    _exit(0)\n")
    sample.write("tests/conftest.py", "import sample.ends\n" + (sample.folder / "tests/conftest.py").read_text())

    outcome = sample.pytest_from_start("-p", "no:randomly", "-n", workers, "-rA", "-W", "error")

    results = {
        name: word for word, name in re.findall(r"^(PASSED|FAILED|ERROR) tests/test_a.py::(\S+)", outcome.output, re.M)
    }
    wrong = {name: word for name, word in results.items() if ("red" in name) == (word == "PASSED")}
    assert wrong == {}, outcome.output
    ran = Counter((sample.folder / "ran").read_text().split())
    assert set(ran.values()) == {1}
    assert {name.rpartition("::")[2] for name in results} == set(ran)
    assert len(ran) == 27
    assert "Test run aborted" not in outcome.output
    assert "os._exit(0) was called in thread Thread-" in outcome.output
    assert (
        "os._exit(0) was called, and would have ended the run without a report:\n  tests/test_a.py:" in outcome.output
    )
    assert "test_red_fork forked a process that returned from it." in outcome.output
    assert "fixture forking forked a process that returned from it." in outcome.output


AT_EXIT = """
import atexit
import os

def test_red() -> None:
    atexit.register(os._exit, 0)
    raise LookupError
"""


def test_os_exit_at_the_end_of_the_process_does_not_make_a_failed_run_green(sample: Sample) -> None:
    sample.write("tests/test_a.py", AT_EXIT)

    outcome = sample.pytest_from_start()

    assert outcome.code == 1
    assert "1 failed" in outcome.output, outcome.output
    assert "os._exit(0) was called, and would have ended the run" in outcome.output


def test_os_exit_of_a_module_that_is_imported(sample: Sample) -> None:
    sample.write("tests/test_a.py", "from os import _exit\n\n_exit(0)\n")

    outcome = sample.pytest_from_start()

    assert outcome.code == 2, outcome.output
    assert (
        "os._exit(0) was called, and would have ended the run without a report:\n  tests/test_a.py:3" in outcome.output
    )


LASTING = """
import ctypes
import os
import time
from pathlib import Path

async def test_a_child_that_lasts(client) -> None:
    if (pid := os.fork()) == 0:
        try:
            while True:
                time.sleep(60)
        finally:
            os._exit(0)
    Path("pid").write_text(str(pid))

def test_place(postgres_server) -> None:
    Path("place").write_text(postgres_server.host)
"""


@pytest.mark.parametrize("fork", ["os.fork()", "ctypes.PyDLL(None).fork()"], ids=["by Python", "by a library"])
def test_a_child_that_lasts_longer_than_the_run_does_not_keep_its_server(sample: Sample, fork: str) -> None:
    sample.write("tests/test_a.py", LASTING.replace("os.fork()", fork))

    # Its output is a file: a pipe would stay open in the child.
    outcome = sample.pytest("-p", "no:randomly", "--postgres=local")

    pid = int((sample.folder / "pid").read_text())
    try:
        os.kill(pid, 0)
        assert "2 passed" in outcome.output, outcome.output
        assert "Traceback" not in outcome.output
        assert not Path((sample.folder / "place").read_text()).parent.exists()
    finally:
        os.kill(pid, signal.SIGKILL)


EMPTY = """
import pytest

@pytest.fixture
def without_yield():
    if False:
        yield

@pytest.fixture
async def without_yield_async():
    if False:
        yield

def test_a(without_yield) -> None: ...
async def test_b(without_yield_async) -> None: ...
"""


def test_a_fixture_that_does_not_yield_has_the_message_of_pytest(sample: Sample) -> None:
    sample.write("tests/test_a.py", EMPTY)

    outcome = sample.pytest("-p", "no:randomly")

    assert "2 errors" in outcome.output, outcome.output
    assert "without_yield did not yield a value" in outcome.output
    assert "generator raised" not in outcome.output


LATE = """
import os
from pathlib import Path

import pytest

def test_that_does_not_wait() -> None:
    if os.fork() == 0:
        while not Path("other").exists():
            pass

def test_b() -> None:
    Path("other").touch()
    os.wait()

def test_c() -> None: ...
"""


def test_a_child_that_returns_after_its_test_ends_the_run_with_a_message(sample: Sample) -> None:
    sample.write("tests/test_a.py", LATE)

    outcome = sample.pytest_from_start("-p", "no:randomly")

    assert outcome.code == 1
    assert "tests/test_a.py::test_that_does_not_wait forked a process that returned from it." in outcome.error
