"""Another user of the machine can neither read the files of a run nor hold its locks, whatever the umask is."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.core.cache_folder import private_cache
from harness.postgres import binaries, leftovers, local, run_folder
from harness.postgres.clusters import ClusterCache
from harness.postgres.run_folder import PREFIX, RunFolder
from harness.postgres.schema import Schema


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """The files and folders below that the group or others may read, write or enter."""
    return [
        f"{path.relative_to(folder)} {stat.filemode(path.lstat().st_mode)}"
        for path in folder.rglob("*")
        if path.lstat().st_mode & 0o077 and not path.is_socket()
    ]


def test_the_files_of_a_run(no_umask: None) -> None:
    folder = RunFolder.make()
    try:
        local.start(folder, 18)
        with folder.locked():
            folder.write_json("server.json", {"password": "s3cret"})
        folder.keep()
        (folder.path / "keep").unlink()

        assert (folder.path / "log").stat().st_size > 0
        assert open_to_others(folder.path) == []
        # The server's user may pass through it.
        assert folder.path.stat().st_mode & 0o066 == 0
    finally:
        folder.close()


def test_the_files_of_the_cache(no_umask: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    data = tmp_path / "data"
    (data / "base").mkdir(parents=True)
    (data / "base" / "1").write_text("a row")
    cache = ClusterCache(Schema(lambda: "digest", lambda server: False, rebuild=False), binaries.find(18))

    cache.write(data)

    assert (cache.entry / "data" / "base" / "1").exists()
    assert open_to_others(tmp_path / "home") == []


def test_a_cache_that_others_could_write_to_before_is_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As with the umask 002 of many distributions."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "savepoint").mkdir()
    (tmp_path / "savepoint").chmod(0o775)

    with private_cache("clusters") as folder:
        (folder / "lock").chmod(0o666)
    with private_cache("clusters"):
        assert open_to_others(tmp_path) == []


@pytest.mark.parametrize("planted", ["savepoint", "savepoint/clusters", "savepoint/clusters/lock"])
def test_a_symlink_of_another_user_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, planted: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    elsewhere = tmp_path / "elsewhere"
    if planted.endswith("lock"):
        elsewhere.write_text("")
    else:
        elsewhere.mkdir()
    (tmp_path / "cache" / planted).parent.mkdir(parents=True, mode=0o700)
    (tmp_path / "cache" / planted).symlink_to(elsewhere)

    with pytest.raises(OSError, match=r"other users can write|Too many levels"), private_cache("clusters"):
        pass

    assert elsewhere.is_file() or not any(elsewhere.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("kind", ["folder", "symlink", "folder with a symlink"])
def test_a_folder_of_another_user_is_not_swept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    """In a sticky folder such as /tmp, anybody can make a folder with the name of a run's."""
    monkeypatch.setattr(run_folder, "TMPFS", tmp_path)
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "lock").touch()
    planted = tmp_path / f"{run_folder.PREFIX}planted"
    if kind == "symlink":
        planted.symlink_to(victim)
        os.lchown(planted, 12345, 12345)
    else:
        planted.mkdir()
        (planted / "lock").symlink_to(victim / "lock") if "symlink" in kind else (planted / "lock").touch()
        with subprocess.Popen(["sleep", "60"], cwd=planted) as process:
            (planted / "processes").write_text(f"{process.pid}\n")
            os.chown(planted, 12345, 12345)

            leftovers.sweep(tmp_path, PREFIX)

            assert process.poll() is None
            process.kill()
    leftovers.sweep(tmp_path, PREFIX)

    assert (victim / "lock").exists()
    assert planted.exists()
