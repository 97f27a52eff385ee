"""Slow steps show their progress on a terminal, and nothing in a log."""

import os
import pty
import subprocess

from tests.harness.sample import Sample

TEST = """
from httpx import AsyncClient

async def test_health(client: AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
"""


def at_a_terminal(sample: Sample, *arguments: str, **env: str) -> str:
    """The output of a run on a terminal."""
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        sample.command("--create-db", *arguments),
        cwd=sample.folder,
        env={**sample.env, "TERM": "xterm", **env},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    # On Linux, the end of the output is an error: the other side is closed.
    try:
        while some := os.read(ours, 65536):
            written += some
    except OSError:
        pass
    os.close(ours)
    assert run.wait(60) == 0, written.decode()
    return written.decode()


def test_progress_on_a_terminal_is_cleared(sample: Sample) -> None:
    sample.write("tests/test_a.py", TEST)

    written = at_a_terminal(sample)

    shown = written.partition("\0337")[2].rpartition("\0338\033[K")[0].split("\0338\033[K")
    assert shown == [
        "",
        "postgres: creating a cluster for this schema",
        "migrations: 0 of 1",
        "migrations: 1 of 1",
    ]


def test_no_progress_in_a_log(sample: Sample) -> None:
    sample.write("tests/test_a.py", TEST)

    outcome = sample.pytest("--create-db")

    assert "1 passed" in outcome.output, outcome.output
    for quiet in (
        outcome.output,
        at_a_terminal(sample, CI="true"),
        at_a_terminal(sample, TERM="dumb"),
        at_a_terminal(sample, "-n", "1"),
    ):
        assert "migrations:" not in quiet
        assert "\0337" not in quiet
