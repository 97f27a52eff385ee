"""A cluster in the cache that was damaged anywhere is recognised, before a server starts from it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.postgres import binaries, local, privileges
from harness.postgres.clusters import ClusterCache
from harness.postgres.run_folder import RunFolder
from harness.postgres.schema import Schema

# One of each kind: control file, shared and local catalogs, their free space and visibility maps, log, transaction
# status, configuration, and the checksum itself.
FILES = [
    "data/global/pg_control",
    "data/global/pg_filenode.map",
    "data/global/1262",
    "data/base/1/1259",
    "data/base/1/1259_fsm",
    "data/base/1/1259_vm",
    "data/base/1/pg_filenode.map",
    "data/base/1/PG_VERSION",
    "data/pg_xact/0000",
    "data/pg_wal/*",
    "data/PG_VERSION",
    "data/postgresql.conf",
    "data/postgresql.auto.conf",
    "data/pg_hba.conf",
    "checksum",
]
FOLDERS = ["data/base/1", "data/global", "data/pg_notify", "data/pg_wal/archive_status", "data"]


def _flip(where: Callable[[int], int]) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[where(len(content))] ^= 0x80
        path.write_bytes(content)

    return flip


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _zero(path: Path) -> None:
    """As after a power cut: the size is there, the contents are not."""
    size = path.stat().st_size
    os.truncate(path, 0)
    os.truncate(path, size)


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _replace_by_symlink(path: Path) -> None:
    other = path.with_name("other")
    path.rename(other)
    path.symlink_to(other)


def _add(path: Path) -> None:
    path.with_name("other").touch()


def _rename(path: Path) -> None:
    path.rename(path.with_name("other"))


TO_FILES: dict[str, Callable[[Path], None]] = {
    "emptied": lambda path: os.truncate(path, 0),
    "truncated": _truncate,
    "lengthened": _append,
    "zeroed": _zero,
    "first byte": _flip(lambda length: 0),
    "a byte in the middle": _flip(lambda length: length // 2),
    "last byte": _flip(lambda length: length - 1),
    "removed": Path.unlink,
    "renamed": _rename,
    "a folder instead": _replace_by_folder,
    "a pipe instead": _replace_by_pipe,
    "a symlink instead": _replace_by_symlink,
}
TO_FOLDERS: dict[str, Callable[[Path], None]] = {
    "removed": shutil.rmtree,
    "renamed": _rename,
    "a symlink instead": _replace_by_symlink,
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """The data of a server that was shut down."""
    folder = RunFolder.make()
    try:
        local.start(folder, 18)
        folder.halt()
        yield folder.path / "data"
    finally:
        folder.close()


@pytest.fixture
def folder(cluster: Path) -> Iterator[Path]:
    """A folder on tmpfs, where a copy takes a tenth of the time."""
    with tempfile.TemporaryDirectory(dir=cluster.parent) as folder:
        yield Path(folder)


@pytest.fixture
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch, cluster: Path) -> ClusterCache:
    """A cache with an entry of this cluster."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    cache = ClusterCache(Schema(lambda: "digest", lambda server: False, rebuild=False), binaries.find(18))
    cache.write(cluster)
    return cache


@pytest.fixture
def target(folder: Path) -> Path:
    (folder / "target").mkdir()
    return folder / "target"


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_an_entry_is_copied_as_it_is(cache: ClusterCache, cluster: Path, target: Path) -> None:
    assert cache.copy_to(target, None)
    assert contents(target) == contents(cluster)
    assert len(contents(target)) > 900


@pytest.mark.parametrize("how", TO_FILES)
def test_a_damaged_file_is_found(cache: ClusterCache, target: Path, folder: Path, how: str) -> None:
    missed = damage_each(cache, target, folder / "whole", FILES, TO_FILES[how])

    assert missed == []


@pytest.mark.parametrize("how", TO_FOLDERS)
def test_a_damaged_folder_is_found(cache: ClusterCache, target: Path, folder: Path, how: str) -> None:
    missed = damage_each(cache, target, folder / "whole", FOLDERS, TO_FOLDERS[how])

    assert missed == []


def damage_each(
    cache: ClusterCache, target: Path, whole: Path, names: list[str], damage: Callable[[Path], None]
) -> list[str]:
    """The paths whose damage was not found; the entry is whole before each."""
    shutil.copytree(cache.entry, whole)
    missed = []
    for name in names:
        path = min(cache.entry.glob(name))
        damage(path)
        if cache.copy_to(target, None) or any(target.iterdir()):
            missed.append(name)
        for damaged in (path, path.with_name("other")):
            if damaged.is_dir() and not damaged.is_symlink():
                shutil.rmtree(damaged)
            else:
                damaged.unlink(missing_ok=True)
        original = whole / path.relative_to(cache.entry)
        (shutil.copytree if original.is_dir() else shutil.copy)(original, path)
    assert cache.copy_to(target, None)
    return missed


def test_the_checksum_does_not_depend_on_the_owner(cache: ClusterCache, cluster: Path, target: Path) -> None:
    user = privileges.server_user()
    if user is None:
        pytest.skip("only root's server runs as another user")

    assert cache.copy_to(target, user)

    assert {path.stat().st_uid for path in target.rglob("*")} == {user.uid}
