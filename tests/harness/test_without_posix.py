"""With a TEST_DATABASE_URL, the harness needs none of the modules and functions that Windows lacks."""

from tests.harness.sample import Outcome, Sample

WITHOUT = """
import asyncio, getpass, os, signal, subprocess, sys, tempfile

for name in ("fcntl", "pwd", "grp", "resource", "termios"):
    sys.modules[name] = None
for name in ("geteuid", "fork", "forkpty", "killpg", "mkfifo", "fchmod", "O_NOFOLLOW", "O_NONBLOCK"):
    delattr(os, name)
for name in ("SIGALRM", "setitimer", "ITIMER_REAL", "SIGQUIT", "SIGKILL", "pthread_sigmask"):
    delattr(signal, name)

import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""

TESTS = """
import pytest
from httpx import AsyncClient

async def test_a_user(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

@pytest.mark.own_database
async def test_a_user_in_an_own_database(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

async def test_that_fails(client: AsyncClient) -> None:
    assert (await client.get("/users/1")).status_code == 200
"""

EVERY_MODULE = """
import importlib, pkgutil
import tests.harness
found = [module.name for module in pkgutil.walk_packages(tests.harness.__path__, "tests.harness.")]
# These start a server, and are imported by no run on Windows.
POSIX = {"clusters", "docker", "leftovers", "local", "privileges", "run_folder", "supervisor", "tree_copy", "troubles"}
POSIX |= {"unnamed_user"}
for name in found:
    package, _, last = name.rpartition(".")
    if not (package == "tests.harness.postgres" and last in POSIX) and "__main__" not in name and "checks" not in name:
        importlib.import_module(name)
print(len(found), "modules")
"""


def run(sample: Sample, code: str, *arguments: str, **env: str) -> Outcome:
    return Outcome.of(sample.run(str(sample.python), "-c", code, *arguments, **env))


def test_a_run_with_a_url(sample: Sample, url: str) -> None:
    sample.write("tests/test_a.py", TESTS)

    outcome = run(sample, WITHOUT, "--ignore=tests/harness", TEST_DATABASE_URL=url)

    assert "1 failed, 2 passed" in outcome.output, outcome.output
    assert "ModuleNotFoundError" not in outcome.output


def test_the_checks_with_a_url(sample: Sample, url: str) -> None:
    outcome = run(sample, WITHOUT, "tests/harness/checks", TEST_DATABASE_URL=url)

    assert " failed" not in outcome.output, outcome.output
    assert " passed" in outcome.output


def test_every_module_can_be_imported(sample: Sample) -> None:
    code = WITHOUT.partition("import pytest")[0] + EVERY_MODULE

    outcome = run(sample, code)

    assert outcome.code == 0, outcome.output
    assert int(outcome.output.split()[-2]) > 150
