"""The line that says where the figures come from."""

import os
import platform
from pathlib import Path

from harness.postgres.run_folder import TMPFS
from harness.postgres.server import Server


def described(server: Server, rounds: int, long_rounds: int) -> str:
    """Processor, cores, load, versions, and whether the server's data is on tmpfs."""
    place = "on tmpfs" if TMPFS in Path(server.host).parents else "on a disk, not tmpfs"
    load = f"load average {os.getloadavg()[0]:.1f} at the start"
    return (
        f"{_processor()}, {os.cpu_count()} cores, {load}; Python {platform.python_version()}, "
        f"PostgreSQL {server.version} {place}; rounds: {rounds} of slices, {long_rounds} of whole runs"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
