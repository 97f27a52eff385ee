"""The Pythons that the variants are spread over: those that uv finds here, the oldest standing in for the others."""

import os
import subprocess
from functools import cache
from pathlib import Path

from tests.environment import UV, clean

OLDEST = "3.11"
WANTED = (OLDEST, "3.12", "3.13")


@cache
def found(version: str) -> Path | None:
    """Where this machine has a Python of this minor version, or None; nothing is downloaded."""
    command = [UV, "python", "find", "--no-project", "--system", version]
    uv = subprocess.run(command, cwd="/", env=clean(os.environ), capture_output=True, text=True)
    return Path(uv.stdout.strip()) if uv.returncode == 0 else None


def serving(version: str) -> str:
    """The version that is used where this one is wanted."""
    return version if found(version) else OLDEST
