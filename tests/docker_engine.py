"""Starts a Docker engine for the tests of source "docker", if no engine runs.

    python3 -m tests.docker_engine start      prints the value for DOCKER_HOST and the PID of an engine that
                                              it has started; or prints the reason for failure to stderr
    python3 -m tests.docker_engine stop PID   ends that engine

The engine has its own socket and images. If its registry cannot be reached, it gets a replacement for the official
image of PostgreSQL, built from files of this machine: a real server, with an entry point that is sufficient for the
harness. It needs root, Debian's docker.io and ten seconds.
"""

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.postgres_majors import FetchError, cache, fetch, installed
from tests.stand_in_image import make

MAJOR = 17
IMAGE = f"postgres:{MAJOR}"

HOME = Path("/var/lib/savepoint-tests/docker")
SOCKET = Path("/run/savepoint-tests-docker.sock")

WAIT = 60

# Seconds, for an image of 150 MB.
PULL_WAIT = 60


class NoEngineError(Exception):
    """Why there is no engine; one line."""


def docker(host: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of Docker's client with this engine."""
    return subprocess.run(["docker", "--host", host, *arguments], capture_output=True, text=True, check=False)


def answers(host: str) -> bool:
    """Whether an engine answers and may be used."""
    return shutil.which("docker") is not None and docker(host, "version").returncode == 0


def lacks_image(host: str) -> str | None:
    """Pull the image if it is missing; returns the reason in a line if that fails, or None."""
    if docker(host, "image", "inspect", IMAGE).returncode == 0:
        return None
    pull = ["docker", "--host", host, "pull", "--quiet", IMAGE]
    try:
        pulled = subprocess.run(pull, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PULL_WAIT)
    except subprocess.TimeoutExpired:
        return f"{IMAGE} was not pulled within {PULL_WAIT} s"
    return f"{IMAGE} cannot be pulled: {pulled.stderr.strip()}" if pulled.returncode else None


def start() -> tuple[str, int | None]:
    """An engine with the image: a running engine, or a new engine and its PID.

    Raises:
        NoEngineError: no engine runs, and none can be started.
    """
    for host in filter(None, [os.environ.get("DOCKER_HOST"), "unix:///var/run/docker.sock"]):
        if answers(host):
            # The user's engine gets no replacement for the official image.
            if lack := lacks_image(host):
                raise NoEngineError(f"the engine at {host} cannot be used: {lack}")
            return host, None
    host = f"unix://{SOCKET}"
    if answers(host):
        _provide(host)
        return host, None
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise NoEngineError("no engine answers, and only root on Linux can start one")
    _install()
    dockerd = _serve(host)
    try:
        _wait_for(dockerd, host)
        _provide(host)
    except BaseException:
        stop(dockerd.pid)
        raise
    return host, dockerd.pid


def _install() -> None:
    if shutil.which("dockerd") and shutil.which("docker"):
        return
    if shutil.which("apt-get") is None:
        raise NoEngineError("dockerd and docker are not installed, and there is no apt-get to install them with")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "docker.io", "iptables"]
    for command in (["apt-get", "update"], install):
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise NoEngineError(f"{' '.join(command)} failed")
    if not (shutil.which("dockerd") and shutil.which("docker")):
        raise NoEngineError("Debian's docker.io does not bring both dockerd and docker")


def _serve(host: str) -> "subprocess.Popen[bytes]":
    HOME.mkdir(parents=True, exist_ok=True)
    folders = {"data-root": HOME / "data", "exec-root": HOME / "exec", "pidfile": HOME / "docker.pid"}
    command = ["dockerd", f"--host={host}", *(f"--{name}={path}" for name, path in folders.items())]
    with (HOME / "log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _wait_for(dockerd: "subprocess.Popen[bytes]", host: str) -> None:
    deadline = time.monotonic() + WAIT
    while not answers(host):
        if dockerd.poll() is not None or time.monotonic() > deadline:
            lines = (HOME / "log").read_text(errors="replace").splitlines()
            raise NoEngineError(f"dockerd does not start: {lines[-1] if lines else 'it says nothing'}")
        time.sleep(0.1)


def _provide(host: str) -> None:
    """Get the image, or its replacement, for the new engine; it stays on the disk."""
    if lacks_image(host):
        _import(host)


def _import(host: str) -> None:
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


def stop(pid: int) -> None:
    """End the engine with this PID, and wait for it."""
    deadline = time.monotonic() + WAIT
    if _is_ours(pid):
        os.kill(pid, signal.SIGTERM)
    while _is_ours(pid) and time.monotonic() < deadline:
        time.sleep(0.1)


def _is_ours(pid: int) -> bool:
    """Whether the process exists and is the engine, since PIDs are reused."""
    try:
        return str(SOCKET).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def main() -> int:
    if sys.argv[1] == "stop":
        stop(int(sys.argv[2]))
        return 0
    try:
        print(*filter(None, start()))
    except NoEngineError as error:
        print(f"Docker: {error}; the tests of it are skipped", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
