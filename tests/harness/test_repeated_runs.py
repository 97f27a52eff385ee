"""Ten runs in a row leave nothing behind: no process, no folder, no shared memory, no database."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

from harness.postgres.server import Server

from tests.harness.namespace import run_apart
from tests.harness.sample import Sample

TEST = """
import pytest
from httpx import AsyncClient

async def test_sign_up(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

@pytest.mark.own_database
async def test_sign_up_for_good(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
"""

# In a machine of its own, as far as processes, shared memory and folders for what passes are concerned.
APART = "--mount --ipc --pid --fork --mount-proc"
RUNS = """
mount -t tmpfs none /dev/shm && mount --bind "$PLACE" /var/tmp && mount -t tmpfs none "$TMPDIR" || exit 99
for number in $(seq 10); do "$@" || exit 1; done
# Not in a pipe: before it runs grep, the shell's child has the shell's arguments.
ps -eo pid=,args= >"$PLACE/processes"
echo "--- processes"; grep -v -e "^ *1 " -e "ps -eo" "$PLACE/processes"
echo "--- folders"; ls -A /dev/shm "$TMPDIR"
echo "--- shared memory"; ipcs -m | grep 0x
echo "--- end"
"""


def test_on_a_server_of_the_runs_own(sample: Sample) -> None:
    sample.write("tests/test_a.py", TEST)
    scratch = sample.folder / "scratch"
    scratch.mkdir()

    outcome = run_apart(
        sample,
        RUNS,
        "--postgres=local",
        f"--basetemp={sample.folder / 'basetemp'}",
        options=APART,
        TMPDIR=str(scratch),
        PLACE=str(sample.folder),
    )

    assert outcome.output.count("2 passed") == 10, outcome.output
    _, _, left = outcome.output.partition("--- processes\n")
    assert left == f"--- folders\n/dev/shm:\n\n{scratch}:\n--- shared memory\n--- end\n"


def test_on_a_server_of_ones_own(sample: Sample, server: Server, url: str) -> None:
    """Two at a time, each with a database of its own for one of its tests."""
    sample.write("tests/test_a.py", TEST)
    sample.pytest(TEST_DATABASE_URL=url)
    before = databases(server)

    def run(number: int) -> str:
        env = {**sample.env, "TEST_DATABASE_URL": url}
        return subprocess.run(
            sample.command(), cwd=sample.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        ).stdout

    with ThreadPoolExecutor(2) as threads:
        outputs = list(threads.map(run, range(10)))

    assert [output for output in outputs if "2 passed" not in output] == []
    assert databases(server) == before


def databases(server: Server) -> set[str]:
    with server.connect() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}
