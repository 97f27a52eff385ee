"""A Docker engine for the tests of the harness's third rung, where none runs yet and we may start one.

    python3 -m tests.docker_engine start    prints what DOCKER_HOST is to be, or says on stderr why there is none
    python3 -m tests.docker_engine stop     ends the engine that `start` has started, if it has

An engine of its own is nobody else's: it has its own socket and its own images. Where its registry cannot be reached,
it gets a stand-in for the official image of PostgreSQL, made of what is on this machine: the same entry point as far
as the harness goes, and the real server. It needs root, Debian's docker.io and ten seconds.
"""

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.postgres_majors import FetchError, cache, fetch, installed
from tests.stand_in_image import make

MAJOR = 17
IMAGE = f"postgres:{MAJOR}"

HOME = Path("/var/lib/savepoint-tests/docker")
SOCKET = Path("/run/savepoint-tests-docker.sock")
PID = HOME / "pid"

WAIT = 60


class NoEngineError(Exception):
    """Why there is none; one line."""


def docker(host: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command of Docker's client, against this engine."""
    return subprocess.run(["docker", "--host", host, *arguments], capture_output=True, text=True, check=False)


def answers(host: str) -> bool:
    """Whether an engine is there, and we may use it."""
    return shutil.which("docker") is not None and docker(host, "version").returncode == 0


def start() -> str:
    """An engine that is there already, or a new one with the image in it; raises `NoEngineError`."""
    for host in filter(None, [os.environ.get("DOCKER_HOST"), "unix:///var/run/docker.sock", f"unix://{SOCKET}"]):
        if answers(host):
            return host
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise NoEngineError("no Docker engine answers, and only root on Linux can start one")
    host = f"unix://{SOCKET}"
    _install()
    _serve(host)
    if docker(host, "pull", "--quiet", IMAGE).returncode:
        _import(host)
    return host


def _install() -> None:
    if shutil.which("dockerd") is not None:
        return
    if shutil.which("apt-get") is None:
        raise NoEngineError("dockerd is not installed, and there is no apt-get to install it with")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "docker.io", "iptables"]
    for command in (["apt-get", "update"], install):
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise NoEngineError(f"{' '.join(command)} failed")


def _serve(host: str) -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    folders = {"data-root": HOME / "data", "exec-root": HOME / "exec", "pidfile": HOME / "docker.pid"}
    command = ["dockerd", f"--host={host}", *(f"--{name}={path}" for name, path in folders.items())]
    with (HOME / "log").open("wb") as log:
        dockerd = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    PID.write_text(str(dockerd.pid))
    deadline = time.monotonic() + WAIT
    while not answers(host):
        if dockerd.poll() is not None or time.monotonic() > deadline:
            stop()
            lines = (HOME / "log").read_text(errors="replace").splitlines()
            raise NoEngineError(f"dockerd does not start: {lines[-1] if lines else 'it says nothing'}")
        time.sleep(0.1)


def _import(host: str) -> None:
    """Make the stand-in, once; the layers of an engine of ours stay on the disk."""
    if docker(host, "image", "inspect", IMAGE).returncode == 0:
        return
    try:
        binaries = installed(MAJOR) or fetch(MAJOR)
    except FetchError as error:
        raise NoEngineError(str(error)) from None
    archive = cache() / "stand-in.tar"
    make(binaries.parent, archive)
    changes = [
        'ENTRYPOINT ["/entrypoint"]',
        'CMD ["postgres"]',
        "ENV PATH=/usr/lib/postgresql/bin:/usr/bin:/bin",
        "ENV PGDATA=/var/lib/postgresql/data",
    ]
    done = docker(host, "import", *(f"--change={change}" for change in changes), str(archive), IMAGE)
    archive.unlink()
    if done.returncode:
        raise NoEngineError(f"the image cannot be imported: {done.stderr.strip()}")


def stop() -> None:
    """End the engine that was started here, and wait for it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        pid = int(PID.read_text())
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + WAIT
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        PID.unlink()


def main() -> int:
    if sys.argv[1:] == ["stop"]:
        stop()
        return 0
    try:
        print(start())
    except NoEngineError as error:
        print(f"Docker: {error}; the tests of it are skipped", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
