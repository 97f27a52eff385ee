"""Machines without shared memory, a home, a writable cache, or a path of ASCII letters."""

import os
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from harness.database import maintenance
from harness.postgres import run_folder
from harness.postgres.binaries import Binaries
from harness.postgres.clusters import ClusterCache
from harness.postgres.schema import Schema
from harness.postgres.server import Server

from tests.environment import UV, Project, synced
from tests.harness.namespace import run_apart
from tests.harness.own_server import OF_MAJOR, own_server
from tests.harness.sample import Outcome, Sample
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


def test_a_path_with_a_percent_sign_and_quotes(sample_project: Project, tmp_path: Path) -> None:
    """In an INI file, as in alembic.ini, a percent sign begins an interpolation."""
    sample = Sample.of(sample_project, tmp_path / "100% %(here)s \"Tee\" 'Größe' $HOME")
    sample.write("tests/test_a.py", TEST)

    outcome = sample.pytest_from_start("--postgres=local", "--create-db")

    assert "2 passed" in outcome.output, outcome.output
    # What the page says of Alembic's own commands.
    history = sample.run(str(sample.python), "-m", "alembic", "history")
    assert "InterpolationSyntaxError" in history.stdout


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("ends", ["well", "in a failure"])
def test_a_locale_that_has_no_umlauts(sample: Sample, ends: str) -> None:
    revision = min((sample.folder / "migrations" / "versions").glob("*.py"))
    text = revision.read_text(encoding="utf-8")
    statement = "SELECT 'Größe'" if ends == "well" else "SELECT größe"
    text = text.replace(
        "def upgrade() -> None:\n", f'def upgrade() -> None:\n    op.execute("{statement}")  # für später\n'
    )
    revision.write_text(text, encoding="utf-8")
    (sample.folder / "tests" / "test_a.py").write_text(f"# Größe …\n{TEST}", encoding="utf-8")

    outcome = sample.pytest_from_start("--create-db", **ASCII)
    checks = Outcome.of(sample.run(str(sample.python), "-m", "pytest", "tests/harness/checks", **ASCII))

    assert "UnicodeEncodeError" not in outcome.output + checks.output
    assert "UnicodeDecodeError" not in outcome.output + checks.output
    if ends == "well":
        assert "2 passed" in outcome.output, outcome.output
        assert " failed" not in checks.output, checks.output
        assert " passed" in checks.output
    else:
        assert "does not exist" in outcome.error, outcome.output


UNNAMED = "--user --map-user=12345 --map-group=0"


@pytest.mark.parametrize(
    "variables",
    ["HOME=/proc", "-u HOME", "-u HOME -u XDG_CACHE_HOME -u USER -u LOGNAME"],
    ids=["HOME=/", "no HOME", "none"],
)
def test_a_user_id_without_a_name(sample: Sample, variables: str) -> None:
    """As in OpenShift, where HOME is often `/`, which this user cannot write to."""
    sample.write("tests/test_a.py", TEST)

    outcome = run_apart(
        sample,
        f'id -un && exit 99; env -u XDG_CACHE_HOME {variables} "$@"',
        "--postgres=local",
        "--create-db",
        options=UNNAMED,
    )

    assert "2 passed" in outcome.output, outcome.output


def test_a_user_id_without_a_name_and_a_home_with_a_server_of_a_url(sample: Sample, readable: Path) -> None:
    """As in OpenShift."""
    sample.write("tests/test_a.py", TEST)
    with own_server(readable, {"listen_addresses": "127.0.0.1"}) as port:
        outcome = run_apart(
            sample,
            'id -un && exit 99; env -u HOME -u XDG_CACHE_HOME "$@"',
            *("-o", OF_MAJOR),
            options=UNNAMED,
            TEST_DATABASE_URL=f"postgresql://postgres@127.0.0.1:{port}/postgres",
        )

    assert "2 passed" in outcome.output, outcome.output


def test_a_user_id_without_a_name_where_no_name_can_be_given(sample: Sample) -> None:
    sample.write("tests/test_a.py", TEST)

    outcome = run_apart(sample, 'PATH=/nowhere "$@"', "--postgres=local", "--create-db", options=UNNAMED)

    assert "user id 12345 has no name on this machine, and initdb needs one" in outcome.error, outcome.output


@pytest.mark.parametrize(
    ("locales", "taken"),
    [(("no_such.UTF-8", "C.UTF-8"), "C.UTF-8"), (("no_such.UTF-8", *maintenance.LIBC_LOCALES[-1:]), "C")],
)
def test_a_server_that_lacks_a_locale(
    server: Server, locales: tuple[str, ...], taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PostgreSQL 15 and 16 on macOS, which have no C.UTF-8, and no provider of their own."""
    monkeypatch.setattr(maintenance, "LIBC_LOCALES", locales)
    name = "savepoint_0123abcd_locale_1"
    connection = maintenance.MaintenanceConnection(replace(server, major=16))
    try:
        connection.create(name)

        with server.connect(name) as found:
            assert found.execute(
                "SELECT datcollate FROM pg_database WHERE datname = current_database()"
            ).fetchone() == (taken,)
        connection.drop(name)
    finally:
        connection.close()


def test_a_server_without_any_of_the_locales_says_so(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "LIBC_LOCALES", ("no_such.UTF-8",))
    connection = maintenance.MaintenanceConnection(replace(server, major=16))
    try:
        with pytest.raises(psycopg.errors.WrongObjectType, match="locale"):
            connection.create("savepoint_0123abcd_locale_1")
    finally:
        connection.close()
