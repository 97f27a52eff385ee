"""Machines without shared memory, a home, a writable cache, or a path of ASCII letters."""

import os
from pathlib import Path

import pytest
from harness.postgres import run_folder
from harness.postgres.binaries import Binaries
from harness.postgres.clusters import ClusterCache
from harness.postgres.schema import Schema

from tests.environment import UV, synced
from tests.harness.namespace import run_apart
from tests.harness.sample import Sample
from tests.rendering import Render

TEST = """
from pathlib import Path

import pytest
from httpx import AsyncClient

from tests.harness.postgres.server import Server

@pytest.mark.parametrize("number", range(2))
async def test_sign_up(client: AsyncClient, postgres_server: Server, number: int) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
    Path("place").write_text(postgres_server.host)
"""

NO_DEV_SHM = """
mount -t tmpfs none /dev || exit 99
mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; mknod -m 666 /dev/urandom c 1 9
"""


@pytest.mark.parametrize(
    ("mounts", "is_used"),
    [
        ("mount -t tmpfs -o size=64m none /dev/shm", False),
        ("mount -t tmpfs -o ro none /dev/shm", False),
        (NO_DEV_SHM, False),
        ("mount -t tmpfs -o noexec none /dev/shm", True),
    ],
    ids=["64 MB, as in a container", "read-only", "none", "noexec"],
)
def test_shared_memory(sample: Sample, mounts: str, is_used: bool) -> None:
    sample.write("tests/test_a.py", TEST)

    outcome = run_apart(sample, f'{mounts}\n"$@"', "--create-db", "--postgres=local")

    assert "2 passed" in outcome.output, outcome.output
    assert Path((sample.folder / "place").read_text()).is_relative_to(run_folder.TMPFS) == is_used


@pytest.mark.parametrize(
    ("mounts", "variables"),
    [
        ('mount -t tmpfs -o ro none "$HOME"', ""),
        ("", "HOME=/nowhere/at/all"),
        ("", "-u HOME"),
        ('mount -t tmpfs -o ro none "$HOME"', 'XDG_CACHE_HOME="$HOME"'),
    ],
    ids=["a read-only home", "a missing home", "no home", "a read-only cache"],
)
def test_home(sample: Sample, mounts: str, variables: str, tmp_path: Path) -> None:
    sample.write("tests/test_a.py", TEST)
    (tmp_path / "home").mkdir()
    env = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": ""}

    for _ in range(2):
        outcome = run_apart(sample, f'{mounts}\nenv {variables} "$@"', "--postgres=local", **env)
        assert "2 passed" in outcome.output, outcome.output


def test_an_unknown_user_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a container with `--user 54321`: without a home there is no cache."""
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    (tmp_path / "postgres").touch()

    cache = ClusterCache(Schema(lambda: "digest", lambda server: True, rebuild=False), Binaries(tmp_path, "18.6"))

    assert not cache.copy_to(tmp_path, None)
    cache.write(tmp_path)
    assert not cache.copy_to(tmp_path, None)


def test_a_path_with_spaces_and_umlauts(render: Render, default_python: Path, tmp_path: Path) -> None:
    folder = render.copy(tmp_path / "Tee Häuschen ü" / "mein Projekt")

    project = synced(folder, folder / ".venv", default_python)

    assert " failed" not in project.check(UV, "run", "--no-sync", "pytest", "--create-db")
    assert " failed" not in project.check(UV, "run", "--no-sync", "pytest", "-n", "2", "tests/test_users.py")
